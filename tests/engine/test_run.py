"""Runs against scripted servers: lanes, conversations, retries, and interruptions."""

import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.suite import Case, Message, Parameters
from runner.engine.retry import RetryPolicy
from runner.engine.run import open_senders, send_plan
from runner.engine.run_observers import Observer
from runner.engine.send_requests import SendContext
from runner.errors import JournalError
from runner.planning.plan import Order, Plan
from runner.planning.request import Target
from runner.providers.endpoint import Endpoint
from runner.providers.provider_row import ProviderRow
from runner.providers.redaction import Redactor
from runner.storage import journal
from tests.support.command import finish, read_lines, read_rows, start, write_config, write_yaml
from tests.support.plans import first_requests
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    ReceivedRequest,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    http_chunk,
    json_reply,
    serve,
    sse_event,
    streamed_reply,
)
from tests.support.wait_until import until, wait_until

pytestmark = pytest.mark.anyio

TICK_S = 0.005
"""The event loop's timers count whole milliseconds, and may be early by this much."""

QUICK = RetryPolicy(first_wait_s=0.01, longest_wait_s=2.0)
OVERLOADED = json_reply("503 Service Unavailable", {"error": {"message": "overloaded"}})


@dataclass(frozen=True)
class JournalLines:
    """The lines of a run's journal."""

    records: list[Record]
    attempts: list[dict[str, Any]]
    ended: bool

    def outcomes(self, provider: str | None = None) -> list[str]:
        """Return the outcomes of one provider's records, or of all, in their order."""
        return [r.outcome.value for r in self.records if provider in (None, r.identity.provider)]


async def run(
    folder: Path,
    servers: Mapping[str, ScriptedServer],
    cases: Sequence[Case],
    *,
    limit: int = 4,
    parameters: Parameters | None = None,
    order: Order = "blocks",
) -> JournalLines:
    """Send every case to every server, with short waits; return what the journal then holds."""
    targets = tuple(Target(provider, "m-1", parameters or Parameters()) for provider in servers)
    plan = Plan(tuple(cases), targets, seed=1, order=order)
    row = ProviderRow.model_validate({"keyless": True})
    with journal.JournalWriter(folder) as writer:
        writer.append_header(header_of(plan))
        async with open_senders(
            {provider: Endpoint(provider, server.url, None, row) for provider, server in servers.items()},
            dict.fromkeys(servers, limit),
            SendContext(writer, Observer(), Redactor(), "salt"),
            connect_s=5,
        ) as senders:
            for sender in senders.values():
                sender.retry = QUICK
            with anyio.fail_after(20):
                await send_plan(plan, senders, writer)
    written = journal.read(folder)
    return JournalLines(list(written.records), list(written.lines("attempt")), written.end is not None)


def header_of(plan: Plan) -> journal.Header:
    """Return the smallest header of a journal."""
    return journal.Header("run", "suite", "0", 1, "2026-01-01", simulated=False, repeat=1, targets=(), cases=(),
                          planned_requests=len(plan))  # fmt: skip


def cases(count: int) -> list[Case]:
    """Return cases of one turn each."""
    return [Case(f"case-{place}", (f"Question {place}",)) for place in range(count)]


async def test_lane_is_filled_and_never_overfilled(tmp_path: Path) -> None:
    """By the server's own count, each provider has exactly as many requests in flight as its limit allows."""
    full = {name: threading.Event() for name in ("one", "two")}
    servers: dict[str, ScriptedServer] = {}

    def answer_when_full(name: str) -> Any:
        def answer(_: ReceivedRequest) -> ScriptedReply:
            if servers[name].in_flight >= 3:
                full[name].set()
            return ScriptedReply(
                [
                    (full[name], STREAM_HEAD),
                    (0.005, http_chunk(delta_event("Hello") + FINISH_EVENT + DONE_EVENT) + b"0\r\n\r\n"),
                ]
            )

        return answer

    with serve(answer_when_full("one")) as one, serve(answer_when_full("two")) as two:
        servers |= {"one": one, "two": two}
        ran = await run(tmp_path, servers, cases(12), limit=3)
    assert ran.outcomes() == ["ok"] * 24
    assert (one.most_in_flight, two.most_in_flight) == (3, 3)
    assert {record.in_flight for record in ran.records} == {1, 2, 3}
    assert one.connections == 3


