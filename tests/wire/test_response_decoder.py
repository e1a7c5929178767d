"""The response decoder: recorded responses give the expected events at any cuts."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.events import Channel, EmptyChunk, Ended, Failed, Flagged, Outcome, Text, Usage
from runner.wire.decoders.response_decoder import ResponseDecoder
from tests.support.arbitrary_json import FRAMES, JSON, check_types
from tests.support.echo_dialect import EchoDialect
from tests.support.wire_samples import (
    FROM_TEXTS,
    SAMPLES,
    Sample,
    decode,
    expectation,
    flags_from_texts,
    fold_of,
    observe,
    sample_of,
    split,
)

NEEDS_A_CONNECTION = {
    "16-gzip": "the transport undoes compression",
    "17-chunked-trailers": "the transport undoes HTTP chunks",
    "20-cut-in-http-chunk": "the transport undoes HTTP chunks, and notices the cut",
    **dict.fromkeys(
        ("70-gzip-members", "70-gzip-padding", "70-deflate-zlib", "70-deflate-raw", "70-gzip-twice"),
        "the transport undoes compression",
    ),
    "79-content-length-beside-chunks": "the transport undoes HTTP chunks",
    "59-comments-forever": "a timeout of the client ends it",
}


PURE = [sample for sample in SAMPLES if sample.name not in NEEDS_A_CONNECTION]


@pytest.mark.parametrize("sample", PURE, ids=lambda sample: sample.name)
def test_sample_is_decoded_as_expected_in_one_read(sample: Sample) -> None:
    """A response in one read gives the fields that its sample expects, and no others."""
    assert observe(fold_of(sample, decode(sample, [sample.body]))) == expectation(sample)


@pytest.mark.parametrize("sample", PURE, ids=lambda sample: sample.name)
def test_sample_has_the_flags_that_follow_from_its_texts_and_counts(sample: Sample) -> None:
    """Examples: a tag within the answer, no answer at all, impossible counts."""
    found = flags_from_texts(fold_of(sample, decode(sample, [sample.body])))
    assert found == FROM_TEXTS.intersection(sample.expected.get("derived_flags", ()))


@pytest.mark.parametrize("sample", PURE, ids=lambda sample: sample.name)
def test_sample_is_decoded_the_same_byte_by_byte(sample: Sample) -> None:
    """Reads of one byte give the same events as one read."""
    single_bytes = (sample.body[place : place + 1] for place in range(len(sample.body)))
    assert decode(sample, single_bytes) == decode(sample, [sample.body])


@given(st.sampled_from(PURE), st.lists(st.integers(0, 400_000), max_size=12))
@settings(deadline=None)
def test_sample_is_decoded_the_same_at_random_cuts(sample: Sample, cuts: list[int]) -> None:
    """Wherever reads cut a response, the events are the same."""
    assert decode(sample, split(sample.body, cuts)) == decode(sample, [sample.body])


def test_every_case_has_a_sample() -> None:
    """All 81 cases have samples; those that need a connection are listed by name."""
    cases = {int(sample.name[:2]) for sample in SAMPLES}
    assert cases >= set(range(1, 82))
    assert set(NEEDS_A_CONNECTION) <= {sample.name for sample in SAMPLES}


@given(
    st.binary(max_size=300),
    st.sampled_from([200, 204, 301, 400, 429, 503, 599]),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_arbitrary_bytes_have_an_outcome_other_than_ok(body: bytes, status: int, cuts: list[int]) -> None:
    """No response raises an exception."""
    fold = fold_of(sample_of(body, status), decode(sample_of(body, status), split(body, cuts)))
    assert fold.outcome() is not Outcome.OK


CHOICE = dict.fromkeys(("delta", "message", "index", "finish_reason", "usage", "error", "text"), JSON)
CHOICES = st.lists(st.fixed_dictionaries({}, optional=CHOICE), max_size=2)
CHUNK_PARTS = (
    "usage",
    "x_groq",
    "error",
    "base_resp",
    "object",
    "model",
    "provider",
    "provider_metadata",
    "response",
    "service_tier",
    "system_fingerprint",
    "sent_ns",
    "code",
    "message",
    "success",
    "id",
)
CHUNKS = st.fixed_dictionaries({}, optional={"choices": CHOICES | JSON, **dict.fromkeys(CHUNK_PARTS, JSON)})


@given(st.lists(CHUNKS | JSON, max_size=4), FRAMES)
def test_arbitrary_json_under_known_names_raises_nothing(values: list[object], frame: bytes) -> None:
    """Values of any shape are accepted, and no event holds a value of the wrong type."""
    body = b"".join(frame % json_bytes(value) for value in values)
    events = decode(sample_of(body), [body])
    check_types(events)
    for event in events:
        if isinstance(event, Usage):
            assert event.input_tokens or event.output_tokens or event.raw["total_tokens"]


def json_bytes(value: object) -> bytes:
    """Return a value as JSON, halves of surrogate pairs included."""
    return json.dumps(value).encode()


@given(
    st.sampled_from([sample for sample in PURE if len(sample.body) < 10_000]),
    st.lists(st.tuples(st.integers(0, 9_999), st.integers(0, 255)), min_size=1, max_size=5),
    st.lists(st.integers(0, 9_999), max_size=5),
)
@settings(deadline=None)
def test_damaged_samples_raise_nothing(sample: Sample, damage: list[tuple[int, int]], cuts: list[int]) -> None:
    """A response with some bytes changed gives the same events at any cuts."""
    body = bytearray(sample.body)
    for place, byte in damage:
        if body:
            body[place % len(body)] = byte
    damaged = replace(sample, body=bytes(body))
    assert decode(damaged, [damaged.body]) == decode(damaged, split(damaged.body, cuts))


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
def test_memory_of_a_body_without_end_is_bounded(piece: bytes) -> None:
    """The body fails or is dropped: never more than the limit is kept."""
    decoder = ResponseDecoder(200, {}, limit=10_000)
    events = [event for _ in range(200) for event in decoder.feed(1, piece)]
    kept = len(decoder._body) + (len(decoder._stream._reader._tail) if decoder._stream else 0)
    if decoder._stream:
        kept += decoder._stream._reader._data_size
    assert kept <= 10_000 + len(piece)
    assert [event.error_type for event in events if isinstance(event, Failed)] in (["too_long"], [])


@pytest.mark.parametrize("streamed", [False, True], ids=["document", "event"])
def test_a_single_document_or_event_may_be_as_large_as_the_largest_reply(streamed: bool) -> None:
    """The reply's own limit is set by the user and holds for the body; the decoder has no lower one."""
    said = "x" * (17 * 1024 * 1024)
    member = "delta" if streamed else "message"
    value = json.dumps({"choices": [{"index": 0, member: {"content": said}, "finish_reason": "stop"}]}).encode()
    sample = sample_of(b"data: " + value + b"\n\n" if streamed else value)
    fold = fold_of(sample, decode(sample, [sample.body[: 1 << 24], sample.body[1 << 24 :]]))
    assert fold.outcome() is Outcome.OK
    assert fold.text(Channel.ANSWER) == said


