"""The model of a report's page, made from runs; the template is filled with it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from runner.analysis.diff import Difference
from runner.analysis.measured_targets import name_target
from runner.analysis.run_results import Run
from runner.analysis.votes import Votes
from runner.outputs.charts.chart import PageChart
from runner.outputs.charts.run_charts import draw_page_charts
from runner.outputs.report.case_heatmap import CaseHeatmap, compose_heatmap
from runner.outputs.report.check_table import CheckTable, tabulate_checks
from runner.outputs.report.diff_section import DiffSection, compose_diff
from runner.outputs.report.duration_ranking import DurationRanking, rank_targets
from runner.outputs.report.headline import Headline, write_headline
from runner.outputs.report.pass_ranking import PassRanking, rank_by_passes
from runner.outputs.report.reply import PageReply, shorten, show_reply
from runner.outputs.report.reply_grid import (
    GridTurn,
    PromptImage,
    Replies,
    TargetColumn,
    find_text_limit,
    grid_turns,
    prompt_images,
    read_replies,
    sample_turns,
    target_columns,
)
from runner.outputs.report.run_facts import RunFact, run_facts
from runner.outputs.report.summary_table import PageSummary, describe_columns, tabulate_targets
from runner.outputs.text.caches_and_inputs import cache_table
from runner.outputs.text.checks import describe_checks
from runner.outputs.text.escape import printable
from runner.outputs.text.judge import describe_judged
from runner.outputs.text.labels import describe_partial
from runner.outputs.text.run_remarks import (
    advise_on,
    describe_failure,
    describe_simulated,
    remarks,
)
from runner.outputs.text.table import CaptionedTable, TitledTable
from runner.outputs.text.translation import _, clauses, join, labelled, plural, sentences
from runner.outputs.text.win_rates import tabulate_win_rates
from runner.outputs.votes import describe_votes, tabulate_votes

MAX_FAILURES = 50

REPLIES_FIRST = frozenset({"ask", "chat"})
"""Suites that the commands of these names make: who typed a prompt wants to read the replies."""


@dataclass(frozen=True, slots=True)
class JudgedSection:
    """One judging: its tables, and the sentences to read them by."""

    title: str
    criteria: str
    tables: tuple[TitledTable, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownFailure:
    """One way in which requests failed: a description, the provider's message, and advice."""

    what: str
    error: str | None
    advice: str | None


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A row of the grid: a turn with its replies to show, in each column by repeat."""

    label: str
    case: str
    turn: int
    prompt: str
    repeats: tuple[int, ...]
    first: int
    failed: bool
    flagged: bool
    cells: tuple[Mapping[int, PageReply], ...]
    images: tuple[PromptImage, ...] = ()
    """Thumbnails of the images in the prompt."""


@dataclass(frozen=True, slots=True)
class VotesSection:
    """The result of blind votes on the replies: sentences, the first of which counts the votes, and tables."""

    sentences: tuple[str, ...]
    tables: tuple[TitledTable, ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The content of a report."""

    title: str
    started: str
    partial: str | None
    """How much of an unfinished run there is, to follow the word "partial"."""
    simulated: str | None
    """Which targets are simulated, to follow the word "simulated"."""
    columns: tuple[TargetColumn, ...]
    headline: Headline
    rankings: tuple[DurationRanking, ...]
    pass_ranking: PassRanking | None
    replies_first: bool
    """Whether replies stand before figures and charts."""
    heatmap: CaseHeatmap
    provenance: tuple[tuple[RunFact, ...], ...]
    """How each run was made."""
    summary: PageSummary
    caches: tuple[CaptionedTable, ...]
    """The table of each run that was a cache probe."""
    caption: str
    """An explanation of the summary's columns."""
    failures: tuple[ShownFailure, ...]
    remarks: tuple[str, ...]
    checks: str | None
    """The counts of the checks' results; None if the suite has no checks."""
    check_tables: tuple[CheckTable, ...]
    """The checks' results by case and target, a table for each run that has checks."""
    judged: tuple[JudgedSection, ...]
    """What judges made of the replies in pairs."""
    votes: VotesSection | None
    charts: tuple[PageChart, ...]
    baseline: DiffSection | None
    """The comparison with a baseline, or of two targets of the run."""
    baseline_is_paired: bool
    rows: tuple[ShownTurn, ...]
    left_out: tuple[str, ...]
    run_ids: tuple[str, ...]
    digests: tuple[str, ...]

    @property
    def has_images(self) -> bool:
        """Whether any prompt is shown with thumbnails."""
        return any(row.images for row in self.rows)

    @property
    def labels(self) -> tuple[str, ...]:
        """The headings of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def chart_names(self) -> tuple[str, ...]:
        """The names of the charts that are folded."""
        return tuple(dict.fromkeys(chart.title for chart in self.charts[2:]))

    @property
    def texts(self) -> dict[str, object]:
        """The data of the scripts: replies as they were written, by row, column and repeat."""
        labels = [printable(column.label) for column in self.columns]
        return {
            "id": sha256(json.dumps([self.run_ids, labels]).encode()).hexdigest()[:12],
            "runs": [
                {"run_id": run_id, "suite_digest": digest}
                for run_id, digest in zip(self.run_ids, self.digests, strict=True)
            ],
            "columns": labels,
            "targets": [printable(str(column.target)) for column in self.columns],
            "run_of": [column.number for column in self.columns],
            "turns": [_turn_texts(row) for row in self.rows],
        }


def compose_report(runs: Sequence[Run], difference: Difference | None = None, votes: Votes | None = None) -> ReportPage:
    """Return the page of one run, or of several side by side; a target asked from several nodes has several columns."""
    provenance = tuple(run_facts(run) for run in runs)
    runs = [run.split_by_place for run in runs]
    columns = target_columns(runs)
    turns = grid_turns(columns)
    sample = sample_turns(turns)
    replies = read_replies(sample.turns, columns)
    cut = find_text_limit(replies)
    failures, more = _shown_failures(runs)
    rankings, pass_ranking = rank_targets(columns), rank_by_passes(columns)
    tables = [tabulate_checks(run, number, len(runs)) for number, run in enumerate(runs, start=1)]
    return ReportPage(
        title=join(_(" and "), dict.fromkeys(run.header.suite for run in runs)),
        started=join(_(" and "), map(_describe_start, runs)),
        partial=_join_sentences(runs, describe_partial),
        simulated=_join_sentences(runs, describe_simulated),
        columns=columns,
        headline=write_headline(rankings, columns, runs, pass_ranking),
        rankings=rankings,
        pass_ranking=pass_ranking,
        replies_first=_wants_replies_first(runs),
        heatmap=compose_heatmap(columns, turns, sample.turns),
        provenance=provenance,
        summary=tabulate_targets(columns, runs[0].percents, difference),
        caches=tuple(_cache_tables(runs)),
        caption=describe_columns(runs[0].percents, [run.slo for run in runs if run.slo]),
        failures=failures,
        remarks=(*more, *_sentences(runs, remarks)),
        checks=clauses(_sentences(runs, _count_checks)) or None,
        check_tables=tuple(table for table in tables if table),
        judged=tuple(_show_judged(runs)),
        votes=None if votes is None else VotesSection(describe_votes(votes), tabulate_votes(votes)),
        charts=tuple(draw_page_charts(runs)),
        baseline=compose_diff(difference) if difference else None,
        baseline_is_paired=difference is not None and difference.paired,
        rows=tuple(
            replace(_show_turn(turn, replies, cut.characters), images=prompt_images(runs, turn.case, turn.turn))
            for turn in sample.turns
        ),
        left_out=(*sample.left_out, *cut.left_out),
        run_ids=tuple(run.header.run_id for run in runs),
        digests=tuple(run.header.digest for run in runs),
    )


def _cache_tables(runs: Sequence[Run]) -> Iterator[CaptionedTable]:
    """Yield the table of each run that was a cache probe; of several runs, with the run's number in its title."""
    for number, run in enumerate(runs, start=1):
        table = cache_table(run)
        if table is not None:
            yield table._replace(title=_name_run(table.title, number, runs))


