"""Think time between the turns of conversations: hours on a virtual clock, and a second against a real server."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import anyio
import pytest

from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Timestamps
from runner.core.suite import Case, Parameters
from runner.core.think_time import ThinkTime
from runner.core.tool_call import ToolCall
from runner.engine.conversations import OpenLane, hold_conversations
from runner.engine.input_probes_and_cache_warming import PrefixWarmer
from runner.engine.lane_schedule import Levels, RunRules
from runner.engine.permit_queue import LaneQueues
from runner.engine.provider_lane import Permit
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.providers.provider_row import ProviderRow
from tests.conftest import RunCli
from tests.support.command import read_rows, write_yaml
from tests.support.virtual_loop import VirtualLoop, run_virtually

CLOCKED = ("runner.engine.conversations", "runner.engine.permit_queue")
REPLY_S = 3.0


@dataclass
class TimedSender:
    """Answers each request after the same virtual time, and notes when it was sent."""

    loop: VirtualLoop
    queues: LaneQueues
    sent: list[tuple[str, int, float]] = field(default_factory=list)
    """Conversation, turn, and the time at which it was sent, in seconds."""
    warmer: PrefixWarmer = field(default_factory=PrefixWarmer)
    most: int = 0
    _in_flight: int = 0

    async def send(self, request: Request, _ready_ns: int, *, permit: Permit | None = None, **_: object) -> Record:
        """Return a record after the reply's time."""
        queue = self.queues.for_model(request.target.model)
        permit = permit or await queue.acquire(request)
        name = f"{request.target.name} {request.case.id} {request.repeat}"
        self.sent.append((name, request.turn, self.loop.time()))
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        await anyio.sleep(REPLY_S)
        self._in_flight -= 1
        queue.lane.release(permit, input_tokens=None, output_tokens=None)
        queue.wake()
        calls = (
            (ToolCall("look", "{}", "1"),)
            if request.case.steps.turn_and_step(request.turn)[1] < request.case.max_steps
            else ()
        )
        return Record(request.identity(), Timestamps(), Outcome.OK, reply="Yes.", calls=calls)

    def note_limit(self, *_: object) -> None:
        """Ignore a change of the lane's limit."""

    def waits_s(self) -> dict[tuple[str, int], float]:
        """Return, by conversation and turn, the seconds between the reply before and the turn."""
        sent = {(name, turn): at_s for name, turn, at_s in self.sent}
        return {(name, turn): at_s - sent[name, turn - 1] - REPLY_S for (name, turn), at_s in sent.items() if turn > 1}


def hold(
    monkeypatch: pytest.MonkeyPatch,
    think: ThinkTime | None,
    *,
    users: int = 4,
    repeat: int = 50,
    models: Sequence[str] = ("m",),
    seed: int = 1,
    steps: int = 1,
) -> tuple[TimedSender, float]:
    """Hold conversations of four turns with a number of concurrent users; return the sender and the duration."""
    senders: list[TimedSender] = []

    async def run(loop: VirtualLoop) -> None:
        targets = tuple(Target("acme", model, Parameters()) for model in models)
        case = Case("talk", ("a", "b", "c", "d"), think_time=think, max_steps=steps, tool_results={"look": "9"})
        plan = Plan((case,), targets, repeat, seed)
        queues = LaneQueues("acme", ProviderRow.model_validate({"keyless": True}), users)
        sender = TimedSender(loop, queues)
        senders.append(sender)
        made: Any = sender
        lane = OpenLane(made, queues.for_model("m"), targets, plan.seed)
        await hold_conversations([lane], Levels(plan, RunRules(), [lane.scheduled]))

    took_s = run_virtually(monkeypatch, CLOCKED, run)
    return senders[0], took_s


def test_users_think_between_turns_and_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of conversations: every wait is the think time, and the law of interactive response times holds.

    A user holds a conversation in 4 replies and 3 waits, so N users ask N / (reply + 3/4 think time) a second: fewer
    requests are in flight than there are users.
    """
    sender, took_s = hold(monkeypatch, ThinkTime(60))
    assert len(sender.sent) == 200
    assert set(sender.waits_s().values()) == {60}
    assert took_s == pytest.approx(50 / 4 * (4 * REPLY_S + 3 * 60), rel=0.05)
    assert sender.most <= 4


def test_nobody_thinks_before_a_tool_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply with a call is followed by the tool's result at once, and the user thinks before the next prompt only."""
    sender, _ = hold(monkeypatch, ThinkTime(60), steps=2)
    waits = {(turn, wait) for (_, turn), wait in sender.waits_s().items()}
    assert waits == {(2, 0), (3, 60), (4, 0), (5, 60), (6, 0), (7, 60), (8, 0)}


def test_without_think_time_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn follows the reply before it at once."""
    sender, took_s = hold(monkeypatch, None)
    assert set(sender.waits_s().values()) == {0}
    assert took_s == pytest.approx(200 * REPLY_S / 4, rel=0.05)


def test_drawn_waits_are_those_of_the_seed_and_the_same_for_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two targets meet the same users; another seed brings others; the median is what was asked for."""
    sender, _ = hold(monkeypatch, ThinkTime(60, 0.5), models=("m", "n"))
    waits = sender.waits_s()
    of_each = [
        {
            place: wait
            for (name, *place_turn), wait in waits.items()
            if (place := (name[len("acme/m") :], *place_turn)) and name.startswith(f"acme/{model} ")
        }
        for model in ("m", "n")
    ]
    assert len(of_each[0]) == 150
    assert of_each[0] == {place: pytest.approx(wait) for place, wait in of_each[1].items()}
    assert fmean(wait < 60 for wait in waits.values()) == pytest.approx(0.5, abs=0.15)
    other, _ = hold(monkeypatch, ThinkTime(60, 0.5), models=("m", "n"), seed=2)
    assert set(other.waits_s().values()).isdisjoint(waits.values())


def test_a_suite_has_a_think_time(run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults and a case set it; the wait is in no duration, and the header and the page state it."""
    monkeypatch.chdir(tmp_path)
    suite = {
        "defaults": {"think_time": "300ms"},
        "targets": ["sim/quick"],
        "cases": [
            {"id": "slow", "turns": ["My name is Ada.", "What is my name?"]},
            {"id": "fast", "turns": ["My name is Ada.", "What is my name?"], "think_time": None},
            {"id": "single", "prompt": "Hi"},
        ],
    }
    write_yaml(tmp_path / "s.yaml", suite)
    ran = run_cli("run", "s.yaml", "-q", "-o", "run")
    assert ran.returncode == 0, ran.stderr
    rows = {(row["case"], row["turn"]): row for row in read_rows(tmp_path / "run")}
    assert float(rows["slow", "2"]["queue_s"]) < 0.2
    import runner  # noqa: PLC0415

    header = runner.load("run").attrs
    assert header["think_time"] == {"slow": "0.3s"}
    assert "think time" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_think_time_without_a_second_turn_is_refused(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid think time is refused as well; the message names both."""
    monkeypatch.chdir(tmp_path)
    cases = [
        {"id": "one", "prompt": "Hi", "think_time": "2s"},
        {"id": "two", "turns": ["a", "b"], "think_time": "long"},
    ]
    write_yaml(tmp_path / "s.yaml", {"cases": cases})
    ran = run_cli("plan", "s.yaml")
    assert ran.returncode == 2
    message = " ".join(ran.stderr.split())
    assert "no second turn to wait for" in message
    assert "`long` is not a think time" in message