def test_deeply_nested_json_is_a_bad_stream() -> None:
    """Deep nesting does not exhaust the stack."""
    body = b"data: " + b'{"a":' * 100_000 + b"\n\n"
    assert fold_of(sample_of(body), decode(sample_of(body), [body])).outcome() is Outcome.BAD_STREAM


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
CUT = Failed(9, Outcome.CONNECTION, "reset")


def test_cut_inside_a_reply_is_a_connection_failure_and_keeps_the_text() -> None:
    """The reply was not complete when the connection broke."""
    body = CHUNK + FINISH[:30]
    fold = fold_of(sample_of(body), decode(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.text(Channel.ANSWER)) == (Outcome.CONNECTION, "Hel")


def test_cut_behind_the_finish_reason_is_flagged_and_ok() -> None:
    """The reply was complete when the connection broke."""
    body = CHUNK + FINISH
    fold = fold_of(sample_of(body), decode(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.notes) == (Outcome.OK, ("cut_after_finish",))


def test_cut_behind_done_is_ignored() -> None:
    """The state of the connection behind [DONE] does not matter."""
    body = CHUNK + b"data: [DONE]\n\n"
    fold = fold_of(sample_of(body), decode(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.notes) == (Outcome.OK, ())


@pytest.mark.parametrize("body", [b"", b"{", b'{"choices":[{}', b"data", b"Internal"])
def test_cut_in_an_undecided_body_is_a_connection_failure(body: bytes) -> None:
    """Half a body is not a failure of the provider."""
    assert fold_of(sample_of(body), decode(sample_of(body), [body], CUT)).outcome() is Outcome.CONNECTION


def test_cut_behind_a_whole_completion_is_ok() -> None:
    """A completion that is whole JSON is complete."""
    body = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}'
    fold = fold_of(sample_of(body), decode(sample_of(body), [body], CUT))
    assert (fold.outcome(), fold.text(Channel.ANSWER)) == (Outcome.OK, "Hello")


def test_cut_error_body_keeps_the_outcome_of_its_status() -> None:
    """The status alone identifies the refusal."""
    sample = sample_of(b'{"error":{"mess', status=401)
    assert fold_of(sample, decode(sample, [sample.body], CUT)).outcome() is Outcome.AUTH


def test_ended_or_failed_is_the_last_event() -> None:
    """`Ended` is the last event of every body without a failure."""
    for sample in PURE:
        events = decode(sample, [sample.body])
        failed = any(isinstance(event, Failed) for event in events)
        assert isinstance(events[-1], Failed if failed else Ended), sample.name


def test_no_events_follow_done_or_a_failure() -> None:
    """The rest of the body is ignored, and `over` is true."""
    for end in (b"data: [DONE]\n\n", b'data: {"error":"gone"}\n\n'):
        decoder = ResponseDecoder(200, {})
        over = []
        for at_ns, read in enumerate((CHUNK, end)):
            decoder.feed(at_ns, read)
            over.append(decoder.over)
        assert over == [False, True]
        assert decoder.feed(3, CHUNK) == []


def test_events_have_the_timestamp_of_the_read_that_completed_their_line() -> None:
    """A late blank line does not make its event late, and all events in a read have its timestamp."""
    decoder = ResponseDecoder(200, {})
    events = decoder.feed(1, CHUNK[:20])
    events += decoder.feed(2, CHUNK[20:-1])
    events += decoder.feed(3, b"\n" + CHUNK + CHUNK)
    assert [event.at_ns for event in events if isinstance(event, Text)] == [2, 3, 3]


def test_text_held_back_for_a_tag_counts_as_an_event() -> None:
    """A chunk whose text may be part of a tag is an empty chunk until then; the text keeps its timestamp."""
    decoder = ResponseDecoder(200, {})
    assert decoder.feed(1, CHUNK.replace(b"Hel", b"<")) == [EmptyChunk(1)]
    events = decoder.feed(2, CHUNK)
    assert [(event.at_ns, event.text) for event in events if isinstance(event, Text)] == [(1, "<"), (2, "Hel")]


def test_text_held_back_to_the_end_does_not_move_the_last_event() -> None:
    """The last event remains the last one that carried data."""
    sample = sample_of(b"")
    decoder = ResponseDecoder(200, {})
    events = decoder.feed(1, CHUNK.replace(b"Hel", b"<")) + decoder.feed(2, CHUNK.replace(b"Hel", b""))
    fold = fold_of(sample, [*events, *decoder.close(3)])
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
def test_request_id_is_taken_from_the_body_without_a_header(
    body: bytes, status: int, headers: dict[str, str], expected: str
) -> None:
    """The first id in a stream or in an error is taken; a header takes precedence."""
    sample = sample_of(body, status, headers)
    started = fold_of(sample, decode(sample, [body])).response_started
    assert started is not None
    assert started.request_id == expected


def test_invalid_utf8_is_replaced_and_flagged_once_per_frame() -> None:
    """Invalid bytes become the replacement character."""
    body = CHUNK.replace(b"Hel", b"\xff\xfe")
    events = decode(sample_of(body), [body])
    assert [event.flag for event in events if isinstance(event, Flagged)] == ["invalid_utf8"]


@pytest.mark.parametrize(
    ("body", "outcome", "answer"),
    [
        (b'data: {"say":"Hel"}\n\ndata: {}\n\ndata: {"say":"lo"}\n\ndata: {"stop":1}\n\n', Outcome.OK, "Hello"),
        (b'data: {"say":"Hel"}\n\n', Outcome.TRUNCATED, "Hel"),
        (b'data: {"say":"Hel"}\n\ndata: {"error":{"message":"no"}}\n\n', Outcome.PROVIDER_ERROR, "Hel"),
        (b'{"say":"Hello"}', Outcome.OK, "Hello"),
        (b'{"sing":"Hello"}', Outcome.BAD_STREAM, None),
    ],
)
def test_another_dialect_needs_only_a_decoder(body: bytes, outcome: Outcome, answer: str | None) -> None:
    """Framing, failures and the end of the response are the same for every dialect."""
    decoder = ResponseDecoder(200, {}, dialect=EchoDialect)
    events = [event for place in range(len(body)) for event in decoder.feed(7, body[place : place + 1])]
    over = decoder.over
    fold = fold_of(sample_of(body), [*events, *decoder.close(8)])
    assert (fold.outcome(), fold.text(Channel.ANSWER)) == (outcome, answer)
    assert over == (b"stop" in body or b"error" in body)
