"""The terminal's sentence on the fastest target, and the order and columns of its table."""

import re
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from runner.analysis.run_results import Run
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import TextEvents
from runner.outputs.report.duration_ranking import rank_targets
from runner.outputs.report.headline import write_headline
from runner.outputs.report.reply_grid import target_columns
from runner.outputs.report.summary_table import tabulate_targets
from runner.outputs.terminal import render_summary
from runner.outputs.text.ranking import describe_first
from runner.outputs.text.summary import describe_in_a_line, tabulate_briefly
from runner.pricing.rates import Price, Rates
from tests.support.crafted_runs import BASE, NEW, SECOND, answered, failed, run_of

BASE_S, NEW_S = 0.3, 0.1


def rows(rounds: int, *, new_s: float = NEW_S, cases: int = 2) -> list[Record]:
    """Return rows of two targets whose values rise slightly from row to row, so that no two are equal."""
    return [
        answered(target, case=f"case-{case}", block=block, ttft_s=ttft_s * (1 + block / 100 + case / 300))
        for block in range(1, rounds + 1)
        for case in range(cases)
        for target, ttft_s in ((BASE, BASE_S), (NEW, new_s))
    ]


def printed(run: Run, width: int = 80, *, color: bool = False) -> str:
    """Return the text of a run's summary on a terminal."""
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=color, color_system="standard" if color else None)
    console.print(render_summary(run))
    return file.getvalue()


def test_the_last_line_names_the_first_its_lead_and_the_pairs() -> None:
    """With enough rounds, it says that the lead is more than chance."""
    sentence = describe_first(run_of(rows(12)))
    assert sentence == (
        f"{NEW} answered first: 3.0x faster than {BASE}, ahead in 24 of 24 paired requests; "
        "over 12 rounds, that is more than chance."
    )
    assert printed(run_of(rows(12)), 200).splitlines()[-1] == sentence


def test_one_round_names_the_rounds_that_would_decide() -> None:
    """A clear lead in one round holds for that run; the sentence names the option for more rounds."""
    clear = describe_first(run_of(rows(1, cases=40)))
    assert clear is not None
    assert "ahead in 40 of 40 paired requests; 1 round cannot show whether that holds at another time; 9 r" in clear
    few = describe_first(run_of(rows(1)))
    assert few is not None
    assert few.endswith("may be chance; 9 rounds should settle it (in a suite: `compare run SUITE --repeat 9`).")
    from_a_suite = describe_first(run_of(rows(1), path="prompts/basic.yaml"))
    assert from_a_suite is not None
    assert from_a_suite.endswith("9 rounds should settle it (--repeat 9).")


@pytest.mark.parametrize(
    ("ended", "option"),
    [
        ({"load": {"duration_s": 8.0}}, "a longer --duration"),
        ({"load": {"max_requests": 24}, "repeat": None}, "more --requests"),
        ({"until_ci": 0.1, "repeat": None}, "a smaller --until-ci"),
        ({"replay_of": "20260102-030405"}, "in a new recorded run"),
    ],
)
def test_a_run_that_ended_otherwise_is_not_told_to_repeat(ended: dict[str, Any], option: str) -> None:
    """The sentence names the option that ended the run, or a new run for a replay; the page names rounds alone."""
    run = run_of(rows(2), path="prompts/basic.yaml", **ended)
    sentence = describe_first(run) or ""
    assert sentence.endswith(f"9 rounds should settle it ({option}).")
    columns = target_columns([run])
    scope = write_headline(rank_targets(columns), columns, [run]).scope or ""
    assert "9 rounds would" in scope
    assert "--repeat" not in scope


def test_a_run_that_its_budget_ended_needs_a_larger_one() -> None:
    """More repeats of the same budget would end as early."""
    run = run_of(rows(2), path="prompts/basic.yaml", budgets=("1 USD",))
    assert (describe_first(run) or "").endswith("(--repeat 9).")
    stopped = replace(run, stop_reason="the budget of 1 USD is reached")
    assert (describe_first(stopped) or "").endswith("9 rounds should settle it (a larger --budget).")
    limited = replace(stopped, header=replace(stopped.header, load={"max_requests": 24}))
    assert (describe_first(limited) or "").endswith("9 rounds should settle it (a larger --budget).")