async def test_slow_and_failing_providers_hold_up_no_other(tmp_path: Path) -> None:
    """In free order one provider answers only when another has all its requests; a third refuses all."""
    permit = threading.Event()

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 9:
            permit.set()
        return streamed_reply("Hello")

    stalled = ScriptedReply(
        [(permit, STREAM_HEAD), (0, http_chunk(delta_event("Hi") + FINISH_EVENT + DONE_EVENT) + b"0\r\n\r\n")]
    )
    with serve(answer) as brisk, serve(stalled) as slow, serve(OVERLOADED) as broken:
        servers = {"slow": slow, "broken": broken, "brisk": brisk}
        ran = await run(tmp_path, servers, cases(10), limit=2, order="free")
    assert ran.outcomes("brisk") == ran.outcomes("slow") == ["ok"] * 10
    assert ran.outcomes("broken") == ["provider_error"] * 10


async def test_pairs_are_sent_together_whatever_the_lanes_speed(tmp_path: Path) -> None:
    """A lane ten times as fast, and one that refuses everything, send each case together with the slow one."""
    with (
        serve(streamed_reply("Hello")) as brisk,
        serve(streamed_reply("Hello", first_s=0.05)) as slow,
        serve(OVERLOADED) as broken,
    ):
        ran = await run(tmp_path, {"slow": slow, "broken": broken, "brisk": brisk}, cases(12), limit=2)
    assert ran.outcomes("brisk") == ran.outcomes("slow") == ["ok"] * 12
    assert ran.outcomes("broken") == ["provider_error"] * 12
    order = [
        [record.identity.case for record in sorted(ran.records, key=slot_of) if record.identity.provider == name]
        for name in ("slow", "broken", "brisk")
    ]
    assert order[0] == order[1] == order[2]
    slots = sorted(map(slot_of, ran.records))
    groups = [{r.identity.case for r in ran.records if slot_of(r) in slots[at : at + 3]} for at in range(0, 36, 3)]
    assert all(len(group) == 1 for group in groups), "a case began before all targets were asked the one before"


def slot_of(record: Record) -> int:
    """Return the time at which a record's lane permitted its request."""
    assert record.timestamps.slot is not None
    return record.timestamps.slot


async def test_pause_of_one_lane_keeps_pairs_together(tmp_path: Path) -> None:
    """While a lane pauses, the other starts no request that would have no pair."""
    busy = json_reply("429 Too Many Requests", {"error": {"message": "slow down"}}, retry_after_ms="200")

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        return busy if asked.number == 0 else streamed_reply("Hello", first_s=0.02)

    with serve(answer) as server, serve(streamed_reply("Hello")) as other:
        ran = await run(tmp_path, {"one": server, "other": other}, cases(6), limit=2)
    assert ran.outcomes() == ["ok"] * 12
    refused_s = server.requests[0].at_s
    assert all(asked.at_s - refused_s >= 0.2 - TICK_S for asked in other.requests[2:])


async def test_conversation_sends_the_real_replies_as_history(tmp_path: Path) -> None:
    """Each turn sends the given history, and every earlier prompt and reply of its own provider."""
    case = Case("talk", ("One?", "Two?", "Three?"), history=(Message("user", "Hi"), Message("assistant", "Yes?")),
                system="Be brief.")  # fmt: skip
    with (
        serve(lambda asked: streamed_reply("a", str(asked.number))) as one,
        serve(lambda _: streamed_reply("b")) as two,
    ):
        ran = await run(tmp_path, {"one": one, "two": two}, [case])
    assert ran.outcomes() == ["ok"] * 6
    sent = [(message["role"], message["content"]) for message in one.requests[2].json["messages"]]
    history = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?")]
    turns_before = [("user", "One?"), ("assistant", "a0"), ("user", "Two?"), ("assistant", "a1"), ("user", "Three?")]
    assert sent == history + turns_before
    assert [asked.prompt for asked in one.requests] == ["One?", "Two?", "Three?"]
    assert [message["content"] for message in two.requests[2].json["messages"]][4] == "b"
    turns = [record.identity.turn for record in ran.records if record.identity.provider == "one"]
    assert turns == [1, 2, 3]


async def test_turns_after_a_failed_one_are_recorded_as_skipped(tmp_path: Path) -> None:
    """Each has a row, and nothing more of the conversation is sent."""
    with serve([streamed_reply("a"), json_reply("400 Bad Request", {"error": {"message": "no"}})]) as server:
        ran = await run(tmp_path, {"one": server}, [Case("talk", ("One?", "Two?", "Three?", "Four?"))])
    assert ran.outcomes() == ["ok", "bad_request", "skipped", "skipped"]
    assert [record.identity.prompt for record in ran.records] == ["One?", "Two?", "Three?", "Four?"]
    assert [record.attempts for record in ran.records] == [1, 1, 0, 0]
    assert len(server.requests) == 2


