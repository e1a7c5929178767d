"""Recordings: they round-trip, survive torn files, agree with the journal, and contain no key."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from gzip import compress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Failed, Outcome
from runner.core.suite import MAX_REPLY_LIMIT, Case, Parameters
from runner.errors import JournalError
from runner.planning.request import Request, Target
from runner.providers.key import Key
from runner.providers.redaction import MARK, Redactor
from runner.storage.recordings.reader import MAGIC, RECORDINGS_FILE, Recordings, read_recordings, scan_recordings
from runner.storage.recordings.recording_format import (
    DamagedRecording,
    Label,
    Reads,
    ReadsPacker,
    conversation_digest,
    decode_label,
    encode_frame,
    encode_label,
    pack_reads,
    read_label,
    unpack_reads,
)
from runner.storage.recordings.writer import RecordingWriter
from runner.wire.response_recording import RecordingBuffer, decode_recording, hide_keys
from tests.support.command import compare, read_lines, write_config, write_yaml
from tests.support.echoed_keys import ECHOES, VARIABLE, echoing_servers, is_in, make_key
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    ReceivedRequest,
    ScriptedReply,
    delta_event,
    event_stream,
    http_chunk,
    http_head,
    json_reply,
    serve,
    sse_event,
    streamed_reply,
)
from tests.support.scripted_server import (
    ScriptedServer as Server,
)

LABEL = Label("k-1", 1, "acme", "m", "c-1", epoch_ns=0)

timestamps = st.integers(-(2**61), 2**61)
failures = st.builds(
    Failed,
    timestamps,
    st.sampled_from(Outcome),
    st.text(),
    error_type=st.none() | st.text(),
    http_status=st.none() | st.integers(100, 999),
    retry_after_s=st.none() | st.floats(0, 1e6),
    worth_repeating=st.booleans(),
)
labels = st.builds(
    Label,
    key=st.text(max_size=20),
    attempt=st.integers(1, 9),
    provider=st.text(max_size=9),
    model=st.text(max_size=9),
    conversation=st.text(max_size=16),
    epoch_ns=timestamps,
    sent_ns=st.none() | timestamps,
    status=st.none() | st.integers(100, 999),
    headers=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
    headers_ns=st.none() | timestamps,
    closed_ns=st.none() | timestamps,
    failed=st.none() | failures,
    flags=st.lists(st.text(max_size=9), max_size=2).map(tuple),
    body_flags=st.none() | st.lists(st.text(max_size=9), max_size=2).map(tuple),
    warmup=st.booleans(),
    withheld=st.booleans(),
)
reads = st.lists(st.tuples(timestamps, st.binary(max_size=50)), max_size=20)
recordings = st.lists(st.tuples(labels, reads), min_size=1, max_size=4)


def write(folder: Path, taken: Sequence[tuple[Label, Reads]]) -> list[int]:
    """Write recordings to a new file; return where each frame ends."""
    (folder / RECORDINGS_FILE).unlink(missing_ok=True)
    ends = []
    with RecordingWriter(folder) as writer:
        for label, chunks in taken:
            writer.append_bytes(encode_frame(label, pack_reads(chunks)))
            ends.append((folder / RECORDINGS_FILE).stat().st_size)
    return ends


def contents(found: Recordings) -> list[tuple[Label, list[tuple[int, bytes]]]]:
    """Return all recordings of a file."""
    return [(entry.label, found.reads(entry)) for entry in found.entries]


@given(taken=recordings)
def test_recordings_round_trip(tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[Label, Reads]]) -> None:
    """Labels and reads are read as they were written."""
    folder = tmp_path_factory.mktemp("run")
    write(folder, taken)
    found = read_recordings(folder)
    assert contents(found) == taken
    assert not found.is_torn


@given(taken=recordings, more=recordings, data=st.data())
def test_a_torn_frame_affects_no_other(
    tmp_path_factory: pytest.TempPathFactory,
    taken: list[tuple[Label, Reads]],
    more: list[tuple[Label, Reads]],
    data: st.DataObject,
) -> None:
    """Cut anywhere, a file holds the frames before the cut, reports that it is torn, and can be appended to."""
    folder = tmp_path_factory.mktemp("run")
    ends = write(folder, taken)
    size = data.draw(st.integers(0, ends[-1]), label="cut at")
    path = folder / RECORDINGS_FILE
    path.write_bytes(path.read_bytes()[:size])
    whole = [take for take, end in zip(taken, ends, strict=True) if end <= size]
    found = scan_recordings(folder)
    assert contents(found) == whole
    assert found.is_torn == (size > max((end for end in (len(MAGIC), *ends) if end <= size), default=size))
    with RecordingWriter(folder) as writer:
        for label, chunks in more:
            writer.append_bytes(encode_frame(label, pack_reads(chunks)))
    assert contents(scan_recordings(folder)) == [*whole, *more]


@given(taken=recordings, data=st.data())
def test_a_damaged_file_is_never_misread(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[Label, Reads]], data: st.DataObject
) -> None:
    """With one byte changed, a file is refused, cut short, or read as it was."""
    folder = tmp_path_factory.mktemp("run")
    size = write(folder, taken)[-1]
    path = folder / RECORDINGS_FILE
    damaged = bytearray(path.read_bytes())
    damaged[data.draw(st.integers(0, size - 1), label="at")] ^= data.draw(st.integers(1, 255), label="by")
    path.write_bytes(damaged)
    with suppress(JournalError):
        found = contents(scan_recordings(folder))
        assert found == taken[: len(found)]


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    """The errors for a missing, foreign or empty file say what to do."""
    with pytest.raises(JournalError, match="record a run first"):
        read_recordings(tmp_path)
    (tmp_path / RECORDINGS_FILE).write_bytes(b"compare recordings 2\n")
    with pytest.raises(JournalError, match="upgrade compare"):
        read_recordings(tmp_path)
    write(tmp_path, [])
    with pytest.raises(JournalError, match="no complete recording"):
        read_recordings(tmp_path)


# Keys

KEY = "sk-0123456789abcdef"
SECRETIVE = Redactor([Key(KEY, "ACME_API_KEY")])

texts_with_keys = st.lists(st.sampled_from([KEY, KEY[:7], KEY[7:], "x", "你", '"}\n\n']), max_size=12).map("".join)


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    """Return bytes cut at some places."""
    bounds = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(bounds)]


@given(text=texts_with_keys, places=st.lists(st.integers(0, 300), max_size=8), slice_size=st.integers(1, 4))
def test_a_key_is_found_and_redacted_however_it_is_cut(text: str, places: list[int], slice_size: int) -> None:
    """The redacted reads join to the redacted text; no read is lost; the buffer reports whether it held a key."""
    chunks = list(enumerate(cut(text.encode(), places)))
    buffer = RecordingBuffer(SECRETIVE)
    for start in range(0, len(chunks), slice_size):
        buffer.add(chunks[start : start + slice_size])
    packed = buffer.finish()
    assert unpack_reads(packed) == chunks
    assert buffer.holds_key == (KEY in text)
    hidden = hide_keys(packed, SECRETIVE)
    assert b"".join(data for _, data in hidden).decode() == SECRETIVE.by_value(text) == text.replace(KEY, MARK)
    assert [at_ns for at_ns, _ in hidden] == [at_ns for at_ns, _ in chunks]


def texts_of(found: Recordings) -> Iterator[str]:
    """Yield all texts in recordings: labels, bytes, and what is decoded from the bytes."""
    for entry in found.entries:
        chunks = found.reads(entry)
        fold = decode_recording(entry.label, chunks)
        yield str(entry.label)
        yield b"".join(data for _, data in chunks).decode("utf-8", "replace")
        yield str(
            [getattr(fold, name) for name in ("failed", "response_started", "usage", "finish_reason", "response_model")]
        )
        yield "".join(fold.text(channel) or "" for channel in ("r", "a", "t"))  # type: ignore[arg-type] # its letters


@pytest.mark.parametrize("prefix", ["sk-", pytest.param("plain-", marks=pytest.mark.thorough)])
def test_no_recording_contains_a_key(tmp_path: Path, prefix: str) -> None:
    """This holds for every place and every cut in which a server echoes a key."""
    key = make_key(prefix)
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "echo", "cases": [{"id": "one", "turns": ["Hi"]}]})
    with echoing_servers(tmp_path):
        done = compare(tmp_path, "run", "s.yaml", "--record", "-o", "out", variables={VARIABLE: key})
    assert done.returncode == 3, done.stderr
    found = read_recordings(tmp_path / "out")
    assert {entry.label.provider for entry in found.entries} == ECHOES.keys()
    assert [text for text in texts_of(found) if is_in(text, key)] == []
    withheld = [entry.label.provider for entry in found.entries if entry.label.withheld]
    assert "spoken-in-pieces" in withheld, "a key spread over many events cannot be redacted"
    assert {"headed", "named", "counted", "led-on", "paged", "cut"}.isdisjoint(withheld)
    again = compare(tmp_path, "rederive", "out", "-o", "again")
    assert again.returncode == 0, again.stderr
    assert f"not recorded: {len(withheld)}" in again.stdout


# Rederived runs

COUNTED = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
ANSWER = {"id": "c-1", "model": "m-1", "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
ZIPPED = compress(delta_event("Hel") + delta_event("lo") + FINISH_EVENT + DONE_EVENT)
HALF = b"%x\r\n%b" % (4000, delta_event("Hel"))


def rate_limited_once(asked: ReceivedRequest) -> ScriptedReply:
    """Refuse the first attempt and answer the second."""
    if asked.number == 0:
        return json_reply("429 Slow", {"error": {"message": "too often"}}, retry_after_ms="10", x_request_id="r-1")
    return streamed_reply("at ", "last")


def without_usage(asked: ReceivedRequest) -> ScriptedReply:
    """Refuse stream_options, as servers without usage do."""
    if b"stream_options" in asked.content:
        return json_reply("400 Bad", {"error": {"message": "stream_options is not supported"}})
    return streamed_reply("uncounted")


ROUTED = {"x_litellm_model_api_base": "me:ROUTER-KEY@api.example/v1?api_key=ROUTER-KEY"}

KINDS: dict[str, ScriptedReply | Callable[[ReceivedRequest], ScriptedReply]] = {
    "routed": event_stream(delta_event("Hi"), **ROUTED),
    "good": streamed_reply("Hel", "lo ", "你好", pause_s=0.02, first_s=0.03),
    "thinking": streamed_reply("<thi", "nk>hm</think>", "well"),
    "whole": json_reply("200 OK", {**ANSWER, "usage": COUNTED}),
    "split": ScriptedReply(
        [
            (0, STREAM_HEAD),
            *[(0.005, http_chunk(bytes([byte]))) for byte in delta_event("é") + FINISH_EVENT + DONE_EVENT],
            (0, b"0\r\n\r\n"),
        ]
    ),
    "zipped": ScriptedReply([(0, http_head(content_encoding="gzip", content_length=str(len(ZIPPED))) + ZIPPED)]),
    "misnamed": json_reply("200 OK", ANSWER, content_encoding="gzip"),
    "garbled": event_stream(delta_event("x").replace(b"x", b"\xff")),
    "limited": rate_limited_once,
    "uncounting": without_usage,
    "refused": json_reply("401 No", {"error": {"message": "bad key", "code": "k"}, "request_id": "r-9"}),
    "own-status": json_reply("520 Web", "<html><title>Origin down</title></html>"),
    "paged": json_reply("200 OK", "<html><title>Sign in</title></html>"),
    "moved": ScriptedReply([(0, http_head("307 Moved", location="https://elsewhere.test/", content_length="0"))]),
    "truncated": ScriptedReply([(0, STREAM_HEAD + http_chunk(delta_event("Hel")) + b"0\r\n\r\n")]),
    "midway": ScriptedReply(
        [(0, STREAM_HEAD + http_chunk(delta_event("Hel") + sse_event({"error": {"message": "no"}})) + b"0\r\n\r\n")]
    ),
    "cut": ScriptedReply([(0, STREAM_HEAD), (0.01, HALF)], "close"),
    "reset": ScriptedReply([(0, STREAM_HEAD), (0.01, http_chunk(delta_event("Hel"))), (0.05, b"")], "reset"),
    "large": ScriptedReply([(0, STREAM_HEAD), *[(0, http_chunk(delta_event("x" * 50) * 100))] * 100], "close"),
    "mute": ScriptedReply([(0, b"")], "close"),
    "silent": ScriptedReply([(0, STREAM_HEAD), (0.01, http_chunk(delta_event("Hel")))], linger_s=5),
    "headless": ScriptedReply([(0, b"")], linger_s=5),
}
"""Provider -> its server; together they cover every kind of response."""

UNREACHABLE = "http://127.0.0.1:9/v1"


@contextmanager
def all_kinds(folder: Path) -> Iterator[dict[str, Server]]:
    """Run all these servers, and write their compare.yaml and a suite."""
    timeouts = {"connect": 5, "first_token": 1, "idle": 1, "total": 20}
    cases = [{"id": "hi", "turns": ["Hi"]}]
    write_yaml(
        folder / "s.yaml",
        {"version": 1, "name": "kinds", "defaults": {"timeouts": timeouts, "reply_limit": "100kB"}, "cases": cases},
    )
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serve(answer)) for name, answer in KINDS.items()}
        urls = {**{name: server.url for name, server in servers.items()}, "unreachable": UNREACHABLE}
        write_config(
            folder, **{name: {"base_url": url, "keyless": True, "models": ["m"]} for name, url in urls.items()}
        )
        yield servers


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a run against all servers was recorded as `out`."""
    folder = tmp_path_factory.mktemp("kinds")
    with all_kinds(folder):
        done = compare(folder, "run", "s.yaml", "--record", "-o", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    return folder


def test_rederived_records_equal_the_recorded_ones(recorded: Path) -> None:
    """The bytes decode to the same records and failed attempts, timestamps included, whatever the response was."""
    done = compare(recorded, "rederive", "out", "-o", "again")
    assert done.returncode == 0, done.stderr
    lines = [*read_lines(recorded / "out", "record"), *read_lines(recorded / "out", "attempt")]
    assert f"unchanged: {len(lines)}, changed: 0, not recorded: 0" in done.stdout
    again = [*read_lines(recorded / "again", "record"), *read_lines(recorded / "again", "attempt")]
    assert again == lines
    assert {line["outcome"] for line in lines} >= {
        *(
            "ok",
            "rate_limited",
            "bad_request",
            "auth",
            "provider_error",
            "bad_stream",
            "truncated",
            "connection",
            "timeout",
            "too_large",
        )
    }
    assert (recorded / "again" / "report.html").stat().st_size > 0


@pytest.mark.parametrize(
    ("body_flags", "notes"),
    [(("reads_paused",), ("reads_paused",)), ((), ()), (None, ("compressed",))],
    ids=["paused", "plain", "older"],
)
def test_flags_of_how_a_body_was_received_are_in_the_label(
    body_flags: tuple[str, ...] | None, notes: tuple[str, ...]
) -> None:
    """They do not follow from the reads.

    Older recordings have only the header, which may name a coding for plain text.
    """
    label = replace(LABEL, status=200, headers={"content-encoding": "gzip"}, headers_ns=1, body_flags=body_flags)
    assert decode_recording(decode_label(encode_label(label)), [(2, delta_event("Hi"))]).notes == notes


def test_a_router_s_own_key_is_not_recorded(recorded: Path) -> None:
    """LiteLLM names the address of a model, which may hold a key that this process does not know."""
    found = read_recordings(recorded / "out")
    (routed,) = [entry.label for entry in found.entries if entry.label.provider == "routed"]
    assert routed.headers["x-litellm-model-api-base"] == "api.example"
    assert b"ROUTER-KEY" not in (recorded / "out" / "journal.jsonl").read_bytes()


def test_every_attempt_is_recorded(recorded: Path) -> None:
    """There is a recording for each attempt, retried and unanswered ones included."""
    found = {(entry.label.key, entry.label.attempt) for entry in read_recordings(recorded / "out").entries}
    records = {(line["key"], line.get("attempts", 1)) for line in read_lines(recorded / "out", "record")}
    repeated = {(line["key"], line["attempt"]) for line in read_lines(recorded / "out", "attempt")}
    assert len(repeated) > 2
    assert found == records | repeated


def test_rederive_corrects_a_wrong_journal(recorded: Path, tmp_path: Path) -> None:
    """A record that differs from its bytes is corrected and counted; the others and the run are unchanged."""
    old = tmp_path / "old"
    old.mkdir()
    (old / RECORDINGS_FILE).write_bytes((recorded / "out" / RECORDINGS_FILE).read_bytes())
    journal = (recorded / "out" / "journal.jsonl").read_text(encoding="utf-8")
    assert journal.count('"reply":"well"') == 1
    (old / "journal.jsonl").write_text(journal.replace('"reply":"well"', '"reply":"ill"'), encoding="utf-8")
    done = compare(tmp_path, "rederive", "old")
    assert done.returncode == 0, done.stderr
    assert "changed: 1" in done.stdout
    assert "reply: changed in 1" in done.stdout
    assert read_lines(tmp_path / "old-rederived", "record") == read_lines(recorded / "out", "record")
    assert "ill" in (old / "journal.jsonl").read_text(encoding="utf-8"), "the run itself is left alone"


def test_rederive_copies_records_without_recordings(recorded: Path, tmp_path: Path) -> None:
    """A run that was recorded in part keeps its other records."""
    part = tmp_path / "part"
    part.mkdir()
    (part / "journal.jsonl").write_bytes((recorded / "out" / "journal.jsonl").read_bytes())
    found = read_recordings(recorded / "out")
    write(part, contents(found)[:3])
    done = compare(tmp_path, "rederive", "part")
    assert "unchanged: 3, changed: 0" in done.stdout, done.stderr
    assert read_lines(tmp_path / "part-rederived", "record") == read_lines(recorded / "out", "record")


def test_rederive_refuses_a_used_folder_and_a_run_without_recordings(recorded: Path) -> None:
    """No run is overwritten, and a run without recordings is an error."""
    done = compare(recorded, "rederive", "out", "-o", "out")
    assert (done.returncode, "holds a run already" in done.stderr) == (2, True)
    with serve(streamed_reply("Hi")) as server:
        write_config(recorded, good={"base_url": server.url, "keyless": True, "models": ["m"]})
        compare(recorded, "run", "s.yaml", "-o", "plain", "-p", "good")
    assert not (recorded / "plain" / RECORDINGS_FILE).exists()
    done = compare(recorded, "rederive", "plain")
    assert (done.returncode, "--record" in done.stderr) == (2, True)


def test_a_resumed_run_appends_to_its_recordings(tmp_path: Path) -> None:
    """Each record finds its own bytes, repeated requests included."""
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "twice", "cases": [{"id": "hi", "turns": ["Hi"]}]})
    with serve([json_reply("401 No", {"error": {"message": "no"}}), streamed_reply("now")]) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        compare(tmp_path, "run", "s.yaml", "--record", "-o", "out")
        done = compare(tmp_path, "run", "--resume", "out", "--retry-errors", "--record")
    assert done.returncode == 0, done.stderr
    assert len(read_recordings(tmp_path / "out").entries) == 2
    done = compare(tmp_path, "rederive", "out")
    assert "unchanged: 2, changed: 0, not recorded: 0" in done.stdout, done.stderr