@pytest.mark.parametrize("cap", [{"load": {"max_requests": 24}}, {"until_ci": 0.1}])
def test_a_limit_that_was_not_reached_is_no_advice(cap: dict[str, Any]) -> None:
    """Beside a number of rounds that ended the run, it is only a cap."""
    run = run_of(rows(2), path="prompts/basic.yaml", repeat=2, **cap)
    assert (describe_first(run) or "").endswith("9 rounds should settle it (--repeat 9).")


@pytest.mark.parametrize("rounds", [4, 8, 9, 10, 12])
def test_the_terminal_and_the_page_have_the_same_verdict(rounds: int) -> None:
    """Both test TTFT and total together, so that their significance levels are the same."""
    run = run_of(rows(rounds))
    sentence = describe_first(run) or ""
    (other,) = rank_targets(target_columns([run]))[0].comparisons
    assert ("more than chance" in sentence) == other.is_slower
    needed = re.search(r"(\d+) rounds should", sentence)
    assert (int(needed[1]) if needed else None) == other.needed


def test_a_small_lead_is_too_close_to_call() -> None:
    """A lead below the minimum effect is too close to call."""
    sentence = describe_first(run_of(rows(1, new_s=BASE_S * 0.97)))
    assert sentence is not None
    assert sentence.startswith(f"Too close to call who answered first: {NEW} after 294 ms, {BASE} after 304 ms")


def test_equal_targets_are_said_to_be_equal() -> None:
    """Enough rounds without a relevant difference show that."""
    sentence = describe_first(run_of(rows(20, new_s=BASE_S * 0.99)))
    assert sentence is not None
    assert sentence.startswith(f"{NEW} and {BASE} answered equally fast")
    assert sentence.endswith("over 20 rounds, they are within 10% of each other.")


def test_a_single_target_has_its_median_and_nothing_timed_has_no_sentence() -> None:
    """Without a second timed target there is no comparison."""
    alone = describe_first(run_of([row for row in rows(3) if row.identity.target == NEW]))
    assert alone == f"{NEW} answered after 102 ms (median TTFT, n 6)."
    assert describe_first(run_of([failed(BASE), failed(NEW)])) is None


def test_the_simulator_is_not_ahead_of_a_provider() -> None:
    """A simulated target is left out of the sentence if there is a real one."""
    simulated = [
        replace(row, identity=replace(row.identity, simulated=True)) if row.identity.target == NEW else row
        for row in rows(3)
    ]
    assert (describe_first(run_of(simulated)) or "").startswith(f"{BASE} answered after")


def test_rows_are_in_the_order_of_ttft_and_a_failed_target_is_last() -> None:
    """The order of rows does not depend on the order in the suite."""
    dead = BASE.replace("old", "none")
    run = run_of([*(failed(dead, block=block) for block in (1, 2)), *rows(2)])
    names = [line.split()[0] for line in printed(run, 120).splitlines()[1:4]]
    assert names == [NEW, BASE, dead]


