"""The progress of a run: a row for each target on a terminal, a line for each request elsewhere."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.cli.progress import STEP, LiveProgress, PlainProgress, RunningMedian, TargetProgress, format_eta
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import TextEvents, Timestamps
from runner.core.suite import Case, Parameters
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from tests.support.command import write_yaml
from tests.support.plans import first_requests
from tests.support.pseudo_terminal import needs_terminal, open_terminal

TARGETS = (Target("acme", "m-1", Parameters()), Target("acme", "m-2", Parameters()))
PLAN = Plan((Case("case", ("Hello?",)),), TARGETS, repeat=5)


def answer(request: Request, outcome: Outcome = Outcome.OK, ttft_s: float = 0.1, *, warmup: bool = False) -> Record:
    """Return the record of a request with this outcome."""
    text_events = TextEvents((round(ttft_s * 1e6), 900_000), "aa", (1, 1))
    return Record(request.identity(), Timestamps(sent=0, last_event=10**9), outcome, text_events, warmup=warmup)


def screen(progress: LiveProgress, height: int = 25) -> list[str]:
    """Return the lines of the live table."""
    console = Console(file=StringIO(), width=80)
    with console.capture() as capture:
        console.print(progress.render(height))
    return capture.get().splitlines()


def watch(plan: Plan, total: int | None = None, duration_s: float | None = None) -> LiveProgress:
    """Return the progress of a lane: four requests in flight, of which two ended well and one badly, and a warm-up."""
    progress = LiveProgress(Console(file=StringIO()), total, duration_s)
    progress.planned(plan)
    progress.lane_opened("acme", plan.targets, 4)
    one, other = (next(each for each in first_requests(plan) if each.target == target) for target in plan.targets[:2])
    for each in (one, one, one, other, other):
        progress.started(each)
    progress.finished(answer(one, warmup=True, ttft_s=9))
    progress.finished(answer(one))
    progress.finished(answer(one, Outcome.RATE_LIMITED))
    progress.finished(answer(other, ttft_s=0.3))
    progress.limit_changed("acme", 2, "slow down")
    return progress


def test_live_progress_has_a_row_for_each_target_and_one_for_all() -> None:
    """A row shows a bar, done of total, in flight, failures, TTFT with n, and the time left."""
    heading, first, second, every = (line.split() for line in screen(watch(PLAN)))
    assert heading == ["target", "done", "in", "flight", "failed", "TTFT", "p50", "left"]
    assert first[:1] + first[2:-2] == ["acme/m-1", "2/5", "0", "1", "100", "ms", "(n", "1)"]
    assert second[:1] + second[2:-2] == ["acme/m-2", "1/5", "1", "0", "300", "ms", "(n", "1)"]
    assert every[:1] + every[2:8] == ["all", "3/10", "1", "of", "2", "1", "–"]
    assert set(first[1] + every[1]) <= set("━╸╺")
    assert first[-1] == second[-1] == every[-1] == "s"


def test_a_skipped_or_cancelled_request_is_done_and_not_failed() -> None:
    """The failure that caused the skip is counted already, as in the summary."""
    progress = watch(PLAN)
    one = next(each for each in first_requests(PLAN) if each.target == TARGETS[0])
    for outcome in (Outcome.SKIPPED, Outcome.CANCELLED):
        progress.finished(replace(answer(one, outcome), attempts=0))
    first = screen(progress)[1].split()
    assert first[2:5] == ["4/5", "0", "1"]


def test_the_time_left_of_all_is_that_of_the_slowest_target() -> None:
    """Targets run side by side."""
    _, first, second, every = (line.split() for line in screen(watch(PLAN)))
    assert int(every[-2]) == max(int(first[-2]), int(second[-2]))


def test_progress_of_a_run_without_end_has_no_total() -> None:
    """No bar, total or remaining time is shown."""
    _, first, _, every = (line.split() for line in screen(watch(Plan(PLAN.cases, TARGETS, repeat=None))))
    assert first[1:3] == ["2", "0"]
    assert every[1:5] == ["3", "1", "of", "2"]
    assert first[-1] == every[-1] == "–"


def test_a_run_that_ends_after_a_number_of_requests_or_a_time_shows_how_much_is_left() -> None:
    """The bar and the time left are those of all targets together."""
    endless = Plan(PLAN.cases, TARGETS, repeat=None)
    every = screen(watch(endless, total=6))[-1].split()
    assert every[2] == "3/6"
    assert every[-1] == "s"
    assert screen(watch(endless, duration_s=3000))[-1].split()[-2:] == ["50", "min"]


def test_more_targets_than_lines_are_counted() -> None:
    """On a low terminal the slowest targets and the row of all are shown, and the others counted."""
    targets = tuple(Target("acme", f"m-{at}", Parameters()) for at in range(9))
    lines = screen(watch(Plan(PLAN.cases, targets, repeat=5)), height=9)
    assert len(lines) == 7
    assert lines[-2].split() == ["5", "more"]
    assert lines[-1].split()[0] == "all"


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
        f"[1/10] {target}  case  ok  first text 100 ms, total 1.00 s",
        "acme: now at most 1 request in flight (slow down)",
        "acme: waiting 2.0 s: slow down",
        f"[2] {target}  case  ok  first text 100 ms, total 1.00 s",
    ]


def test_the_remaining_time_follows_from_the_pace_so_far() -> None:
    """Three of twelve in six seconds leave eighteen; without any, or without a total, it is unknown."""
    target = TargetProgress(total=12, opened_ns=0)
    assert target.eta_s(6_000_000_000) is None
    target.done = 3
    assert target.eta_s(6_000_000_000) == 18
    target.total = None
    assert target.eta_s(6_000_000_000) is None


@pytest.mark.parametrize(
    ("eta_s", "said"),
    [(None, "–"), (0, "0 s"), (40.4, "40 s"), (89, "89 s"), (100, "2 min"), (3600, "60 min"), (7800, "2 h 10 min")],
)
def test_the_remaining_time_is_rounded(eta_s: float | None, said: str) -> None:
    """Longer durations are rounded more coarsely."""
    assert format_eta(eta_s) == said


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=99).filter(lambda values: len(values) % 2 == 1))
def test_the_running_median_is_within_a_step_of_the_median(values: list[float]) -> None:
    """It differs from the exact one by less than a step."""
    running = RunningMedian()
    for value in values:
        running.add(value)
    assert running.n == len(values)
    assert running.value == pytest.approx(median(values), rel=STEP)


def test_the_running_median_of_nothing_is_none() -> None:
    """It is None, not zero, before the first value."""
    assert RunningMedian().value is None


@needs_terminal
def test_a_real_terminal_keeps_the_table_the_result_and_the_link_alone(tmp_path: Path) -> None:
    """The bar is shown during the run, and only the table, the result and the link to the page remain."""
    write_yaml(tmp_path / "s.yaml", {"version": 1, "cases": [{"id": f"c{at}", "prompt": "Hi"} for at in range(12)]})
    with open_terminal(tmp_path, "run", "s.yaml", "-m", "sim/quick", "-m", "sim/steady") as terminal:
        drawn = terminal.wait_for("\nall ")  # the last line of the table, which may arrive in parts
        assert "━" in "".join(drawn)
        assert any(line.split()[:1] == ["sim/steady"] for line in drawn)
        assert terminal.finish() == 0
    lines = [line for line in terminal.lines if line]
    assert not any("\u241b" in line or "━" in line for line in lines)
    assert lines[-1] == "report: results/latest/report.html"
    assert any(line.startswith("sim/quick answered first") for line in lines)
    assert re.search(rb"\x1b\]8;id=\d+;file:///\S+/report\.html\x1b\\", terminal.printed)
