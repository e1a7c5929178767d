"""Every stream that providers really send is heard right, however its bytes are cut."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.events import (
    Channel,
    EmptyChunk,
    Ended,
    Event,
    Failed,
    Finished,
    Flagged,
    Outcome,
    ResponseStarted,
    Text,
    Usage,
)
from runner.core.fold import Fold
from runner.wire.failure import request_id
from runner.wire.response_decoder import ResponseDecoder

SAMPLES = Path(__file__).parents[1] / "samples" / "wire"

NEEDS_A_CONNECTION = {
    "16-gzip": "the transport undoes compression",
    "17-chunked-trailers": "the transport undoes HTTP chunks",
    "20-cut-in-http-chunk": "the transport undoes HTTP chunks, and notices the cut",
    "59-comments-forever": "the client's clock ends it",
}


@dataclass(frozen=True)
class Sample:
    """One recorded response and what must be heard in it."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes
    expected: dict[str, Any]


def load_sample(folder: Path) -> Sample:
    """Read a sample's folder."""
    head, _, body = (folder / "response.http").read_bytes().partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    described = yaml.safe_load((folder / "expected.yaml").read_text(encoding="utf-8"))
    return Sample(folder.name, int(status_line.split()[1]), headers, body, described["expected"])


ALL = [load_sample(folder) for folder in sorted(SAMPLES.iterdir()) if folder.is_dir()]
PURE = [sample for sample in ALL if sample.name not in NEEDS_A_CONNECTION]


def hear(sample: Sample, reads: Iterable[bytes], cut: Failed | None = None) -> list[Event]:
    """Hear a sample in the given reads, all stamped alike."""
    hearing = ResponseDecoder(sample.status, sample.headers)
    events = [event for read in reads for event in hearing.feed(7, read)]
    return [*events, *hearing.close(7, cut)]


def fold_of(sample: Sample, events: Iterable[Event]) -> Fold:
    """Fold a sample's events as the client does."""
    fold = Fold()
    fold.add(ResponseStarted(5, sample.status, request_id(sample.headers)))
    for event in events:
        fold.add(event)
    return fold


def observe(fold: Fold) -> dict[str, Any]:
    """Return what a record would say, without what it would leave blank."""
    failed = fold.failed
    observed = {
        "outcome": fold.outcome().value,
        "error_type": failed and failed.error_type,
        "error": failed and failed.message,
        "code": failed and failed.code,
        "retry_after_s": failed and failed.retry_after_s,
        "worth_repeating": failed and failed.worth_repeating,
        "http_status": fold.response_started and fold.response_started.status,
        "request_id": fold.response_started and fold.response_started.request_id,
        "reply": fold.text(Channel.ANSWER),
        "reasoning": fold.text(Channel.REASONING),
        "tool_calls": fold.text(Channel.TOOL),
        "finish_reason": fold.finish_reason,
        "response_model": fold.response_model,
        "input_tokens": fold.usage and fold.usage.input_tokens,
        "output_tokens": fold.usage and fold.usage.output_tokens,
        "reasoning_tokens": fold.usage and fold.usage.reasoning_tokens,
        "cached_tokens": fold.usage and fold.usage.cached_tokens,
        "notes": list(fold.notes),
    }
    return {name: value for name, value in observed.items() if value is not None and value != [] and value is not False}


def expectation(sample: Sample) -> dict[str, Any]:
    """Return what must be heard; flags that follow from stamps are not told by bytes."""
    return {name: value for name, value in sample.expected.items() if name != "derived_flags"}


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut bytes at the given places."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("sample", PURE, ids=lambda sample: sample.name)
def test_sample_is_heard_right_in_one_read(sample: Sample) -> None:
    """A response that comes whole gives the record its sample names, and nothing more."""
    assert observe(fold_of(sample, hear(sample, [sample.body]))) == expectation(sample)


@pytest.mark.parametrize("sample", PURE, ids=lambda sample: sample.name)
def test_sample_is_heard_alike_byte_by_byte(sample: Sample) -> None:
    """Reads of one byte give the very events that one read gives."""
    single_bytes = (sample.body[place : place + 1] for place in range(len(sample.body)))
    assert hear(sample, single_bytes) == hear(sample, [sample.body])


@given(st.sampled_from(PURE), st.lists(st.integers(0, 400_000), max_size=12))
@settings(deadline=None)
def test_sample_is_heard_alike_at_random_cuts(sample: Sample, cuts: list[int]) -> None:
    """Wherever a network cuts a response, the events are the same."""
    assert hear(sample, split(sample.body, cuts)) == hear(sample, [sample.body])


def test_every_case_has_a_sample() -> None:
    """The 62 cases are all there, and those that bytes alone cannot tell are known by name."""
    cases = {int(sample.name[:2]) for sample in ALL}
    assert cases >= set(range(1, 63))
    assert set(NEEDS_A_CONNECTION) <= {sample.name for sample in ALL}


