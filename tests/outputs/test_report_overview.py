"""The overview of a report: headline, rankings, summary, table at a glance, checks, and changes to a baseline."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from runner.analysis.diff import diff_runs, diff_within
from runner.analysis.paired_lead import paired_lead
from runner.analysis.run_results import Run
from runner.analysis.time_to_tokens import time_to_tokens
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import TextEvents
from runner.outputs.report.case_heatmap import CaseHeatmap, HeatmapFigure, compose_heatmap
from runner.outputs.report.duration_ranking import DurationRanking, rank_targets
from runner.outputs.report.headline import Headline, write_headline
from runner.outputs.report.render_html import write_diff, write_report
from runner.outputs.report.reply_grid import grid_turns, sample_turns, target_columns
from runner.outputs.report.summary_table import SummaryCell, tabulate_targets
from runner.outputs.text.number_format import rounded_span
from tests.support.crafted_runs import BASE, NEW, SECOND, answered, failed, jittered, run_of_targets
from tests.support.parsed_page import ParsedPage, squeezed

PRICES = {
    name: {"currency": "CNY", "source": "list", "date": None, "rates": [{"input": "0", "output": rate}]}
    for name, rate in ((BASE, "1000"), (NEW, "3000"))
}
CHECKS = {
    case: {"checks": {"contains": "Hello"}, "pass": "all", "turns": 1, "line": 3} for case in ("one", "two", "three")
}


def in_time(records: Iterable[Record], seconds_apart: float = 1.0) -> Iterator[Record]:
    """Yield records that were sent one after another."""
    for at, record in enumerate(records):
        later_ns = round(at * seconds_apart * 1e9)
        timestamps = record.timestamps
        moved = {name: getattr(timestamps, name) for name in ("sent", "headers", "first_event", "last_event")}
        yield replace(
            record,
            timestamps=replace(
                timestamps, **{name: at_ns + later_ns for name, at_ns in moved.items() if at_ns is not None}
            ),
        )


def headline_of(*runs: Run) -> Headline:
    """Return the headline of a page of these runs."""
    columns = target_columns(runs)
    return write_headline(rank_targets(columns), columns, runs)


def ranking_of(run: Run, column: str = "ttft_s") -> DurationRanking:
    """Return a run's ranking by one duration."""
    return next(each for each in rank_targets(target_columns([run])) if each.duration.column == column)


# -- The headline ------------------------------------------------------------------------------------------------------


def test_a_clear_lead_is_claimed_with_its_factor_and_pairs() -> None:
    """Twelve rounds at half the time: the headline names the fastest, the factor and the pairs, without a doubt."""
    found = headline_of(run_of_targets([*jittered(BASE, 12), *jittered(NEW, 12, slower=2)]))
    first, whole = found.claims
    assert re.fullmatch(
        rf"{BASE} answered first: [12]\.\d+x faster than {NEW}, ahead in 24 of 24 paired requests", first
    )
    assert whole.startswith(f"{BASE} finished first: ")
    assert found.scope is not None
    assert found.scope.startswith("12 rounds")
    assert found.scope.endswith("more than chance and drift between rounds explain.")
    assert found.failed is None


def test_one_round_is_claimed_for_this_run_and_says_what_would_rule_out_drift() -> None:
    """Thirteen questions with separate times in one round: a claim on this run, its span, and more rounds."""
    cases = [f"case-{at}" for at in range(13)]
    records = [*jittered(BASE, 1, cases=cases), *jittered(NEW, 1, slower=3, cases=cases)]
    found = headline_of(run_of_targets(in_time(records), cases=tuple(cases)))
    assert re.match(rf"{BASE} answered first: [23]\.\dx faster than {NEW}, ahead in 13 of 13", found.claims[0])
    assert found.scope is not None
    assert re.fullmatch(
        r"One round within 2\d s, so this holds for this run; `--repeat \d+` would rule out drift\.", found.scope
    )


def test_a_lead_that_may_be_chance_is_too_close_to_call() -> None:
    """Two equal targets have both medians and the number of pairs, and no winner."""
    found = headline_of(run_of_targets([*jittered(BASE, 12), *jittered(NEW, 12)]))
    assert re.fullmatch(
        r"Too close to call who answered first: acme/\w+ after \d+ ms, acme/\w+ after \d+ ms "
        r"\(ahead in \d+ of 24 paired requests\)",
        found.claims[0],
    )


