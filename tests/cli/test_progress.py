"""The progress of a run: a row for each lane on a terminal, a line for each request elsewhere."""

from io import StringIO
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.cli.progress import STEP, LaneProgress, LiveProgress, PlainProgress, RunningMedian, format_eta
from runner.core.events import Outcome
from runner.core.record import Record, TextEvents, Timestamps
from runner.core.suite import Case, Parameters
from runner.planning.plan import Plan, Request, Target
from tests.support.plans import first_requests

TARGETS = (Target("acme", "m-1", Parameters()), Target("acme", "m-2", Parameters()))
PLAN = Plan((Case("case", ("Hello?",)),), TARGETS, repeat=5)


def answer(request: Request, outcome: Outcome = Outcome.OK, ttft_s: float = 0.1, *, warmup: bool = False) -> Record:
    """Return how a request ended."""
    heard = TextEvents((round(ttft_s * 1e6), 900_000), "aa", (1, 1))
    return Record(request.identity(), Timestamps(sent=0, last_event=10**9), outcome, heard, warmup=warmup)


def screen(progress: LiveProgress) -> list[str]:
    """Return the lines of the live table."""
    console = Console(file=StringIO(), width=100)
    with console.capture() as capture:
        console.print(progress.render())
    return capture.get().splitlines()


def watch(plan: Plan) -> LiveProgress:
    """Return what has watched a lane: three requests under way, of which one ended well, one badly, and a warm-up."""
    progress = LiveProgress(Console(file=StringIO()))
    progress.planned(plan)
    progress.lane_opened("acme", TARGETS, 4)
    requests = list(zip(first_requests(plan), range(4), strict=False))
    for request, _ in requests:
        progress.started(request)
    progress.finished(answer(requests[0][0], warmup=True, ttft_s=9))
    progress.finished(answer(requests[1][0]))
    progress.finished(answer(requests[2][0], Outcome.RATE_LIMITED))
    progress.limit_changed("acme", 2, "slow down")
    return progress


def test_live_progress_has_a_row_for_each_lane() -> None:
    """It shows done of total, in flight of the limit, failures, and TTFT with its n."""
    heading, row = screen(watch(PLAN))
    assert heading.split() == ["lane", "done", "in", "flight", "failed", "TTFT", "p50", "so", "far", "left"]
    assert row.split()[:-2] == ["acme", "2/10", "1", "of", "2", "1", "100", "ms", "(n", "1)"]


def test_progress_of_a_run_without_end_has_no_total() -> None:
    """Neither the total nor the remaining time is shown."""
    _, row = screen(watch(Plan(PLAN.cases, TARGETS, repeat=None)))
    assert row.split()[1:3] == ["2", "1"]
    assert row.split()[-1] == "–"


def test_plain_progress_prints_a_line_for_each_event() -> None:
    """Requests are numbered, with the total if it is known; pauses and limits give their reason."""
    said = StringIO()
    progress = PlainProgress(Console(file=said, width=200))
    request = next(first_requests(PLAN))
    progress.planned(PLAN)
    progress.finished(answer(request))
    progress.limit_changed("acme", 1, "slow down")
    progress.lane_paused("acme", 2.0, "slow down")
    progress.planned(Plan(PLAN.cases, TARGETS, repeat=None))
    progress.finished(answer(request))
    target = request.target.name
    assert said.getvalue().splitlines() == [
        f"[1/10] {target}  case  ok  first text 100 ms  total 1.00 s",
        "acme: at most 1 request at a time now: slow down",
        "acme: waiting 2.0 s: slow down",
        f"[2] {target}  case  ok  first text 100 ms  total 1.00 s",
    ]


def test_the_remaining_time_follows_from_the_pace_so_far() -> None:
    """Three of twelve in six seconds leave eighteen; with nothing done, or no total, it is unknown."""
    lane = LaneProgress(limit=4, total=12, opened_ns=0)
    assert lane.eta_s(6_000_000_000) is None
    lane.done = 3
    assert lane.eta_s(6_000_000_000) == 18
    lane.total = None
    assert lane.eta_s(6_000_000_000) is None


@pytest.mark.parametrize(
    ("eta_s", "said"),
    [(None, "–"), (0, "0 s"), (40.4, "40 s"), (89, "89 s"), (100, "2 min"), (3600, "60 min"), (7800, "2 h 10 min")],
)
def test_the_remaining_time_is_rounded(eta_s: float | None, said: str) -> None:
    """The longer it is, the coarser."""
    assert format_eta(eta_s) == said


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=99).filter(lambda values: len(values) % 2 == 1))
def test_the_running_median_is_within_a_step_of_the_median(values: list[float]) -> None:
    """It differs from the median of all values by less than a step."""
    running = RunningMedian()
    for value in values:
        running.add(value)
    assert running.n == len(values)
    assert running.value == pytest.approx(median(values), rel=STEP)


def test_the_running_median_of_nothing_is_none() -> None:
    """It is None before the first value, not zero."""
    assert RunningMedian().value is None
