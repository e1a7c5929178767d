"""Server-sent events: bytes become frames, wherever reads cut them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.wire.decoders.sse import Frame, FrameReader, is_done


def read(*reads: bytes) -> list[Frame]:
    """Return the frames of a body; the timestamp of each read is its number, from 1."""
    reader = FrameReader()
    frames = [frame for at_ns, data in enumerate(reads, 1) for frame in reader.feed(data, at_ns)]
    return frames + reader.close()


def data_of(*reads: bytes) -> list[bytes]:
    """Return the data of a body's frames."""
    return [frame.data for frame in read(*reads)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'data: {"a":1}\n\n', [b'{"a":1}']),
        (b'data:{"a":1}\n\n', [b'{"a":1}']),
        (b'data:  {"a":1}\n\n', [b' {"a":1}']),
        (b'data: {"a":1}\n\ndata: {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
        (b'data: {"a":1}\r\n\r\ndata: [DONE]\r\n\r\n', [b'{"a":1}', b"[DONE]"]),
        (b'data: {"a":1}\r\rdata: [DONE]\r\r', [b'{"a":1}', b"[DONE]"]),
        (b'data: {"a":1}\n\r\ndata: [DONE]\r\n\n', [b'{"a":1}', b"[DONE]"]),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]\n', [b'{"a":1}', b'{"b":2}', b"[DONE]"]),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', [b'{"a":1}']),
        (b'data: {"a":1}\n\n\xef\xbb\xbfdata: {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
        (b'Data: {"a":1}\n\n data : {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
        (b'data: {"a":1}\n\n[DONE]\n', [b'{"a":1}', b"[DONE]"]),
        (b": hello\n\n:\n\n", []),
        (b"event: ping\n\nid: 1\n\nretry: 3\n\ndata:\n\ndata: \n\n\n\n", []),
        (b"nonsense\nmore: of it\n\n", []),
        (b'data: {"a":"\xe2\x80\xa8\xc2\x85\x0b\x0c"}\n\n', [b'{"a":"\xe2\x80\xa8\xc2\x85\x0b\x0c"}']),
        (b'data: {"a":1}', [b'{"a":1}']),
        (b"data: [DONE]", [b"[DONE]"]),
        (b'data: {"a":1}\n\ndata: {"b":', [b'{"a":1}']),
        (b'data: {"a":1}\ndata: {"b":', [b'{"a":1}']),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b'{"error":"gone"}\n\n', [b'{"error":"gone"}']),
        (b'data: {"a":1}\r}\n\n', [b'{"a":1}']),
    ],
)
def test_frames_are_parsed_in_every_spelling(body: bytes, expected: list[bytes]) -> None:
    """Line ends, blank lines, fields and their spacing may vary."""
    assert data_of(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"event: error\ndata: gone\n\n", [b"error"]),
        (b"data: gone\nevent: error\n\n", [b"error"]),
        (b"event:error\n\ndata: {}\n\n", [None]),
        (b"error: {}\n\n", [b"error"]),
        (b"error: {}\n\ndata: {}\n\n", [b"error", None]),
        (b"event: message\ndata: {}\nevent: error\ndata: gone\n", [b"message", b"error"]),
    ],
)
def test_event_names_belong_to_the_data_of_their_event(body: bytes, expected: list[bytes | None]) -> None:
    """An `error:` field is an event of that name."""
    assert [frame.event for frame in read(body)] == expected


def test_frame_has_the_timestamp_of_its_last_data_line() -> None:
    """Neither a late blank line nor the end of the body changes it."""
    timestamps = [
        frame.at_ns for frame in read(b'data: {"a":', b"1}\n", b"\n", b"data: {}\n\ndata: {}\n", b"data: {}", b"")
    ]
    assert timestamps == [2, 4, 4, 5]


def test_crlf_split_over_two_reads_is_one_line_end() -> None:
    """The LF of a CR LF that a read cut in two ends no event."""
    assert data_of(b'data: {"a":\r', b"\ndata: 1}\r", b"\n\r", b"\n") == [b'{"a":\n1}']