def _name_run(text: str, number: int, runs: Sequence[Run]) -> str:
    """Return a text on a run; where there are several runs, it begins with the run's name."""
    return labelled(_("run {n}", n=number), text) if len(runs) > 1 else text


def _describe_start(run: Run) -> str:
    started = run.header.started_at[:19].replace("T", " ")
    return _("run {run}, {started}", run=run.header.run_id, started=started)


def _wants_replies_first(runs: Sequence[Run]) -> bool:
    """Return whether figures rest on so little that the replies say more: one round, or a prompt typed by hand."""
    return all(
        run.header.suite in REPLIES_FIRST or (run.measured["block"].nunique() <= 1 and not run.sweep) for run in runs
    )


def _sentences(runs: Sequence[Run], describe: Callable[[Run], Sequence[str]]) -> list[str]:
    """Return the sentences on each run; where there are several runs, each begins with the run's name."""
    return [_name_run(text, number, runs) for number, run in enumerate(runs, start=1) for text in describe(run)]


def _join_sentences(runs: Sequence[Run], describe: Callable[[Run], str | None]) -> str | None:
    """Return the sentence on each run that has one, joined; None if there is none."""
    return sentences(_sentences(runs, lambda run: [sentence] if (sentence := describe(run)) else [])) or None


def _shown_failures(runs: Sequence[Run]) -> tuple[tuple[ShownFailure, ...], list[str]]:
    """Return the failures that fit, and a remark on the others."""
    found = [
        ShownFailure(
            describe_failure(replace(each, target=name_target(each.target, number, len(runs)))),
            each.error,
            advise_on(each),
        )
        for number, run in enumerate(runs, start=1)
        for each in run.failures
    ]
    more = len(found) - MAX_FAILURES
    one, many = "{n} more kind of failure, in results.csv", "{n} more kinds of failure, in results.csv"
    return tuple(found[:MAX_FAILURES]), [plural(more, one, many)] if more > 0 else []


