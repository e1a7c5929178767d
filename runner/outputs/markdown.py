"""Markdown of a run, for reading in a terminal or an editor and for pasting into a pull request."""

from collections.abc import Sequence
from dataclasses import replace

from runner.analysis.check_results import CheckedCell
from runner.analysis.judge import JUDGED, read_rubric_verdicts
from runner.analysis.measured_targets import MeasuredTarget, describe_vantages
from runner.analysis.result_columns import Row
from runner.analysis.run_results import Run
from runner.analysis.side_by_side import Excerpt, GridRow, excerpt
from runner.analysis.summary import Failure
from runner.core.events import TIMED, Outcome
from runner.core.tool_call import calls_in, indented_arguments, list_calls
from runner.errors import counted
from runner.outputs.judge import judged_section
from runner.outputs.text.checks import describe_cell, describe_checks, describe_fault, not_passed, tabulate_cells
from runner.outputs.text.labels import describe_row
from runner.outputs.text.markdown_syntax import fence, fold, inline, table, write_table
from runner.outputs.text.number_format import MISSING, rate, seconds
from runner.outputs.text.ranking import in_suite_order
from runner.outputs.text.run_remarks import (
    advise_on,
    describe_failure,
    describe_notices,
    remarks,
)
from runner.outputs.text.speed_under_load import tables_beside_summary
from runner.outputs.text.summary import (
    CHECKS_CAPTION,
    summary_caption,
    tabulate_pass_rates,
    tabulate_summary,
)
from runner.outputs.text.variants import with_models

MAX_CASES = 50
MAX_BYTES = 200_000
MAX_REPLY_CHARACTERS = 20_000
MAX_FAILURES = 50
MAX_CELLS = 200
PREVIEW_COLUMNS = 60
_ELSEWHERE = "in the run's `results.csv` and `journal.jsonl`"


def write(run: Run) -> str:
    """Return the sections of a run, then its replies in full."""
    return "\n\n".join([*sections(run), *_replies_in_full(run.split_by_place)]) + "\n"


def sections(run: Run) -> list[str]:
    """Return all parts except the replies in full, to be joined by empty lines."""
    split = run.split_by_place
    return [
        *_heading(run),
        *_summary(split),
        *_load(split),
        *_failures(split),
        *_checks(split),
        *(part for judged in run.judged for part in judged_section(judged)),
        *_side_by_side(split),
    ]


def _heading(run: Run) -> list[str]:
    header = run.header
    versions = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    facts = {
        "suite": f"{header.suite} (digest {header.digest})",
        "started": header.started_at,
        "machine": header.platform or MISSING,
        "seed": f"{header.seed}, order {header.order}, repeat {header.repeat or 'open'}",
        "versions": versions or MISSING,
        **({"all requests sent from each of": describe_vantages(header.vantages)} if header.vantages else {}),
    }
    return [
        f"# {inline(header.suite)}, run {inline(header.run_id)}",
        *(f"> **{word}**: {inline(sentence)}" for word, sentence in describe_notices(run).items()),
        "\n".join(f"- {name}: {inline(fact)}" for name, fact in facts.items()),
    ]


def _summary(run: Run) -> list[str]:
    ordered = in_suite_order(run)
    summary = with_models(tabulate_summary(ordered, run.percents), ordered, run.header.variants)
    notes = "\n".join(f"- {inline(remark)}" for remark in remarks(run))
    return [
        "## Summary",
        write_table(summary),
        summary_caption(run.percents, run.slo),
        *([notes] if notes else []),
    ]


def _load(run: Run) -> list[str]:
    parts = []
    for title, content, caption in tables_beside_summary(run):
        parts += [f"## {title}", write_table(content), caption]
    return parts


def _failures(run: Run) -> list[str]:
    if not run.failures:
        return []
    lines = [_failure(failure) for failure in run.failures[:MAX_FAILURES]]
    return ["## Failures", "\n".join(lines), *_rest(len(run.failures) - MAX_FAILURES, "more kind")]


def _rest(number: int, noun: str) -> list[str]:
    """Return a note on what a list leaves out; empty if that is nothing."""
    return [f"{counted(number, noun)}, {_ELSEWHERE}."] if number > 0 else []


def _failure(failure: Failure) -> str:
    error, advice = failure.error, advise_on(failure)
    line = f"- {inline(describe_failure(failure))}" + (f": {inline(error, 400)}" if error else "")
    return f"{line}\n  - {inline(advice)}" if advice else line


def _checks(run: Run) -> list[str]:
    if not run.checked:
        return []
    cells = not_passed(run.checked)
    lines = [line for cell in cells[:MAX_CELLS] for line in _faults(cell)]
    return [
        "## Checks",
        f"{describe_checks(run.checked)}.",
        *_pass_rates(run),
        *_check_table(run.checked),
        *(["\n".join(lines)] if lines else []),
        *_rest(len(cells) - MAX_CELLS, "more cell"),
    ]


