"""The media type, size, duration and pages that the first bytes of a file show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.media_types import Media, identify
from tests.support.media_files import gif, jpeg, mp3, pdf, png, wav, webp

SIDES = st.integers(1, 16_383)


@given(SIDES, SIDES)
def test_the_size_of_an_image_is_that_of_its_header(width: int, height: int) -> None:
    """This holds for every format, and for all kinds of JPEG frames and WebP chunks."""
    header = png(1, 1)[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    assert identify(header) == Media("image/png", width, height)
    assert identify(gif(width, height)) == Media("image/gif", width, height)
    for frame in (0xC0, 0xC2):
        assert identify(jpeg(width, height, frame)) == Media("image/jpeg", width, height)
    for kind in (b"VP8X", b"VP8L", b"VP8 "):
        assert identify(webp(width, height, kind)) == Media("image/webp", width, height)


@given(st.integers(1, 50_000), st.sampled_from([8000, 16_000, 44_100]))
def test_the_seconds_of_a_wav_file_are_those_of_its_samples(samples: int, rate: int) -> None:
    """Other chunks, one of them of odd length, come before the samples."""
    found = identify(wav(samples, rate))
    assert found is not None
    assert (found.type, found.seconds) == ("audio/wav", samples / rate)


@given(st.integers(2, 100), st.booleans())
def test_the_seconds_of_an_mp3_file_are_those_of_its_frames(frames: int, tagged: bool) -> None:
    """A tag with a title before the frames does not count as audio."""
    found = identify(mp3(frames, tagged=tagged))
    assert found is not None
    assert found.type == "audio/mpeg"
    assert found.seconds == pytest.approx(frames * 1152 / 44_100)


@given(st.integers(1, 40))
def test_the_pages_of_a_pdf_are_counted(pages: int) -> None:
    """The node above the pages is not counted."""
    assert identify(pdf(pages)) == Media("application/pdf", pages=pages)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", None),
        (b" \n", None),
        (b"%PDF-1.7 compressed", Media("application/pdf")),
        ("Grüße\r\n".encode(), Media("text/plain")),
        ("Grüße".encode("latin-1"), None),
        (b"a\0b", None),
        (b"\xff\xfb\x90\x00", None),
        (b"RIFF\x04\0\0\0AVI ", None),
        (png(3, 2)[:20], None),
        (png(1, 1)[:16] + bytes(8), None),
        (b"\xff\xd8\xff\xe0", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Media("text/plain")),
    ],
)
def test_an_incomplete_header_has_no_type(data: bytes, found: Media | None) -> None:
    """Neither has an image without pixels or a text in another encoding."""
    assert identify(data) == found


WHOLE = [png(40, 30), gif(4, 3), jpeg(4, 3), webp(4, 3, b"VP8X"), webp(4, 3, b"VP8 "), wav(9), mp3(3), pdf(2)]


@given(st.sampled_from(WHOLE), st.integers(0, 200), st.binary(max_size=40))
def test_a_truncated_or_continued_header_raises_nothing(data: bytes, kept: int, more: bytes) -> None:
    """The type of such a file may or may not be identified."""
    identify(data[:kept] + more)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing(data: bytes) -> None:
    """The type is None, or that of a header found by chance."""
    identify(data)