async def test_temporary_failure_is_retried(tmp_path: Path) -> None:
    """Attempts that fail before the first text are repeated after a wait, counted, and written to the journal."""
    with serve([OVERLOADED, ScriptedReply([(0, b"")], "close"), streamed_reply("Hello")]) as server:
        ran = await run(tmp_path, {"one": server}, cases(1))
    (record,) = ran.records
    assert (record.outcome, record.reply, record.attempts, len(server.requests)) == (Outcome.OK, "Hello", 3, 3)
    assert [(line["attempt"], line["outcome"]) for line in ran.attempts] == [(1, "provider_error"), (2, "connection")]
    assert [line["key"] for line in ran.attempts] == [record.identity.key] * 2
    assert record.backoff_s >= sum(line["wait_s"] for line in ran.attempts) - TICK_S > 0
    assert record.ttft_s is not None
    assert record.error is None


async def test_retries_end_after_the_last_attempt(tmp_path: Path) -> None:
    """The row has the failure of the last attempt."""
    with serve(OVERLOADED) as server:
        ran = await run(tmp_path, {"one": server}, cases(1))
    assert [(record.outcome.value, record.attempts) for record in ran.records] == [("provider_error", QUICK.attempts)]
    assert (len(server.requests), len(ran.attempts)) == (QUICK.attempts, QUICK.attempts - 1)


ERROR = sse_event({"error": {"message": "overloaded", "code": 503}})


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (
            ScriptedReply([(0, STREAM_HEAD), (0, http_chunk(delta_event("Hel")) + http_chunk(ERROR))], "close"),
            "provider_error",
        ),
        (ScriptedReply([(0, STREAM_HEAD), (0, http_chunk(delta_event("Hel")))], "close"), "connection"),
        (json_reply("401 Unauthorized", {"error": {"message": "bad key"}}), "auth"),
        (json_reply("402 Payment Required", {"error": {"message": "Insufficient Balance"}}), "auth"),
        (json_reply("429 Too Many", {"error": {"code": "1113", "message": "balance used up"}}), "auth"),
        (json_reply("404 Not Found", {"error": {"message": "no such model"}}), "not_found"),
        (json_reply("400 Bad Request", {"error": {"message": "temperature too high"}}), "bad_request"),
        (json_reply("429 Too Many", {"error": {"message": "slow down"}}, retry_after="3600"), "rate_limited"),
    ],
    ids=["error-after-text", "cut-after-text", "key", "balance", "zhipu-balance", "model", "request", "long-wait"],
)
async def test_permanent_failure_is_not_retried(tmp_path: Path, reply: ScriptedReply, outcome: str) -> None:
    """No request is repeated after a first text, or if a retry cannot help."""
    with serve(reply) as server:
        ran = await run(tmp_path, {"one": server}, cases(1))
    assert ran.outcomes() == [outcome]
    assert (len(server.requests), ran.attempts) == (1, [])


async def test_retry_after_pauses_the_whole_lane(tmp_path: Path) -> None:
    """After a 429 the lane sends nothing until the requested wait is over; in free order other lanes continue."""
    busy = json_reply("429 Too Many Requests", {"error": {"message": "slow down"}}, retry_after_ms="300")

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        return busy if asked.number == 0 else streamed_reply("Hello", first_s=0.02)

    with serve(answer) as server, serve(streamed_reply("Hello")) as other:
        ran = await run(tmp_path, {"one": server, "other": other}, cases(6), limit=2, order="free")
    assert ran.outcomes() == ["ok"] * 12
    refused_s = server.requests[0].at_s
    later = [asked.at_s - refused_s for asked in server.requests[2:]]
    assert len(later) == 5
    assert min(later) >= 0.3 - TICK_S
    assert other.requests[2].at_s < min(asked.at_s for asked in server.requests[2:]), "another lane was paused, too"
    assert [line["outcome"] for line in ran.attempts] == ["rate_limited"]
    assert ran.attempts[0]["wait_s"] >= 0.3