def sample_of(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Sample:
    """Return a sample that is not on disk."""
    return Sample("", status, headers or {}, body, {})


@given(
    st.binary(max_size=300),
    st.sampled_from([200, 204, 301, 400, 429, 503, 599]),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_arbitrary_bytes_end_in_an_outcome(body: bytes, status: int, cuts: list[int]) -> None:
    """Nothing raises, whatever a server sends; what no server should send is never `ok`."""
    fold = fold_of(sample_of(body, status), hear(sample_of(body, status), split(body, cuts)))
    assert fold.outcome() is not Outcome.OK


WORDS = """
    content reasoning reasoning_content reasoning_details tool_calls function name arguments text type thinking
    prompt_tokens completion_tokens total_tokens completion_tokens_details reasoning_tokens cached_tokens refusal error
    code status_code status message status_msg detail loc msg metadata raw details retryDelay innererror id
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=5),
    max_leaves=12,
)
CHOICE = dict.fromkeys(("delta", "message", "index", "finish_reason", "usage", "error", "text"), JSON)
CHOICES = st.lists(st.fixed_dictionaries({}, optional=CHOICE), max_size=2)
CHUNK_PARTS = (
    "usage",
    "x_groq",
    "error",
    "base_resp",
    "object",
    "model",
    "sent_ns",
    "code",
    "message",
    "success",
    "id",
)
CHUNKS = st.fixed_dictionaries({}, optional={"choices": CHOICES | JSON, **dict.fromkeys(CHUNK_PARTS, JSON)})
FRAMES = st.sampled_from([b"data: %s\n\n", b"event: error\ndata: %s\n\n", b"%s", b"error: %s\n"])


@given(st.lists(CHUNKS | JSON, max_size=4), FRAMES)
def test_arbitrary_json_in_known_places_is_survived(values: list[object], frame: bytes) -> None:
    """Values of any shape under the names that are looked at raise nothing, and no event holds the wrong type."""
    body = b"".join(frame % json_bytes(value) for value in values)
    for event in hear(sample_of(body), [body]):
        match event:
            case Text():
                assert isinstance(event.text, str)
                assert event.text.encode()
            case Failed():
                assert isinstance(event.message, str)
                assert event.message
            case Finished():
                assert isinstance(event.reason, str)
            case Usage():
                assert event.input_tokens or event.output_tokens or event.raw["total_tokens"]


def json_bytes(value: object) -> bytes:
    """Write a value as JSON, halves of surrogate pairs included."""
    return json.dumps(value).encode()


@given(
    st.sampled_from([sample for sample in PURE if len(sample.body) < 10_000]),
    st.lists(st.tuples(st.integers(0, 9_999), st.integers(0, 255)), min_size=1, max_size=5),
    st.lists(st.integers(0, 9_999), max_size=5),
)
@settings(deadline=None)
def test_damaged_samples_are_survived(sample: Sample, damage: list[tuple[int, int]], cuts: list[int]) -> None:
    """A response with some bytes changed raises nothing, and reads alike at any cuts."""
    body = bytearray(sample.body)
    for place, byte in damage:
        if body:
            body[place % len(body)] = byte
    damaged = replace(sample, body=bytes(body))
    assert hear(damaged, [damaged.body]) == hear(damaged, split(damaged.body, cuts))


@pytest.mark.parametrize(
    "piece",
    [
        b"x" * 1000,
        b"data: " + b"x" * 994 + b"\n",
        b"{" * 1000,
        b" " * 1000,
        b"<p>" * 300,
        b": " + b"x" * 998,
        b"\r" * 1000,
    ],
)
def test_memory_is_bounded(piece: bytes) -> None:
    """A body without end is given up or forgotten: at no time is more than the limit kept."""
    hearing = ResponseDecoder(200, {}, limit=10_000)
    events = [event for _ in range(200) for event in hearing.feed(1, piece)]
    kept = len(hearing._body) + (len(hearing._stream._reader._tail) if hearing._stream else 0)
    if hearing._stream:
        kept += hearing._stream._reader._data_size
    assert kept <= 10_000 + len(piece)
    assert [event.error_type for event in events if isinstance(event, Failed)] in (["too_long"], [])


def test_deep_nesting_is_broken_json() -> None:
    """JSON nested beyond any sense does not exhaust the stack."""
    body = b"data: " + b'{"a":' * 100_000 + b"\n\n"
    assert fold_of(sample_of(body), hear(sample_of(body), [body])).outcome() is Outcome.BAD_STREAM


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
CUT = Failed(9, Outcome.CONNECTION, "reset")


def test_cut_inside_a_reply_keeps_its_text() -> None:
    """A connection that breaks before the reply is proven whole is a failure of the connection, text kept."""
    body = CHUNK + FINISH[:30]
    fold = fold_of(sample_of(body), hear(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.text(Channel.ANSWER)) == (Outcome.CONNECTION, "Hel")


def test_cut_behind_the_finish_takes_nothing() -> None:
    """A connection that breaks behind finish_reason leaves the reply whole, and a note."""
    body = CHUNK + FINISH
    fold = fold_of(sample_of(body), hear(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.notes) == (Outcome.OK, ("cut_after_finish",))


def test_cut_behind_done_is_not_even_noted() -> None:
    """What becomes of a connection behind [DONE] does not matter."""
    body = CHUNK + b"data: [DONE]\n\n"
    fold = fold_of(sample_of(body), hear(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.notes) == (Outcome.OK, ())


@pytest.mark.parametrize("body", [b"", b"{", b'{"choices":[{}', b"data", b"Internal"])
def test_cut_before_anything_was_clear_is_a_cut(body: bytes) -> None:
    """Half a body says nothing about the provider: the connection failed."""
    assert fold_of(sample_of(body), hear(sample_of(body), [body], CUT)).outcome() is Outcome.CONNECTION


def test_cut_behind_a_whole_document_takes_nothing() -> None:
    """A completion in one piece proves itself whole."""
    body = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}'
    fold = fold_of(sample_of(body), hear(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.text(Channel.ANSWER)) == (Outcome.OK, "Hello")


def test_error_body_is_named_though_it_was_cut() -> None:
    """A status of failure stays what it is when its body breaks off."""
    sample = sample_of(b'{"error":{"mess', status=401)
    assert fold_of(sample, hear(sample, [sample.body], CUT)).outcome() is Outcome.AUTH


def test_clean_end_is_told_last() -> None:
    """`Ended` is the last event of every body that was heard to a good end."""
    for sample in PURE:
        events = hear(sample, [sample.body])
        failed = any(isinstance(event, Failed) for event in events)
        assert isinstance(events[-1], Failed if failed else Ended), sample.name


def test_nothing_is_told_behind_the_end() -> None:
    """What follows [DONE] or a failure is ignored, and `over` says so."""
    for end in (b"data: [DONE]\n\n", b'data: {"error":"gone"}\n\n'):
        hearing = ResponseDecoder(200, {})
        over = []
        for at_ns, read in enumerate((CHUNK, end)):
            hearing.feed(at_ns, read)
            over.append(hearing.over)
        assert over == [False, True]
        assert hearing.feed(3, CHUNK) == []


def test_events_carry_the_stamp_of_the_read_that_completed_their_line() -> None:
    """A late blank line does not make its event late, and each of several events in a read has that read's stamp."""
    hearing = ResponseDecoder(200, {})
    events = hearing.feed(1, CHUNK[:20])
    events += hearing.feed(2, CHUNK[20:-1])
    events += hearing.feed(3, b"\n" + CHUNK + CHUNK)
    assert [event.at_ns for event in events if isinstance(event, Text)] == [2, 3, 3]


def test_a_held_back_tag_marks_its_event() -> None:
    """A chunk whose text waits for the rest of a tag still counts as an event; the text keeps its stamp."""
    hearing = ResponseDecoder(200, {})
    assert hearing.feed(1, CHUNK.replace(b"Hel", b"<")) == [EmptyChunk(1)]
    events = hearing.feed(2, CHUNK)
    assert [(event.at_ns, event.text) for event in events if isinstance(event, Text)] == [(1, "<"), (2, "Hel")]


def test_text_held_back_to_the_end_does_not_move_the_end() -> None:
    """The reply's last event stays the last one that carried data."""
    sample = sample_of(b"")
    hearing = ResponseDecoder(200, {})
    events = hearing.feed(1, CHUNK.replace(b"Hel", b"<")) + hearing.feed(2, CHUNK.replace(b"Hel", b""))
    fold = fold_of(sample, [*events, *hearing.close(3)])
    assert (fold.first_event, fold.last_event, fold.text(Channel.ANSWER)) == (1, 2, "<")


ID = b'{"id":"chat-1","choices":[]}'
BAD = b'{"error":{"message":"no"},"request_id":"bad-1"}'


@pytest.mark.parametrize(
    ("body", "status", "headers", "expected"),
    [
        (b"data: %s\n\ndata: {}\n\n" % ID, 200, {}, "chat-1"),
        (b"data: %s\n\n" % ID, 200, {"X-Request-ID": "req-1"}, "req-1"),
        (b"data: {}\n\ndata: %s\n\n" % BAD, 200, {}, "bad-1"),
        (b"event: error\ndata: %s\n\n" % BAD, 200, {}, "bad-1"),
        (BAD, 200, {}, "bad-1"),
        (BAD, 400, {}, "bad-1"),
        (BAD, 400, {"x-request-id": "req-1"}, "req-1"),
    ],
)
def test_request_is_named_by_its_body_where_no_header_does(
    body: bytes, status: int, headers: dict[str, str], expected: str
) -> None:
    """The first id in a stream, or in an error, names the request; a header goes before it."""
    sample = sample_of(body, status, headers)
    opened = fold_of(sample, hear(sample, [body])).response_started
    assert opened is not None
    assert opened.request_id == expected


def test_plain_note_of_replaced_bytes_is_given_once_per_frame() -> None:
    """Bytes that are no UTF-8 become the replacement character, and the row says so."""
    body = CHUNK.replace(b"Hel", b"\xff\xfe")
    events = hear(sample_of(body), [body])
    assert [event.flag for event in events if isinstance(event, Flagged)] == ["invalid_utf8"]