def _pass_rates(run: Run) -> list[str]:
    content = tabulate_pass_rates(run)
    return [] if content is None else [write_table(content), CHECKS_CAPTION]


def _check_table(cells: Sequence[CheckedCell]) -> list[str]:
    """Return a table of the cells' results, limited to the first cases of a long suite."""
    content = tabulate_cells(cells)
    shown = write_table(replace(content, rows=content.rows[:MAX_CELLS]))
    return [shown, *_rest(len(content.rows) - MAX_CELLS, "more case")]


def _faults(cell: CheckedCell) -> list[str]:
    return [f"- {inline(describe_cell(cell))}", *(f"  - {inline(describe_fault(fault), 400)}" for fault in cell.faults)]


def _side_by_side(run: Run) -> list[str]:
    shown = excerpt_of(run, MAX_CASES)
    if not shown.rows:
        return []
    targets = [summary.target for summary in run.summary]
    rows = [[inline(row.label), *(_preview(row.replies.get(target)) for target in targets)] for row in shown.rows]
    headings = ["case", *(inline(str(target)) for target in targets)]
    return ["## Side by side", table(headings, rows, range(len(headings))), *_left_out(shown)]


def _preview(row: Row | None) -> str:
    if row is None:
        return MISSING
    ending, reply = describe_row(row), row["reply"]
    said = [*([reply] if isinstance(reply, str) and reply.strip() else []), *list_calls(row["tool_calls"])]
    if row["outcome"] not in TIMED or not said:
        return inline(ending if row["outcome"] != Outcome.OK else "ok, no text")
    text = inline(" ".join(said), PREVIEW_COLUMNS)
    return text if row["outcome"] == Outcome.OK else f"{text} ({ending})"


def _left_out(shown: Excerpt) -> list[str]:
    return [f"Left out: {counted(shown.left_out, 'further case')}, {_ELSEWHERE}."] if shown.left_out else []


def _replies_in_full(run: Run) -> list[str]:
    shown = excerpt_of(run, MAX_CASES, MAX_BYTES)
    if not shown.rows:
        return []
    targets = [summary.target for summary in run.summary]
    return ["## Replies", *(part for row in shown.rows for part in _turn(row, targets)), *_left_out(shown)]


def _turn(row: GridRow, targets: Sequence[MeasuredTarget]) -> list[str]:
    answered = [target for target in targets if target in row.replies]
    parts = [part for target in answered for part in _reply(str(target), row.replies[target])]
    return [f"### {inline(row.label)}", _fenced(row.prompt), *parts]


def _reply(target: str, row: Row) -> list[str]:
    parts = [f"#### {inline(target)}", inline(_facts(row))]
    reasoning, reply, error = row["reasoning"], row["reply"], row["error"]
    if isinstance(reasoning, str):
        parts.append(fold(f"reasoning, {counted(len(reasoning), 'character')}", _fenced(reasoning)))
    calls = calls_in(row["tool_calls"])
    if isinstance(reply, str) and (reply or not calls):
        parts.append(_fenced(reply))
    for call in calls:
        parts += [f"Calls {inline(call.name)}:", _fenced(indented_arguments(call))]
    if isinstance(error, str):
        parts += ["Error:", _fenced(error)]
    verdicts = [
        f"- rubric {verdict.value}: {inline(rubric)}" + (f" ({inline(why, 400)})" if why else "")
        for verdict, rubric, why in read_rubric_verdicts(row.get(JUDGED))
    ]
    return [*parts, "\n".join(verdicts)] if verdicts else parts


def _facts(row: Row) -> str:
    ttft, total, speed = (_as_float(row[name]) for name in ("ttft_s", "total_s", "output_tps"))
    repeat = f"repeat {row['repeat']}"
    simulated = ["simulated"] if row["simulated"] else []
    timing = [f"TTFT {seconds(ttft)}", f"total {seconds(total)}", f"{rate(speed)} tokens/s"]
    return " · ".join([*simulated, describe_row(row), repeat, *timing])


def _as_float(cell: object) -> float | None:
    return cell if isinstance(cell, float) else None


def _fenced(text: str) -> str:
    if len(text) <= MAX_REPLY_CHARACTERS:
        return fence(text)
    more = counted(len(text) - MAX_REPLY_CHARACTERS, "more character")
    return f"{fence(text[:MAX_REPLY_CHARACTERS])}\n\nLeft out: {more}, {_ELSEWHERE}."


def excerpt_of(run: Run, max_cases: int, max_bytes: float = float("inf")) -> Excerpt:
    """Return an excerpt of a run's replies. Only the replies of the first `max_cases` cases are read."""
    cases = run.chosen["case"].unique()
    first = run.chosen[run.chosen["case"].isin(cases[:max_cases])]
    taken = excerpt(run.grid_of(first), max_cases, max_bytes)
    return replace(taken, left_out=taken.left_out + len(cases[max_cases:]))