async def test_pause_of_a_lane_counts_as_backoff_or_queueing(tmp_path: Path) -> None:
    """It is back-off for the refused request, and time in the queue for one that came while the lane was closed."""
    busy = json_reply("429 Too Many Requests", {"error": {"message": "slow down"}}, retry_after_ms="200")
    with serve([busy, streamed_reply("Hello", first_s=0.02), streamed_reply("Hello")]) as server:
        ran = await run(tmp_path, {"one": server}, cases(4), limit=2)
    refused = next(record for record in ran.records if record.attempts == 2)
    waiting = next(record for record in ran.records if record.attempts == 1 and (record.queue_s or 0) >= 0.1)
    assert refused.backoff_s >= 0.2 - TICK_S
    assert waiting.backoff_s == 0


def refusing(field: str, message: str) -> Any:
    """Return a script that refuses requests with a field, and answers others."""
    refusal = json_reply("400 Bad Request", {"error": {"message": message}})
    return lambda asked: refusal if field in asked.json else streamed_reply("Hello")


async def test_stream_options_are_dropped_when_refused(tmp_path: Path) -> None:
    """A refused field costs one attempt, is left out at once, and is never sent again."""
    with serve(refusing("stream_options", "Unrecognized request argument: stream_options")) as server:
        ran = await run(tmp_path, {"one": server}, cases(4), limit=1)
    assert ran.outcomes() == ["ok"] * 4
    assert ["stream_options" in asked.json for asked in server.requests] == [True, False, False, False, False]
    assert [record.attempts for record in ran.records] == [2, 1, 1, 1]
    assert [line["wait_s"] for line in ran.attempts] == [0]


async def test_requests_in_flight_with_a_refused_field_are_retried_without_it(tmp_path: Path) -> None:
    """Requests sent with the field before the first refusal arrived are also repeated."""
    everyone = threading.Event()

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 3:
            everyone.set()
        refused = json_reply("400 Bad Request", {"error": {"message": "stream_options is not supported"}})
        return (
            ScriptedReply([(everyone, refused.pieces[0][1])])
            if "stream_options" in asked.json
            else streamed_reply("Hello")
        )

    with serve(answer) as server:
        ran = await run(tmp_path, {"one": server}, cases(6), limit=4)
    assert ran.outcomes() == ["ok"] * 6
    assert sum("stream_options" in asked.json for asked in server.requests) == 4


OPENAI_MESSAGE = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)


@pytest.mark.parametrize(
    ("row_field", "message", "sent"),
    [
        ("max_tokens", OPENAI_MESSAGE, [{"max_tokens": 9}, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}]),
        ("max_tokens", "max_tokens is too large: 9", [{"max_tokens": 9}]),
        (
            "max_tokens",
            "max_tokens and max_completion_tokens are not supported",
            [{"max_tokens": 9}, {"max_completion_tokens": 9}],
        ),
    ],
    ids=["renamed", "value-refused", "refused-both"],
)
async def test_max_tokens_is_tried_under_both_names(
    tmp_path: Path, row_field: str, message: str, sent: list[dict[str, int]]
) -> None:
    """If one name is refused the other is tried, and the row says so; a refused value is the row's error at once."""
    refused = {row_field} if message is OPENAI_MESSAGE else {"max_tokens", "max_completion_tokens"}
    refusal = json_reply("400 Bad Request", {"error": {"message": message}})
    with serve(lambda asked: refusal if refused & asked.json.keys() else streamed_reply("Hello")) as server:
        ran = await run(
            tmp_path, {"one": server}, cases(max(len(sent) - 1, 1)), limit=1, parameters=Parameters(max_tokens=9)
        )
    names = ("max_tokens", "max_completion_tokens")
    assert [{name: asked.json[name] for name in names if name in asked.json} for asked in server.requests] == sent
    assert set(ran.outcomes()) == {"ok" if message is OPENAI_MESSAGE else "bad_request"}
    assert all(("adjusted" in record.flags) is (len(sent) > 1) for record in ran.records)