def test_a_tie_at_the_top_still_names_the_slower_target() -> None:
    """Two of three targets are equal, and the third is slower."""
    records = [*jittered(BASE, 12), *jittered(NEW, 12), *jittered("acme/third", 12, slower=3)]
    found = headline_of(run_of_targets(records, (BASE, NEW, "acme/third")))
    assert found.claims[0].startswith("Too close to call who answered first: ")
    assert re.search(r"; acme/\w+ was [23]\.\dx faster than acme/third, ahead in 24 of 24", found.claims[0])


def test_the_headline_names_what_failed() -> None:
    """Targets with failures are listed with their counts, the most first."""
    records = [*jittered(BASE, 3), *(failed(NEW, case, block) for case in ("one", "two") for block in (1, 2, 3))]
    found = headline_of(run_of_targets([*records, failed(BASE, "one", 4)]))
    assert found.failed == (
        f"Failed: 6 of 6 requests to {NEW} (the provider failed); 1 of 7 requests to {BASE} (the provider failed)."
    )


def test_requests_that_were_stopped_or_skipped_are_no_failures() -> None:
    """Headline, ranking and figures count and name only failures of the target itself."""
    stopped = [
        replace(failed(NEW, "one", block), outcome=outcome)
        for block, outcome in ((4, Outcome.CANCELLED), (5, Outcome.SKIPPED))
    ]
    only_stopped = run_of_targets([*jittered(BASE, 3), *stopped])
    assert headline_of(only_stopped).failed is None
    assert [each.why for each in ranking_of(only_stopped).unranked] == [
        "no request was finished: cancelled, skipped, an earlier turn failed"
    ]
    run = run_of_targets([*jittered(BASE, 3), *stopped, failed(NEW, "one", 1)])
    assert headline_of(run).failed == f"Failed: 1 of 3 requests to {NEW} (the provider failed)."
    assert [each.why for each in ranking_of(run).unranked] == ["1 of 3 requests failed: the provider failed"]
    assert glance_of(run).groups[0].rows[0].cells[1].failed == 1
    assert cells_of(run, NEW)["requests"].below == ("1 failed",)


def test_a_cell_at_a_glance_leads_to_a_reply_that_was_cancelled() -> None:
    """It is no failure, and the reply so far is in the grid."""
    stopped = replace(answered(NEW), outcome=Outcome.CANCELLED)
    (cases,) = glance_of(run_of_targets([answered(BASE), stopped])).groups
    cell = cases.rows[0].cells[1]
    assert (cell.failed, cell.reply) == (0, (0, 1))


def test_repeated_requests_of_a_cache_probe_have_no_row_at_a_glance() -> None:
    """They enter no figure there; their failures are counted."""
    first = [answered(target, "one") for target in (BASE, NEW)]
    again = [replace(each, identity=replace(each.identity, turn=turn)) for turn in (2, 3) for each in first]
    (cases,) = glance_of(run_of_targets([*first, *again], cache_probe=(0.0, 0.0, 1.0))).groups
    assert [row.label for row in cases.rows] == ["one"]
    lost = replace(failed(), identity=again[0].identity)
    *_whole, cases = glance_of(run_of_targets([*first, lost, *again[1:]], cache_probe=(0.0, 0.0, 1.0))).groups
    assert [row.label for row in cases.rows] == ["one", "one · again at once"]


def test_replies_of_a_cache_probe_are_named_as_its_table_names_them() -> None:
    """A repeated request is no further turn of a conversation; without a probe it is one."""
    first = answered(BASE, "one")
    again = [replace(first, identity=replace(first.identity, turn=turn)) for turn in (2, 3)]
    probe = grid_turns(target_columns([run_of_targets([first, *again], cache_probe=(0.0, 0.0, 300.0))]))
    talk = grid_turns(target_columns([run_of_targets([first, *again])]))
    assert [turn.label for turn in probe] == ["one", "one · again at once", "one · again after 5 min"]
    assert [turn.label for turn in talk] == ["one", "one · turn 2", "one · turn 3"]


