"""JSON of a run for programs: a document with header, summary and all rows, or a line for each row.

Absent values are null.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from runner.analysis.cache_probe import CacheStage, measure_caches
from runner.analysis.check_results import CheckedCell
from runner.analysis.input_sizes import measure_inputs
from runner.analysis.result_columns import Cell, Row
from runner.analysis.run_results import Run
from runner.outputs.judge import judged_as_data, plain_cost
from runner.outputs.text.escape import dump_json

_INDENT = "  "
"""Indentation that `dump_json` writes."""


def stream(run: Run) -> Iterator[str]:
    """Yield the document in pieces, since the rows of a long run may not fit into memory.

    Targets are split, by `Run.split_by_place`, only if `run.by` is set.
    """
    split = run.split_by_place if run.by else run
    document = {
        "simulated": run.simulated,
        "ended": run.ended,
        "left_out": run.left_out,
        "run": asdict(run.header),
        "summary": [_with_target(each) for each in split.summary],
        "failures": [_with_target(each) for each in split.failures],
        "caches": [_stage(each) for each in measure_caches(split)],
        "inputs": [_with_target(each) for each in measure_inputs(split)],
        "judges": [plain_cost(each) for each in run.judge_costs],
        "judged": [judged_as_data(each) for each in run.judged],
        "checks": [_checked(each) for each in split.checked],
        "pass_rates": [
            {**asdict(rate), "share": rate.share, "target": str(each.target)}
            for each in split.summary
            if (rate := split.pass_rate(each.target)) is not None
        ],
    }
    yield dump_json(document).removesuffix("\n}") + f',\n{_INDENT}"rows": ['
    separator, end = "", "]"
    for row in run.rows:
        yield f"{separator}\n{dump_json(with_calls(row))}".replace("\n", f"\n{_INDENT * 2}")
        separator, end = ",", f"\n{_INDENT}]"
    yield f"{end}\n}}\n"


def with_calls(row: Row) -> dict[str, Cell | list[object]]:
    """Return a row whose tool calls are a list instead of JSON text."""
    calls = row["tool_calls"]
    return {**row, "tool_calls": json.loads(calls)} if isinstance(calls, str) else {**row}


def _with_target(figures: Any) -> dict[str, Any]:
    """Return figures as plain data that name their target."""
    return {**asdict(figures), "target": str(figures.target)}


def _stage(stage: CacheStage) -> dict[str, object]:
    """Return a stage of a cache probe whose saving is an amount of money as text."""
    plain = _with_target(stage)
    if stage.saving is not None:
        plain["saving"]["of_1000"] = stage.saving.of_1000.to_plain()
    return plain


def _checked(cell: CheckedCell) -> dict[str, object]:
    """Return the result of a cell without its repeats, whose findings are in the rows."""
    counts = _with_target(replace(cell, repeats=()))
    del counts["repeats"]
    return {**counts, "verdict": cell.verdict}


def stream_lines(run: Run) -> Iterator[str]:
    """Yield a line for each row, since the rows of a long run may not fit into memory."""
    for row in run.rows:
        yield dump_json(with_calls(row), indent=None) + "\n"
