"""Replayed runs: the same replies, the same failures, in the same order, marked as replayed."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Failed, Outcome
from runner.simulator.replay import replay_response
from runner.simulator.response_steps import FOREVER_NS, TIMESTAMP_BYTES, Ending, Framing
from runner.storage.recordings.recording_format import Label
from tests.support.command import TIMEOUT_S, compare, read_lines, read_rows, write_config, write_yaml
from tests.support.recorded_replies import recorded_reply, replaying, write_recordings
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    ScriptedReply,
    delta_event,
    http_chunk,
    http_head,
    json_reply,
    serve,
    streamed_reply,
)

TOLD = ("case", "turn", "repeat", "provider", "model", "outcome", "error_type", "finish_reason", "chars", "chunks")
TEXTS = ("prompt", "reply", "reasoning", "response_model", "input_tokens", "output_tokens", "http_status")


def gist(folder: Path) -> list[dict[str, str]]:
    """Return the columns of all rows that hold no time, sorted."""
    rows = [{name: row[name] for name in (*TOLD, *TEXTS)} for row in read_rows(folder)]
    return sorted(rows, key=str)


# Whole runs

SUITE = {
    "version": 1,
    "name": "twice",
    "defaults": {"cache": "bust"},
    "cases": [{"id": "talk", "turns": ["你是谁？", "What did I ask?"]}, {"id": "short", "turns": ["Say hi."]}],
}
TARGETS = ("-m", "sim/quick", "-m", "sim/thinker", "-m", "sim/exact?ttft_ms=20&gap_ms=2&tokens=12")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a run against the simulator was recorded as `out`."""
    folder = tmp_path_factory.mktemp("recorded")
    write_yaml(folder / "s.yaml", SUITE)
    done = compare(folder, "run", "s.yaml", *TARGETS, "--repeat", "2", "--seed", "1", "--record", "-o", "out")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("pace", [(), ("--fast",)], ids=["paced", "fast"])