def test_a_sweep_is_asked_for_rounds_of_each_level() -> None:
    """The headline names the rounds that three levels need together."""
    plain = [*jittered(BASE, 3), *jittered(NEW, 3, slower=3)]
    found = [headline_of(run_of_targets(plain, load=load)).scope or "" for load in ({}, {"levels": [1, 2, 4]})]
    once, by_level = (int(re.search(r"--repeat (\d+)", scope)[1]) for scope in found)  # type: ignore[index]
    assert by_level == math.ceil(once / 3) > 1


@pytest.mark.parametrize(
    ("rounds", "words"), [(1, "One round within 1 s is not enough"), (2, "2 rounds within 1 s are not enough")]
)
def test_the_scope_of_an_open_pair_agrees_with_the_number_of_rounds(rounds: int, words: str) -> None:
    """The grammar differs for one round and for two."""
    scope = headline_of(run_of_targets([*jittered(BASE, rounds), *jittered(NEW, rounds)])).scope
    assert scope is not None
    assert scope.startswith(words)


def test_the_page_of_a_run_without_timed_requests_has_a_message() -> None:
    """All requests of the run failed."""
    text = ParsedPage(write_report([run_of_targets([failed()])])).text
    assert "Nothing was timed." in text
    assert f"{BASE}: 1 × the provider failed" in text


@pytest.mark.parametrize(("span_s", "words"), [(0.2, "1 s"), (40, "40 s"), (600, "10 min"), (7200, "2.0 h")])
def test_a_span_is_written_as_people_say_it(span_s: float, words: str) -> None:
    """Seconds, then minutes, then hours."""
    assert rounded_span(span_s) == words


# -- Rankings ----------------------------------------------------------------------------------------------------------


def test_a_target_that_failed_altogether_stands_last_by_name() -> None:
    """Without a median, it is in each ranking with the reason."""
    records = [*jittered(BASE, 2), *(failed(NEW, "one", block) for block in (1, 2))]
    found = ranking_of(run_of_targets(records))
    assert [place.label for place in found.places] == [BASE]
    assert [(each.label, each.why) for each in found.unranked] == [(NEW, "all 2 requests failed: the provider failed")]


def test_each_reason_for_doubt_names_its_targets() -> None:
    """If some pairs have too few blocks and another has none, each reason names its targets."""
    others = [jittered(name, 2, slower=2) for name in ("acme/second", "acme/third")]
    alone = [answered("acme/fourth", block=7, ttft_s=3.0)]
    records = [*jittered(BASE, 2), *others[0], *others[1], *alone]
    found = ranking_of(run_of_targets(records, tuple(dict.fromkeys(record.identity.target for record in records))))
    few, none = found.doubts
    assert re.match(
        "acme/(second, acme/third|third, acme/second): not decided: no result can be significant with 2 rounds", few
    )
    assert none.startswith("acme/fourth: not tested: nothing to compare")


def test_runs_are_not_tested_against_each_other() -> None:
    """Columns of two runs stand side by side, but pairs are not tested across runs."""
    runs = [run_of_targets(jittered(BASE, 12), (BASE,)), run_of_targets(jittered(BASE, 12, slower=3), (BASE,))]
    columns = target_columns(runs)
    assert [column.label for column in columns] == [f"{BASE} · run 1", f"{BASE} · run 2"]
    assert rank_targets(columns)[0].doubts == ("not tested: these are different runs; compare diff compares runs",)


def test_the_lead_counts_pairs_of_one_case_turn_and_round() -> None:
    """A request without its partner is no pair; the ratio is the geometric mean over pairs."""
    run = run_of_targets(
        [
            *(answered(BASE, "one", block, 0.1) for block in (1, 2, 3)),
            answered(NEW, "one", 1, 0.2),
            answered(NEW, "one", 2, 0.05),
        ]
    )
    first, other = run.targets
    lead = paired_lead(run.table, first, other, "ttft_s")
    assert lead is not None
    assert (round(lead.ratio, 9), lead.ahead, lead.pairs) == (1.0, 1, 2)
    assert paired_lead(run.table, first, other, "dns_s") is None