def test_empty_read_changes_nothing() -> None:
    """A read of no bytes between CR and LF does not make the LF a blank line."""
    assert data_of(b"data: one\r", b"", b"\ndata: two\r\n\r\n") == [b"one\ntwo"]


def test_frame_beyond_the_limit_stops_reading() -> None:
    """A frame beyond the limit is dropped, in one line or in many, and reading stops."""
    for piece in (b"x" * 60, b"data: " + b"x" * 60 + b"\n"):
        reader = FrameReader(limit=100)
        overflowed = []
        for at_ns in (1, 2):
            assert reader.feed(piece, at_ns) == []
            overflowed.append(reader.overflowed)
        assert overflowed == [False, True]
        assert reader.feed(b"\n\ndata: {}\n\n", 3) == []
        assert reader.close() == []


def test_done_is_recognised_with_and_without_quotes() -> None:
    """No other data is taken for the sentinel."""
    assert [is_done(data) for data in (b"[DONE]", b' "[DONE]"', b"[DONE", b"DONE", b'{"a":"[DONE]"}')] == [
        True,
        True,
        False,
        False,
        False,
    ]


LINES = st.sampled_from(
    [
        b'data: {"a":1}',
        b'data: {"a":',
        b"data: 1}",
        b"data: [DONE]",
        b"data:",
        b"data",
        b": ping",
        b"id: 1",
        b"event: error",
        b'error: {"b":2}',
        b'{"c":3}',
        b"",
        b"\xef\xbb\xbf",
        b"data: \xe4\xbd\xa0",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b""])
BODIES = st.lists(st.tuples(LINES, ENDS), max_size=12).map(lambda lines: b"".join(line + end for line, end in lines))


@given(BODIES | st.binary(max_size=60), st.lists(st.integers(0, 200), max_size=6))
def test_frames_are_the_same_at_any_cuts(body: bytes, cuts: list[int]) -> None:
    """Any bytes give the same frames in one read, in single bytes, and cut anywhere."""
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]
    whole = [(frame.data, frame.event) for frame in read(body)]
    for reads in (pieces, [bytes([byte]) for byte in body]):
        assert [(frame.data, frame.event) for frame in read(*reads)] == whole


LONE = st.sampled_from(
    [
        b'data: {"a":1}\n\n',
        b'event: delta\ndata: {"a":1}\n\n',
        b'event: error\ndata: {"a":1}\n\n',
        b'event: \ndata: {"a":1}\n\n',
        b'event: delta\n\ndata: {"a":1}\n\n',
        b'event: delta\rdata: {"a":1}\n\n',
        b'event: delta\ndata: {"a":1}\n',
        b'event: delta\ndata: {"a":1}\ndata: {"b":2}\n\n',
        b'event: a\nevent: error\ndata: {"a":1}\n\n',
        b"event: error\n",
        b"event: delta\n\n",
        b"event: ",
    ]
)


@given(st.lists(LONE | BODIES, max_size=5))
def test_a_read_of_one_whole_frame_gives_the_same_frame(pieces: list[bytes]) -> None:
    """The fast path takes such reads; an error event is never one of them."""
    quick, plain, together = FrameReader(), FrameReader(), FrameReader()
    for at_ns, piece in enumerate(pieces, 1):
        frames, lone = plain.feed(piece, at_ns), quick.lone_object(piece)
        several = together.lone_objects([(at_ns, piece), (at_ns, b'data: {"b":2}\n\n'), (at_ns, piece)])
        assert several == ([] if lone is None else [lone, b'{"b":2}', lone])
        together.feed(piece, at_ns)
        found = [(frame.data, frame.event == b"error") for frame in quick.feed(piece, at_ns)] if lone is None else None
        assert ([(lone, False)] if found is None else found) == [
            (frame.data, frame.event == b"error") for frame in frames
        ]