def test_page_and_terminal_have_one_order() -> None:
    """Targets whose replies came in one piece have no TTFT and come last, in the order of their totals."""
    at_once = [
        replace(row, text_events=TextEvents(), timestamps=replace(row.timestamps, last_event=SECOND + at_ns))
        for target, at_ns in (("acme/late", SECOND // 5), ("acme/whole", SECOND // 10))
        for row in (answered(target, block=1),)
    ]
    run = run_of([*at_once, *rows(2)])
    expected = [NEW, BASE, "acme/whole", "acme/late"]
    page = tabulate_targets(target_columns([run]), run.percents)
    assert [row.label for row in page.rows] == expected
    assert [line.split()[0] for line in printed(run, 120).splitlines()[1:5]] == expected
    in_a_line = describe_in_a_line(run)
    assert sorted(expected, key=in_a_line.index) == expected


def test_who_thinks_first_does_not_answer_first() -> None:
    """Both the terminal and the page say who answers first, and have a column of it."""
    thinking = [
        replace(row, text_events=replace(row.text_events, channels="ra")) if row.identity.target == NEW else row
        for row in rows(12)
    ]
    run = run_of(thinking)
    said = f"The first text of {NEW} is thinking: its answer began after 607 ms, that of {BASE} after 320 ms (medians)"
    assert (describe_first(run) or "").endswith(f"more than chance. {said}.")
    columns = target_columns([run])
    assert said in write_headline(rank_targets(columns), columns, [run]).claims
    assert "first answer p50" in tabulate_briefly(run.summary).headings
    assert "first answer p50" not in tabulate_briefly(run_of(rows(12)).summary).headings
    assert "thinking" not in (describe_first(run_of(rows(12))) or "")


def test_a_sweep_is_told_the_repeats_of_each_level() -> None:
    """The rounds that are needed are divided by the levels, on the terminal as on the page."""
    run = run_of(rows(2), path="prompts/basic.yaml", load={"levels": [1, 2, 4]})
    assert (describe_first(run) or "").endswith("9 rounds should settle it (--repeat 3).")
    columns = target_columns([run])
    assert "`--repeat 3` would" in (write_headline(rank_targets(columns), columns, [run]).scope or "")


def test_the_best_figures_are_green_and_failures_red() -> None:
    """Only the lowest times, the highest rate and failures are coloured."""
    run = run_of([*rows(2), failed(BASE, block=3)])
    lines = printed(run, 120, color=True).splitlines()
    best, other = lines[1], lines[2]
    assert "\x1b[32m" in best
    assert "\x1b[31m" not in best
    assert "\x1b[31m" in other
    assert "\x1b[32m" not in other


def test_costs_and_checks_have_columns_where_there_are_any() -> None:
    """Cost, cost of 1,000 requests and pass rate are beside the speed, or below it on a narrow terminal."""
    price = Price("USD", (Rates(Decimal(1), Decimal(2)),), "the page").to_plain()
    records = [replace(row, input_tokens=100, output_tokens=50) for row in rows(2)]
    checks = {f"case-{at}": {"checks": {"contains": "Hello"}, "turns": 1} for at in range(2)}
    run = run_of(records, prices={BASE: price, NEW: price}, checks=checks)
    wide = printed(run, 160).splitlines()
    assert wide[0].split()[-4:] == ["per", "1,000", "pass", "rate"]
    rate = ["100.0", "%", "[34.2,", "100.0]", "(n", "4", "in", "2", "cases)"]
    assert wide[1].split()[-len(rate) - 4 :] == ["0.0008", "USD", "0.2", "USD", *rate]
    narrow = printed(run, 80).splitlines()
    assert not any("cost" in line and "TTFT p50" in line for line in narrow)
    assert any(line.split()[:2] == ["target", "cost"] for line in narrow)
    assert "cost of all: 0.0016 USD, n 8" in "\n".join(wide)
    assert f"prices: the page ({BASE}, {NEW})" in "\n".join(wide)


def test_notes_of_one_kind_are_one_line() -> None:
    """Targets with the same flag share one sentence, with the number of rows of each."""
    late = [replace(row, noted=("client_late",), outcome=Outcome.LENGTH) for row in rows(2)]
    text = " ".join(printed(run_of(late)).split())
    assert text.count("client_late") == 1
    assert f"client_late ({BASE} 4, {NEW} 4): timestamps on this row" in text
    assert f"cut at the length limit, timed like the others: {BASE} 4, {NEW} 4" in text


def test_the_reason_of_an_early_stop_has_the_word_once() -> None:
    """A reason that begins with `stopped` is not preceded by that word."""
    for reason, said in (
        ("stopped after 10 s (--duration)", "stopped after 10 s (--duration)"),
        ("the budget of 5 USD is reached", "stopped: the budget of 5 USD is reached"),
    ):
        shown = printed(replace(run_of(rows(1)), stop_reason=reason), 200)
        assert said in shown
        assert shown.count("stopped") == 1