def test_targets_from_different_places_are_paired_whatever_node_sent_them() -> None:
    """Different places share no node; within one place the pair is of one node, because distant nodes answer later."""
    sent = [("north", BASE, 0.1), ("south", BASE, 0.3), ("north", NEW, 0.2), ("south", NEW, 0.6)]
    records = [replace(answered(target, ttft_s=ttft_s), node=node) for node, target, ttft_s in sent]
    run = run_of_targets(records, vantages={"north": None, "south": None}).split_by_place
    base_north, base_south, new_north, new_south = [each.target for each in run.summary]
    far = paired_lead(run.table, base_north, base_south, "ttft_s")
    assert far is not None
    assert (round(far.ratio, 9), far.ahead, far.pairs) == (3.0, 1, 1)
    near = paired_lead(run.table, base_north, new_north, "ttft_s")
    assert near is not None
    assert (round(near.ratio, 9), near.pairs) == (2.0, 1)
    assert paired_lead(run.table, base_north, new_south, "ttft_s") is not None
    claim = ranking_of(run).places[-1].comparison
    assert claim is not None
    assert claim.ahead == "1 of 1"


def long_reply(target: str, tokens: int, gap_s: float, block: int = 1) -> Record:
    """Return the record of a reply of this many tokens, two characters each, evenly spaced from 100 ms on."""
    at_us = tuple(round((0.1 + gap_s * at) * 1e6) for at in range(tokens))
    events = TextEvents(at_us, "a" * tokens, (2,) * tokens)
    made = answered(target, "one", block)
    timestamps = replace(made.timestamps, last_event=SECOND + at_us[-1] * 1000)
    return replace(made, timestamps=timestamps, text_events=events, reply="ab" * tokens, output_tokens=tokens)


def test_whole_replies_are_ranked_at_equal_length() -> None:
    """The shorter reply of a slower target ends first, but its first 100 tokens take longer."""
    run = run_of_targets([long_reply(BASE, 400, 0.01), long_reply(NEW, 120, 0.02)])
    assert [place.label for place in ranking_of(run, "total_s").places] == [NEW, BASE]
    equal = ranking_of(run, "to_100_tokens_s")
    assert [(place.label, place.median) for place in equal.places] == [(BASE, "1.09 s"), (NEW, "2.08 s")]
    assert equal.title == "First 100 tokens"


@pytest.mark.parametrize("tokens", [3, 99])
def test_a_reply_of_fewer_tokens_has_no_time_to_the_first_hundred(tokens: int) -> None:
    """It is left out of that ranking."""
    assert time_to_tokens(long_reply(BASE, tokens, 0.01)) is None
    assert time_to_tokens(failed()) is None


# -- The summary -------------------------------------------------------------------------------------------------------


def cells_of(run: Run, label: str = BASE) -> dict[str, SummaryCell]:
    """Return the cells of one target's row in the summary, by heading."""
    table = tabulate_targets(target_columns([run]), run.percents)
    (row,) = [row for row in table.rows if row.label == label]
    return dict(zip(table.headings, row.cells, strict=True))


def test_the_summary_has_cost_and_pass_rate() -> None:
    """Cost, cost of 1,000 requests and the share of passed checks are columns, each with its n."""
    records = [
        answered(BASE, case, reply=reply) for case, reply in (("one", "Hello"), ("two", "Hello"), ("three", "x"))
    ]
    cells = cells_of(run_of_targets([replace(each, input_tokens=1) for each in records], prices=PRICES, checks=CHECKS))
    assert cells["cost"] == SummaryCell("0.009", ("CNY, n 3",))
    assert cells["cost per 1,000"] == SummaryCell("3.00", ("CNY",))
    assert cells["pass rate"] == SummaryCell("66.7 %", ("[20.8, 93.9]", "2 of 3", "3 cases"))


def test_the_summary_has_no_empty_columns() -> None:
    """Without prices and checks their columns are left out, and no column repeats another."""
    cells = cells_of(run_of_targets(jittered(BASE, 2), (BASE,)))
    assert not {"cost", "cost per 1,000", "pass rate", "first answer p50", "timed"} & set(cells)