def _count_checks(run: Run) -> list[str]:
    return [describe_checks(run.checked)] if run.checked else []


def _show_turn(turn: GridTurn, replies: Replies, characters: int) -> ShownTurn:
    cells = tuple(
        {repeat: show_reply(rows[reply.place], characters) for repeat, reply in cell.items()}
        for cell, rows in zip(turn.cells, replies, strict=True)
    )
    shown = [reply for cell in cells for reply in cell.values()]
    return ShownTurn(
        label=turn.label,
        case=turn.case,
        turn=turn.turn,
        prompt=shorten(turn.prompt, characters),
        repeats=tuple(turn.repeats),
        first=turn.first,
        failed=any(reply.failed for reply in shown),
        flagged=any(reply.flags for reply in shown),
        cells=cells,
    )


def _turn_texts(row: ShownTurn) -> dict[str, object]:
    return {
        "case": printable(row.case),
        "turn": row.turn,
        "repeats": row.repeats,
        "first": row.first,
        "replies": [
            {repeat: reply.compared for repeat, reply in cell.items() if reply.compared is not None}
            for cell in row.cells
        ],
    }


def _show_judged(runs: Sequence[Run]) -> Iterator[JudgedSection]:
    """Yield a section for each judging of each run."""
    for number, run in enumerate(runs, start=1):
        for judged in run.judged:
            yield JudgedSection(
                title=_name_run(_("by {judge}", judge=judged.judge), number, runs),
                criteria=judged.criteria,
                tables=tabulate_win_rates(judged.rates),
                sentences=tuple(describe_judged(judged)),
            )