def test_a_small_recording_that_expands_is_refused() -> None:
    """A few kilobytes of a foreign file cannot become gigabytes, of reads or of their number."""
    blanks = zlib.compress(bytes(MAX_REPLY_LIMIT + 1))
    good = pack_reads([(1, b"x")])
    for packed in (replace(good, body=blanks), replace(good, steps=blanks), replace(good, sizes=blanks)):
        with pytest.raises(DamagedRecording, match="larger than those of any recording"):
            unpack_reads(packed)
    with pytest.raises(DamagedRecording):
        read_label(zlib.compress(b" " * 2_000_000))


def test_single_bytes_without_end_are_recorded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of reads, those of a time slice are joined, with the time of the last."""
    monkeypatch.setattr("runner.storage.recordings.recording_format.MAX_SEPARATE_READS", 3)
    packer = ReadsPacker()
    for start in range(0, 9, 3):
        packer.add([(at_ns, b"%d" % at_ns) for at_ns in range(start, start + 3)])
    packer.add([])
    assert unpack_reads(packer.finish()) == [(0, b"0"), (1, b"1"), (2, b"2"), (5, b"345"), (8, b"678")]


# Conversations


@given(content=st.text(max_size=30), other=st.text(max_size=30))
def test_a_conversation_digest_ignores_the_nonce(content: str, other: str) -> None:
    """With `cache: bust` a conversation has the same digest in each run; another conversation has another."""
    target = Target("acme", "m", replace(Parameters(), cache="bust"))
    request = Request(target, Case("one", (content,)), repeat=1, block=1)
    digests = {
        conversation_digest("m", [(message.role, message.content) for message in request.messages(salt)])
        for salt in ("run-1", "run-2")
    }
    assert digests == {conversation_digest("m", [("user", content)])}
    assert (conversation_digest("m", [("user", other)]) in digests) == (content == other)
    assert conversation_digest("m-2", [("user", content)]) not in digests