def test_a_median_over_very_different_cases_has_a_note() -> None:
    """Cases of 0.1 s and 12 s have a median in between that none of them has."""
    run = run_of_targets([answered(BASE, "one", ttft_s=0.1), answered(BASE, "two", ttft_s=12.0)], (BASE,))
    assert cells_of(run)["TTFT p50"].below == ("cases 100\u00a0ms to 12.0\u00a0s",)
    alike = run_of_targets([answered(BASE, "one", ttft_s=0.1), answered(BASE, "two", ttft_s=0.12)], (BASE,))
    assert cells_of(alike)["TTFT p50"].below == ()


def test_the_failed_target_is_the_last_row() -> None:
    """Rows are in the order of TTFT."""
    records = [failed(BASE), *jittered(NEW, 2, slower=2), *jittered("acme/third", 2)]
    table = tabulate_targets(target_columns([run_of_targets(records, (BASE, NEW, "acme/third"))]), ())
    assert [row.label for row in table.rows] == ["acme/third", NEW, BASE]


# -- The grid at a glance ----------------------------------------------------------------------------------------------


def glance_of(run: Run) -> CaseHeatmap:
    """Return a run's table at a glance."""
    columns = target_columns([run])
    turns = grid_turns(columns)
    return compose_heatmap(columns, turns, sample_turns(turns).turns)


def test_the_grid_at_a_glance_compares_targets_case_by_case() -> None:
    """Each cell has the median of each metric, its heat against the best of the row, and leads to its reply."""
    records = [
        answered(BASE, "one", ttft_s=0.1),
        answered(NEW, "one", ttft_s=0.4),
        answered(BASE, "two", ttft_s=0.3),
        failed(NEW, "two"),
    ]
    glance = glance_of(run_of_targets(records, checks=CHECKS))
    assert [metric.key for metric in glance.metrics] == ["ttft", "total", "tokens", "checks"]
    whole, cases = glance.groups
    assert [row.label for row in (*whole.rows, *cases.rows)] == ["all cases", "one", "two"]
    fast, slow = cases.rows[0].cells
    assert fast.figures[0] == HeatmapFigure("ttft", "100 ms", 0)
    assert slow.figures[0] == HeatmapFigure("ttft", "400 ms", 4)
    assert slow.figures[3] == HeatmapFigure("checks", "✓ 1/1", 0)
    assert (fast.reply, slow.reply) == ((0, 0), (0, 1))
    lost = cases.rows[1].cells[1]
    assert (lost.failed, lost.figures[0]) == (1, HeatmapFigure("ttft", "–", None))
    assert whole.rows[0].cells[0].figures[0].below == "100 ms – 300 ms"


def test_medians_at_a_glance_are_of_the_steady_state() -> None:
    """Rows that filled a closed loop are in no median, as in the summary."""
    filling = [answered(BASE, block=block, ttft_s=5.0, noted=("filling",)) for block in (1, 2, 3)]
    run = run_of_targets([*filling, answered(BASE, block=4, ttft_s=0.1)], (BASE,))
    (cases,) = glance_of(run).groups
    assert cases.rows[0].cells[0].figures[0].figure == "100 ms"
    assert cells_of(run)["TTFT p50"].figure == "100 ms"


def test_costs_of_different_currencies_have_no_heat() -> None:
    """A cost in dollars is not compared with one in yuan."""
    prices = {**PRICES, NEW: {**PRICES[NEW], "currency": "USD"}}
    records = [replace(answered(target), input_tokens=1) for target in (BASE, NEW)]

    def heats(run: Run) -> list[int | None]:
        glance = glance_of(run)
        at = [metric.key for metric in glance.metrics].index("cost")
        return [cell.figures[at].heat for cell in glance.groups[0].rows[0].cells]

    assert heats(run_of_targets(records, prices=PRICES)) == [0, 3]
    assert heats(run_of_targets(records, prices=prices)) == [None, None]


def test_the_page_links_to_the_table_at_a_glance_only_where_there_is_one() -> None:
    """A page without any figure has no such table."""
    assert 'href="#glance"' in write_report([run_of_targets([answered()])])
    empty = write_report([run_of_targets([failed()])])
    assert 'id="glance"' not in empty
    assert 'href="#glance"' not in empty