async def test_full_disk_ends_the_run_with_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that cannot be written ends the run with its own error, not with an exception group."""

    def fail(*_: object) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal.JournalWriter, "append_record", fail)
    with serve(streamed_reply("Hello")) as server, pytest.raises(JournalError, match="the disk is full"):
        await run(tmp_path, {"one": server}, cases(8))


async def test_finished_request_is_recorded_despite_an_interruption(tmp_path: Path) -> None:
    """An interruption between the end of a reply and the writing of its record loses nothing."""
    plan = Plan((Case("case", ("Question?",)),), (Target("one", "m-1", Parameters()),))
    row = ProviderRow.model_validate({"keyless": True})
    with serve(streamed_reply("Hello")) as server, journal.JournalWriter(tmp_path) as writer:
        writer.append_header(header_of(plan))
        async with open_senders(
            {"one": Endpoint("one", server.url, None, row)},
            {"one": 1}, SendContext(writer, Observer(), Redactor(), ""), connect_s=5,
        ) as senders, anyio.create_task_group() as tasks:  # fmt: skip
            sender = senders["one"]
            tasks.start_soon(sender.send, next(first_requests(plan)), 0)
            await until(lambda: sender.queues.shared.lane.in_flight == 1)
            await until(lambda: sender.queues.shared.lane.in_flight == 0)
            tasks.cancel_scope.cancel()
    assert [record.outcome for record in journal.read(tmp_path).records] == [Outcome.OK]


PARTIAL = ScriptedReply(
    [(0, STREAM_HEAD + http_chunk(delta_event("Hel")) + http_chunk(delta_event("lo")))], linger_s=60
)


def answer_in_part(asked: ReceivedRequest) -> ScriptedReply:
    """Answer one prompt, start to answer another, and leave the others without a response."""
    if asked.method == "GET":
        return json_reply("404 Not Found", "")
    return {"quick": streamed_reply("Hello", first_s=0.4), "begun": PARTIAL}.get(
        asked.prompt, ScriptedReply([(0, b"")], linger_s=60)
    )


def prepare(folder: Path, server: ScriptedServer) -> Path:
    """Write a suite of these three prompts, one of them with a second turn."""
    write_config(folder, acme={"base_url": server.url, "keyless": True, "models": ["m-1"]})
    suite = {"version": 1, "name": "three", "cases": [{"id": "quick", "prompt": "quick"},
             {"id": "begun", "turns": ["begun", "more"]}, {"id": "silent", "prompt": "silent"}]}  # fmt: skip
    return write_yaml(folder / "suite.yaml", suite)


def await_rows(folder: Path, count: int) -> None:
    """Wait until a journal holds this many records."""
    wait_until((folder / "journal.jsonl").exists)
    wait_until(lambda: len(read_lines(folder, "record")) >= count)


def interrupt(folder: Path, server: ScriptedServer, number: int, program: tuple[str, ...] = ("-m", "runner")) -> Any:
    """Start a run, wait until one of its requests is finished, and send it a signal."""
    process = start(folder, "run", "suite.yaml", "-o", "out", "--progress", "plain", program=program)
    try:
        server.wait_for_requests(3)
        await_rows(folder / "out", 1)
    except BaseException:
        print(finish_hard(process))
        raise
    process.send_signal(number)
    return process


def finish_hard(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Kill a process that should have ended, and return its output."""
    process.kill()
    return finish(process)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_interrupted_run_keeps_finished_and_partial_rows(tmp_path: Path, number: int) -> None:
    """The first signal ends the run: finished rows stay, unfinished ones are kept as cancelled, tables are written."""
    with serve(answer_in_part) as server:
        prepare(tmp_path, server)
        done = finish(interrupt(tmp_path, server, number))
    assert (done.returncode, "Traceback" in done.stderr) == (130, False), done.stderr
    assert "interrupted" in done.stderr
    rows = {row["case"]: row for row in read_rows(tmp_path / "out")}
    outcomes = {case: row["outcome"] for case, row in rows.items()}
    assert outcomes == {"quick": "ok", "begun": "cancelled", "silent": "cancelled"}
    assert (rows["quick"]["reply"], rows["begun"]["reply"], rows["silent"]["reply"]) == ("Hello", "Hello", "")
    assert read_lines(tmp_path / "out", "end") == []
    assert "partial" in done.stdout + done.stderr


STUCK = """
import time
import runner.commands.run.perform
from runner.cli import main

def never_write(*arguments, **named):
    print("stuck", flush=True)
    time.sleep(60)

runner.commands.run.perform.write_outputs = never_write
main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.thorough), signal.SIGTERM])
def test_second_signal_ends_the_process_at_once(tmp_path: Path, number: int) -> None:
    """A process that is busy when the second signal comes writes no tables; the journal is complete nevertheless."""
    with serve(answer_in_part) as server:
        prepare(tmp_path, server)
        process = interrupt(tmp_path, server, number, program=("-c", STUCK))
        assert process.stdout is not None
        while "stuck" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        done = finish(process)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "results.csv").exists()
    assert len(read_lines(tmp_path / "out", "record")) == 3