def test_a_replayed_run_has_the_recorded_replies(recorded: Path, tmp_path: Path, pace: tuple[str, ...]) -> None:
    """Texts, finish reasons, counts and chunks are those of the recording, at any pace and with other nonces."""
    out = tmp_path / "again"
    done = compare(recorded, "run", "s.yaml", "--replay", "out", *pace, "--repeat", "2", "--seed", "1", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert gist(out) == gist(recorded / "out")
    assert "no provider is asked" in done.stderr
    assert "played back" in done.stdout
    (header,) = read_lines(out, "header")
    assert (header["replay_of"], header["simulated"]) == ("out", True)


def test_a_recorded_replay_has_the_recorded_replies(recorded: Path, tmp_path: Path) -> None:
    """A recording of a replay can be used like any other; its simulated timestamps are new."""
    out = tmp_path / "copy"
    options = ("--replay", "out", "--fast", "--record", "--seed", "1")
    compare(recorded, "run", "s.yaml", *options, "-o", str(out))
    assert compare(tmp_path, "rederive", "copy").stdout.startswith("unchanged: 9, changed: 0, not recorded: 0")
    for line in read_lines(out, "record"):
        assert sum(line["origin_us"]) < 60e6, "a timestamp of the recording would lie far before the request"
        assert line["origin_us"][0] > -1e6


def refused(folder: Path, *arguments: str) -> str:
    """Run a command that must end with exit code 2 and write nothing; return its message."""
    done = compare(folder, "run", "s.yaml", *arguments, "-o", "never")
    assert done.returncode == 2, done.stdout
    assert not (folder / "never").exists()
    return done.stderr


def test_a_replay_that_is_impossible_is_refused(recorded: Path) -> None:
    """Errors: an unrecorded target, --fast without a replay, and a run without recordings."""
    assert "sim/steady was not recorded in out. Recorded: sim/" in refused(
        recorded, "--replay", "out", "-m", "sim/steady"
    )
    assert "deepseek/m was not recorded in out" in refused(recorded, "--replay", "out", "-m", "deepseek/m")
    assert "add --replay RUN" in refused(recorded, "--fast")
    assert "there is no nowhere" in refused(recorded, "--replay", "nowhere")
    compare(recorded, "run", "s.yaml", "-m", "sim/quick", "-k", "short", "-o", "plain")
    assert "record a run first" in refused(recorded, "--replay", "plain")


def test_a_suite_may_list_more_than_was_recorded(recorded: Path, tmp_path: Path) -> None:
    """The recorded targets answer, although the suite names others whose keys are not set."""
    path = write_yaml(tmp_path / "more.yaml", {**SUITE, "targets": [{"provider": "zhipu"}, {"provider": "sim"}]})
    done = compare(recorded, "run", str(path), "--replay", "out", "--fast", "-k", "short", "-o", str(tmp_path / "more"))
    assert done.returncode == 0, done.stderr
    assert {row["provider"] for row in read_rows(tmp_path / "more")} == {"sim"}


def test_user_prices_do_not_stop_a_replay(recorded: Path, tmp_path: Path) -> None:
    """A replay costs nothing, whatever prices compare.yaml holds for real runs."""
    write_yaml(tmp_path / "s.yaml", SUITE)
    prices = {"deepseek/*": {"currency": "CNY", "input": 2, "output": 8}}
    write_yaml(tmp_path / "compare.yaml", {"prices": prices})
    done = compare(tmp_path, "run", "s.yaml", "--replay", str(recorded / "out"), "--fast", "-k", "short", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert {row["cost"] for row in read_rows(tmp_path / "out")} == {""}


def test_a_replay_is_resumed_only_as_a_replay(recorded: Path, tmp_path: Path) -> None:
    """No journal mixes replayed replies with those of a provider."""
    out = str(tmp_path / "played")
    compare(recorded, "run", "s.yaml", "--replay", "out", "--fast", "-k", "short", "-o", out)
    done = compare(recorded, "run", "s.yaml", "--resume", out)
    assert (done.returncode, "Add --replay out" in done.stderr) == (2, True)
    done = compare(recorded, "run", "s.yaml", "--resume", "out", "--replay", "out")
    assert (done.returncode, "would mix" in done.stderr) == (2, True)


HALF = b"%x\r\n%b" % (4000, delta_event("Hel"))

KINDS: Mapping[str, ScriptedReply | Sequence[ScriptedReply]] = {
    "good": streamed_reply("Hel", "lo ", "你好", pause_s=0.01),
    "limited": [
        json_reply("429 Slow", {"error": {"message": "too often"}}, retry_after_ms="10"),
        streamed_reply("at ", "last"),
    ],
    "refused": json_reply("401 No", {"error": {"message": "bad key"}, "request_id": "r-9"}),
    "own-status": json_reply("520 Web", "<html><title>Origin down</title></html>"),
    "whole": json_reply("200 OK", {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}),
    "empty": ScriptedReply([(0, http_head(content_length="0"))]),
    "truncated": ScriptedReply([(0, STREAM_HEAD + http_chunk(delta_event("Hel")) + b"0\r\n\r\n")]),
    "cut": ScriptedReply([(0, STREAM_HEAD), (0.01, HALF)], "close"),
    "large": ScriptedReply([(0, STREAM_HEAD), *[(0, http_chunk(delta_event("x" * 50) * 100))] * 100], "close"),
    "mute": ScriptedReply([(0, b"")], "close"),
    "silent": ScriptedReply([(0, STREAM_HEAD), (0.01, http_chunk(delta_event("Hel")))], linger_s=5),
    "headless": ScriptedReply([(0, b"")], linger_s=5),
    "done-and-cut": ScriptedReply(
        [(0, STREAM_HEAD + http_chunk(delta_event("Hel") + FINISH_EVENT + DONE_EVENT))], "close"
    ),
}


RUNS = ("out", "again")


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which failures of all kinds were recorded as `out`; their servers have ended."""
    folder = tmp_path_factory.mktemp("failing")
    defaults = {"timeouts": {"first_token": 1, "idle": 1}, "reply_limit": "100kB"}
    cases = [{"id": "hi", "turns": ["Hi"]}]
    write_yaml(folder / "s.yaml", {"version": 1, "name": "failing", "defaults": defaults, "cases": cases})
    with ExitStack() as stack:
        urls = {name: stack.enter_context(serve(answer)).url for name, answer in KINDS.items()}
        rows = {name: {"base_url": url, "keyless": True, "models": ["m"]} for name, url in urls.items()}
        write_config(folder, **rows)
        done = compare(folder, "run", "s.yaml", "--record", "-o", "out")
    (folder / "compare.yaml").unlink()
    assert done.returncode == 3, done.stderr
    return folder


def test_recorded_failures_are_replayed(failing: Path) -> None:
    """Refusals, retries, cuts and silence end as recorded, and providers of the same model are distinguished."""
    done = compare(failing, "run", "s.yaml", "--replay", "out", "--fast", "-o", "again")
    assert done.returncode == 3, done.stderr
    assert gist(failing / "again") == gist(failing / "out")
    before, after = (
        [(line["target"], line["outcome"]) for line in read_lines(failing / run, "attempt")] for run in RUNS
    )
    assert sorted(before) == sorted(after)
    assert ("limited/m", "rate_limited") in before
    assert {row["simulated"] for row in read_rows(failing / "again")} == {"true"}


# The server alone


def ask(url: str, *said: str, model: str = "m", **more: object) -> tuple[int, Mapping[str, str], bytes]:
    """Ask a server as any client would; return status, headers and body."""
    messages = [{"role": "user", "content": text} for text in said]
    body = json.dumps({"model": model, "messages": messages, **more}).encode()
    try:
        with urlopen(Request(f"{url}/chat/completions", body), timeout=TIMEOUT_S) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as refusal:
        return refusal.code, dict(refusal.headers), refusal.read()


def refusal_of(answer: tuple[int, Mapping[str, str], bytes]) -> tuple[int, str]:
    """Return the status and the words of a refusal."""
    status, _, body = answer
    return status, json.loads(body)["error"]["message"]


CANCELLED = Failed(9, Outcome.CANCELLED, "the run was interrupted")


def test_any_client_can_ask_the_replay_server(tmp_path: Path) -> None:
    """Questions are found by model and messages.

    Repeats are returned in the order in which they were sent, cyclically.
    """
    later, first = recorded_reply("acme", "Hi", "second", sent_ns=20), recorded_reply("acme", "Hi", "first", sent_ns=10)
    other = recorded_reply("ernie", "Hi", "other", sent_ns=30)
    warmup = recorded_reply("acme", "Hi", "warm", sent_ns=1, warmup=True)
    withheld = recorded_reply("acme", "Secret", "", sent_ns=40, withheld=True)
    broken = recorded_reply("acme", "Endless", "Hel", sent_ns=50, failed=CANCELLED)
    write_recordings(tmp_path, [later, first, other, warmup, withheld, broken])
    with replaying(tmp_path) as (url, lines):
        assert lines[0].startswith("6 recorded replies at http://127.0.0.1:")
        assert url.endswith("/v1")
        only_acme, only_ernie = (f"{url.removesuffix('/v1')}/{name}/v1" for name in ("acme", "ernie"))
        replies = [ask(only_acme, "Hi", temperature=place / 10)[2] for place in range(5)]
        assert replies == [b"first", b"second", b"first", b"second", b"first"]
        status, headers, body = ask(only_ernie, "Hi", stream=True)
        assert (status, body, headers["x-simulated"], headers["x-request-id"]) == (200, b"other", "true", "id-30")
        assert [ask(url, "Hi")[2] for _ in range(4)] == [b"first", b"second", b"other", b"first"]
        assert refusal_of(ask(url, "Hello"))[1].startswith("'m' was not asked this")
        assert refusal_of(ask(url, "Hi", model="n")) == (404, "The model 'n' was not recorded. There is: m.")
        assert "it contains a key" in refusal_of(ask(url, "Secret"))[1]
        assert "interrupted" in refusal_of(ask(url, "Endless"))[1]
        assert refusal_of(ask(url.replace("/v1", "/nobody/v1"), "Hi")) == (
            404,
            "Nothing of 'nobody' was recorded; there is acme, ernie.",
        )
        assert refusal_of(ask(url))[0] == 400
        with urlopen(f"{url}/models", timeout=TIMEOUT_S) as answer:
            assert [model["id"] for model in json.load(answer)["data"]] == ["m"]


def ask_replay_of_hi(folder: Path, prompt: str) -> tuple[CompletedProcess[str], dict[str, str]]:
    """Ask a replay in which only "Hi" was recorded; return the finished command and its row."""
    said = delta_event("Hello", finish_reason="stop").decode()
    write_recordings(folder, [recorded_reply("acme", "Hi", said, sent_ns=10)])
    write_yaml(folder / "s.yaml", {"cases": [{"id": "hi", "prompt": prompt}]})
    with replaying(folder) as (url, _):
        write_config(folder, mine={"base_url": url, "keyless": True, "models": ["m"]})
        done = compare(folder, "run", "s.yaml", "-o", "asked")
    (row,) = read_rows(folder / "asked")
    return done, row


def test_a_provider_pointed_at_a_replay_is_marked(tmp_path: Path) -> None:
    """Rows say `simulated` because the head of each reply says so, whatever the provider's row says."""
    done, row = ask_replay_of_hi(tmp_path, "Hi")
    assert done.returncode == 0, done.stderr
    assert (row["reply"], row["simulated"]) == ("Hello", "true")


def test_a_question_that_was_not_recorded_is_named_as_such(tmp_path: Path) -> None:
    """The hint is about the recording, and not about base_url."""
    done, row = ask_replay_of_hi(tmp_path, "Another")
    assert (row["outcome"], row["error_type"]) == ("not_found", "not_recorded")
    assert "not recorded" in done.stdout + done.stderr
    assert "base_url" not in done.stdout + done.stderr


# One recording

timestamps = st.integers(0, 10**12)


@given(
    sent=st.integers(-(10**12), 10**12),
    head_ns=timestamps,
    later=st.lists(st.tuples(timestamps, st.binary(min_size=1, max_size=20)), min_size=1, max_size=9),
)
def test_a_replayed_read_is_due_when_it_was_recorded(sent: int, head_ns: int, later: list[tuple[int, bytes]]) -> None:
    """At the recorded pace, head and reads keep their distance from the request; with fast, they are due at once."""
    label = Label("k", 1, "acme", "m", "c", epoch_ns=0, sent_ns=sent, status=200, headers_ns=sent + head_ns)
    reads = [(sent + after, data) for after, data in sorted(later)]
    paced, fast = replay_response(label, reads, fast=False), replay_response(label, reads, fast=True)
    assert paced.head_due_ns == head_ns
    assert [(step.due_ns, step.head) for step in paced.steps] == [(at - sent, data) for at, data in reads]
    assert [(step.due_ns, step.head) for step in fast.steps] == [(0, data) for _, data in reads]
    assert (paced.framing, paced.ending, fast.head_due_ns) == (Framing.CHUNKED, Ending.KEEP, 0)


@pytest.mark.parametrize("fast", [False, True])
def test_a_recorded_silence_is_replayed_as_silence(*, fast: bool) -> None:
    """A reply that never came does not become a closed connection, at any pace."""
    timeout = Failed(5_000_000_000, Outcome.TIMEOUT, "no text", error_type="idle")
    label = Label("k", 1, "acme", "m", "c", epoch_ns=0, sent_ns=0, status=200, headers_ns=1, failed=timeout)
    played = replay_response(label, [(2, b"x")], fast=fast)
    assert [step.due_ns for step in played.steps] == [0 if fast else 2, FOREVER_NS]


def test_simulated_timestamps_are_renewed_in_a_replay() -> None:
    """The simulator's own timestamps are replaced by new ones; replies of others are not changed."""
    event = b'data: {"a":1,"sent_ns":%19d}\n\n' % 7
    text = b'{"said":"\\"sent_ns\\": 12"}'
    real = Label("k", 1, "acme", "m", "c", epoch_ns=0, sent_ns=0, status=200, headers_ns=0)
    simulated = replace(real, headers={"x-simulated": "true"})
    steps = tuple(replay_response(simulated, [(0, event + text + event)], fast=True).steps)
    assert sum(step.size for step in steps) == 2 * len(event) + len(text)
    timestamp = b"." * TIMESTAMP_BYTES
    written = b"".join(step.head + (b"" if step.tail is None else timestamp + step.tail) for step in steps)
    assert written == (event + text + event).replace(b"%19d" % 7, timestamp)
    assert [step.head for step in replay_response(real, [(0, event)], fast=True).steps] == [event]