def test_the_grid_at_a_glance_has_a_row_for_each_tag() -> None:
    """A tag's row is over its cases; a case may have several."""
    records = [answered(BASE, case, ttft_s=at) for case, at in (("one", 0.1), ("two", 0.3))]
    glance = glance_of(run_of_targets(records, (BASE,), tags={"one": ["short", "zh"], "two": ["short"]}))
    tags = glance.groups[1]
    assert tags.heading == "by tag"
    assert [(row.label, row.cells[0].figures[0].figure) for row in tags.rows] == [("short", "200 ms"), ("zh", "100 ms")]


# -- The order of the page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suite", "rounds", "first"), [("crafted", 1, True), ("crafted", 3, False), ("ask", 3, True)])
def test_replies_come_first_for_one_round(suite: str, rounds: int, first: bool) -> None:
    """The same holds for a prompt from the command line; otherwise figures come first."""
    html = write_report([run_of_targets([*jittered(BASE, rounds), *jittered(NEW, rounds)], suite=suite)])
    assert (html.index('id="replies"') < html.index('id="summary"')) == first


def test_charts_after_the_first_two_are_folded() -> None:
    """Two charts are open; the others are one click away, with their number and names."""
    html = write_report([run_of_targets([*jittered(BASE, 12), *jittered(NEW, 12)])])
    shown, _, folded = html.partition('<details class="more">')
    assert shown.count('<figure class="chart-figure') == 2
    assert folded.count('<figure class="chart-figure') >= 4
    assert re.search(
        r"\d+ more charts</span><span data-other=\"：\">: </span><span data-other=\"[^\"]+\">[A-Z]", folded
    )


# -- Checks ------------------------------------------------------------------------------------------------------------


def test_failed_checks_are_named_in_the_cell_and_listed_once() -> None:
    """The cell names and links the check; the same reason in two cells is in the list once, with its count."""
    records = [answered(BASE, case, reply=reply) for case, reply in (("one", "x"), ("two", "x"), ("three", "Hello"))]
    html = write_report([run_of_targets(records, (BASE,), checks=CHECKS)])
    text = squeezed(ParsedPage(html).text)
    assert "33.3 %[6.1, 79.2]1 of 33 cases" in text.replace(" %", " %")
    assert html.count('<a href="#reason-1-1">contains</a>') == 2
    assert html.count('id="reason-1-') == 1
    assert html.count('✗</span> <a href="#checks">contains</a>') == 2
    assert "2 times: one · acme/old, two · acme/old" in text


# -- The comparison with a baseline ------------------------------------------------------------------------------------


def test_a_page_with_a_baseline_has_deltas_beside_the_figures() -> None:
    """The change against the baseline is below each figure, and the comparison on top."""
    base, new = (
        run_of_targets(jittered(BASE, 12), (BASE,)),
        run_of_targets(jittered(BASE, 12, slower=2, seed=2), (BASE,)),
    )
    html = write_report([new], diff_runs(base, new))
    text = squeezed(ParsedPage(html).text)
    assert "Compared with the baseline" in text
    assert "regressed: " in text
    assert re.search(r"↑ \+\d+ %", text)
    assert '<span class="delta worse">' in html[html.index('id="summary"') :]


def test_a_comparison_is_a_page_with_figures_and_changed_replies() -> None:
    """Both texts of a reply stand side by side with their differences marked."""
    base = run_of_targets(
        [answered(BASE, "one", 1, reply="The capital is Rome, of course, as everybody knows.")], (BASE,)
    )
    new = run_of_targets(
        [answered(BASE, "one", 1, reply="The capital is Paris, of course, as everybody knows.")], (BASE,)
    )
    html = write_diff(diff_runs(base, new))
    assert "<del>Rome</del>" in html
    assert "<ins>Paris</ins>" in html
    assert html.count("<script") == 2  # for the switch between languages
    assert ParsedPage(html).policy.startswith("default-src 'none'; style-src 'sha256-")


def test_two_targets_of_one_run_are_slower_or_faster() -> None:
    """Neither is the baseline, so neither regressed."""
    run = run_of_targets([*jittered(BASE, 12), *jittered(NEW, 12, slower=2)])
    text = squeezed(ParsedPage(write_diff(diff_within(run, BASE, NEW))).text)
    assert "slower" in text
    assert not re.search(r"\b(regressed|improved)\b", text)
