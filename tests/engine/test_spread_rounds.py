"""Rounds over a day on a virtual clock that sleeps, is set and crosses the end of summer time; and over seconds."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.core.load_profile import LoadProfile
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.provider_lane import Lane
from runner.engine.spread_rounds import Spread
from runner.planning.plan import Order, Plan
from runner.planning.request import Request, Target
from tests.conftest import RunCli
from tests.support.command import finish, start, write_yaml
from tests.support.virtual_run import SECOND_NS, VirtualRun
from tests.support.wait_until import wait_until

DAY_S, ROUNDS = 86_400.0, 12
ORIGIN = datetime.fromisoformat("2026-10-24T20:00:00+02:00").timestamp()
"""Summer time ends in this night, where it is kept."""
LATE_S = 0.001


def day(order: Order = "blocks", clock: Callable[[float], float] = lambda at_s: at_s, **details: object) -> VirtualRun:
    """Return a run of two targets over a day; `clock` maps seconds since the start of the run to the time of day."""
    targets = tuple(Target(provider, "m", Parameters()) for provider in "ab")
    plan = Plan((Case("one", ("Hello?",)), Case("two", ("Hi?",))), targets, ROUNDS, 3, order)
    run = VirtualRun(
        plan,
        {name: Lane(name, ConcurrencyLimit.of(4)) for name in "ab"},
        lambda _: SECOND_NS,
        LoadProfile(spread_s=DAY_S),
        spread=Spread(ORIGIN, DAY_S, ROUNDS, 3, lambda: ORIGIN + clock(run.now_ns / 1e9)),
        **details,  # type: ignore[arg-type]
    )
    return run


def begun(run: VirtualRun) -> dict[int, float]:
    """Return the time at which each round began, in seconds since the start of the run, by the measuring clock."""
    first: dict[int, float] = {}
    for each in run.run():
        first.setdefault(each.request.block, each.start_ns / 1e9)
    return first


def moments(run: VirtualRun) -> dict[int, float]:
    """Return the moment of each round, in seconds since the start of the run."""
    assert run.spread is not None
    return {number: run.spread.start_time_s(number) - ORIGIN for number in range(1, ROUNDS + 1)}


@pytest.mark.parametrize("order", ["blocks", "free"])
def test_each_round_begins_at_a_moment_of_its_own_part(order: Order) -> None:
    """There is one in each two hours of a day, to the millisecond, and all requests are sent."""
    run = day(order)
    found = begun(run)
    assert found == pytest.approx(moments(run), abs=LATE_S)
    assert [int(at_s // 7200) for at_s in found.values()] == list(range(ROUNDS))
    assert len(run.held) == ROUNDS * 4


def test_moments_depend_on_the_seed_and_cover_their_part() -> None:
    """The same seed gives the same moments; over many seeds a round falls anywhere in its part."""
    shares = [Spread(0, 1, 1, seed, lambda: 0).start_time_s(1) for seed in range(2000)]
    assert sum(shares) / 2000 == pytest.approx(0.5, abs=0.03)
    assert (min(shares) < 0.01, max(shares) > 0.99) == (True, True)
    assert Spread(0, 1, 1, 7, lambda: 0).start_time_s(1) == shares[7]


def test_rounds_missed_during_a_suspension_begin_on_wake_up() -> None:
    """The measuring clock stops for five hours, the time of day does not; later rounds keep their moments."""
    slept_s, asleep_from_s = 5 * 3600, 5 * 3600
    run = day(clock=lambda at_s: at_s + (slept_s if at_s >= asleep_from_s else 0))
    for number, at_s in begun(run).items():
        moment_s = moments(run)[number]
        if moment_s < asleep_from_s:
            assert at_s == pytest.approx(moment_s, abs=LATE_S)
        else:  # the sleep is noticed within 20 s
            assert at_s == pytest.approx(max(moment_s - slept_s, asleep_from_s), abs=20)


@pytest.mark.parametrize("set_by_s", [-3600, 3600])
def test_a_clock_that_is_set_moves_the_rounds_after_it(set_by_s: float) -> None:
    """Rounds are due by the time of day: each begins exactly once, even if the clock is set."""
    run = day(clock=lambda at_s: at_s + (set_by_s if at_s >= 40_000 else 0))
    found = begun(run)
    assert sorted(found) == list(range(1, ROUNDS + 1))
    for number, at_s in found.items():
        moment_s = moments(run)[number]
        expected = moment_s if moment_s < 40_000 else max(moment_s - set_by_s, 40_000)
        assert at_s == pytest.approx(expected, abs=20)


def test_summer_time_moves_no_round() -> None:
    """Rounds count from the start, not in local time: a day has 24 hours in any country."""
    spread = day().spread
    assert spread is not None
    abroad = replace(spread, origin_s=datetime.fromisoformat("2026-10-24T18:00:00+00:00").timestamp())
    assert [abroad.start_time_s(number) for number in range(1, 13)] == [at + ORIGIN for at in moments(day()).values()]


def test_a_resumed_run_keeps_the_moments_that_are_left() -> None:
    """The run stops after three rounds and resumes ten hours after the start: missed rounds begin at once."""

    def missing(opening: Request) -> Request | None:
        return None if opening.block <= 3 else opening

    run = day(clock=lambda at_s: at_s + 36_000, first_missing=missing)
    found = begun(run)
    assert sorted(found) == list(range(4, ROUNDS + 1))
    for number, at_s in found.items():
        assert at_s == pytest.approx(max(moments(run)[number] - 36_000, 0), abs=10)


SUITE = {"cases": [{"id": "a", "prompt": "hi"}, {"id": "b", "prompt": "ho"}]}
EARLY_END = 259
"""A seed whose three rounds begin at the start, at the end of their second third, and at the start of the last."""


def test_a_run_is_spread_over_seconds(run_cli: RunCli) -> None:
    """On real sockets, each round begins in its second; the header has the span, and a resumed run keeps it."""
    write_yaml(Path("suite.yaml"), SUITE)
    ask = ("-m", "sim/exact?ttft_ms=5&gap_ms=1&tokens=2", "--repeat", "3", "--seed", str(EARLY_END))
    done = run_cli("run", "suite.yaml", *ask, "--spread", "6s", "--progress", "plain", "-o", "run")
    assert done.returncode == 0, done.stderr
    assert "round 2 begins " in done.stderr
    header = json.loads((Path("run") / "journal.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert header["load"] == {"spread_s": 6.0}
    spread = Spread(datetime.fromisoformat(header["started_at"]).timestamp(), 6, 3, EARLY_END, lambda: 0)
    table = runner.load("run")
    assert sorted(table["block"]) == [1, 1, 2, 2, 3, 3]
    begun_at = pd.to_datetime(table["started_at"], utc=True).groupby(table["block"]).min()
    for number in (1, 2, 3):
        assert begun_at[number].timestamp() >= spread.start_time_s(number) - 0.05
    assert table["queue_s"].max() < 1
    assert "TTFT over the day" in (Path("run") / "report.html").read_text(encoding="utf-8")
    sentence = "figures and intervals speak of 6 s: 3 rounds"
    assert " ".join(done.stdout.split()).count(sentence) == 1
    assert sentence in (Path("run") / "results.md").read_text(encoding="utf-8")
    assert run_cli("run", "suite.yaml", "--resume", "run", "-q").returncode == 0
    assert runner.load("run")["block"].max() == 3


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals as POSIX has them")
def test_a_spread_run_that_was_killed_keeps_the_moments_that_are_left(tmp_path: Path) -> None:
    """After a kill in the second round its report describes the rounds it has; then it is resumed."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ask = ("-m", "sim/exact?ttft_ms=5&gap_ms=1&tokens=2", "--repeat", "3", "--seed", str(EARLY_END), "--spread", "6s")
    journal = tmp_path / "run" / "journal.jsonl"
    process = start(tmp_path, "run", "suite.yaml", *ask, "-o", "run")
    try:
        wait_until(lambda: journal.exists() and journal.read_bytes().count(b'"kind":"record"') >= 2)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = runner.load(tmp_path / "run")
    done = finish(start(tmp_path, "report", "run", "-o", "page.html"))
    assert done.returncode == 0, done.stderr
    has = before["block"].nunique()
    assert f"figures and intervals speak of 6 s: {has} of 3 rounds" in (tmp_path / "page.html").read_text("utf-8")

    done = finish(start(tmp_path, "run", "--resume", "run"))
    assert done.returncode == 0, done.stderr
    table = runner.load(tmp_path / "run")
    assert sorted(table["block"]) == [1, 1, 2, 2, 3, 3]
    header = json.loads(journal.read_text(encoding="utf-8").splitlines()[0])
    spread = Spread(datetime.fromisoformat(header["started_at"]).timestamp(), 6, 3, EARLY_END, lambda: 0)
    begun_at = pd.to_datetime(table["started_at"], utc=True).groupby(table["block"]).min()
    for number in (1, 2, 3):
        assert begun_at[number].timestamp() >= spread.start_time_s(number) - 0.05


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--rate", "2"), "leave --rate and --sweep out"),
        (("--sweep", "1,2"), "leave --rate and --sweep out"),
        (("--duration", "5s"), "needs a fixed number of rounds"),
        (("--requests", "5"), "needs a fixed number of rounds"),
        (("--until-ci", "5%"), "needs a fixed number of rounds"),
    ],
)
def test_a_spread_excludes_loads_and_open_ends(run_cli: RunCli, option: tuple[str, ...], said: str) -> None:
    """The run is refused before anything is sent."""
    write_yaml(Path("suite.yaml"), SUITE)
    done = run_cli("run", "suite.yaml", "-m", "sim/quick", "--spread", "1h", *option)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
