"""Detection of a file's media type by its first bytes, and of its pixels, pages or seconds by its header. Pure.

Sources: the PNG specification (IHDR), the GIF89a specification, the WebP container specification, ITU-T T.81 (JPEG's
frame headers), RIFF/WAVE, ISO/IEC 11172-3 (MP3's frame headers), ISO 32000 (PDF).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from struct import error, unpack_from

from runner.errors import counted

PNG, JPEG, GIF, WEBP = "image/png", "image/jpeg", "image/gif", "image/webp"
PDF, TEXT = "application/pdf", "text/plain"
WAV, MP3 = "audio/wav", "audio/mpeg"

FORMAT_NAMES = {PNG: "PNG", JPEG: "JPEG", GIF: "GIF", WEBP: "WebP", PDF: "PDF", TEXT: "text", WAV: "WAV", MP3: "MP3"}

PDF_HEAD = 1024
"""Bytes at the beginning of a file in which the mark of a PDF may stand."""

_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's frame markers; a frame's header has the size of the image."""

_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Media:
    """The media type of a file and its size in the header's units; a member is None if the header does not have it."""

    type: str
    width: int | None = None
    """Width in pixels; `height` is in pixels too."""
    height: int | None = None
    pages: int | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The usual name of the format, such as JPEG."""
        return FORMAT_NAMES[self.type]

    @property
    def extent(self) -> str | None:
        """The size as people write it: `1024x768`, `3 pages` or `2.5 s`; None if it is unknown."""
        if self.width is not None:
            return f"{self.width}x{self.height}"
        if self.pages is not None:
            return counted(self.pages, "page")
        return None if self.seconds is None else f"{self.seconds:.1f} s"


def identify(data: bytes) -> Media | None:
    """Return the media type and size of a file; None if the format is unknown or the header is incomplete."""
    for signature, read in _READERS:
        if signature.match(data):
            try:
                return read(data)
            except (error, IndexError):
                return None
    return _mp3(data) or _text(data)


def _image(type_: str, width: int, height: int) -> Media | None:
    return Media(type_, width=width, height=height) if width and height else None


def _png(data: bytes) -> Media | None:
    return _image(PNG, *unpack_from(">II", data, 16)) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> Media | None:
    return _image(GIF, *unpack_from("<HH", data, 6))


def _pdf(data: bytes) -> Media:
    return Media(PDF, pages=len(_PDF_PAGE.findall(data)) or None)


def _jpeg(data: bytes) -> Media | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in _FRAMES:
            height, width = unpack_from(">HH", data, at + 5)
            return _image(JPEG, width, height)
        else:
            at += 2 + max(2, unpack_from(">H", data, at + 2)[0])
    return None


def _webp(data: bytes) -> Media | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return _image(WEBP, width, height) if len(data) >= 30 else None
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = unpack_from("<I", data, 21)[0]
        return _image(WEBP, 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", data, 26)
        return _image(WEBP, width & 0x3FFF, height & 0x3FFF)
    return None


def _wav(data: bytes) -> Media | None:
    at, bytes_a_second = 12, 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], unpack_from("<I", data, at + 4)[0]
        if kind == b"fmt ":
            bytes_a_second = unpack_from("<I", data, at + 16)[0]
        elif kind == b"data":
            length = min(size, len(data) - at - 8)  # the header's size is too large if the recorder was interrupted
            return Media(WAV, seconds=length / bytes_a_second) if bytes_a_second else None
        at += 8 + size + size % 2
    return None


_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(Version 1 or 2, layer) -> kilobits per second by the index in a frame's header, from 1."""

_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""The two version bits of a frame's header -> samples per second by the index in the header."""


def _mp3(data: bytes) -> Media | None:
    """Parse an MP3 file. Two frames must follow each other, since a single one is easily found by chance."""
    at = _after_id3(data)
    if data[at : at + 1] != b"\xff":
        return None
    frames, seconds = 0, 0.0
    while frame := _mp3_frame(data, at):
        size, lasts = frame
        frames, seconds, at = frames + 1, seconds + lasts, at + size
    return Media(MP3, seconds=seconds) if frames > 1 else None


def _after_id3(data: bytes) -> int:
    """Return the offset of the audio: after an ID3 tag at the beginning, whose size has seven bits in each byte."""
    if data[:3] != b"ID3":
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _mp3_frame(data: bytes, at: int) -> tuple[int, float] | None:
    """Return the size in bytes and the duration in seconds of the frame at an offset; None if there is none."""
    if at + 4 > len(data):
        return None
    head = int.from_bytes(data[at : at + 4], "big")
    version, layer, index = head >> 19 & 3, 4 - (head >> 17 & 3), head >> 12 & 15
    rate_index, padding = head >> 10 & 3, head >> 9 & 1
    if head >> 21 != 0x7FF or version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    bits = 1000 * _BITRATES[1 if version == 3 else 2, layer][index - 1]
    rate = _SAMPLE_RATES[version][rate_index]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    size = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    return size, samples / rate


def _text(data: bytes) -> Media | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) or not text.strip() else Media(TEXT)


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Media | None]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), _wav),
    (re.compile(rb".{0,%d}%%PDF-" % PDF_HEAD, re.DOTALL), _pdf),
)
"""Pairs of the pattern with which a file begins and the parser of its header; MP3 and texts have no such pattern."""
