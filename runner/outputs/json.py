"""JSON of a run for programs: its header, the summary, every row. What is absent is null."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from runner.analysis.run_results import Run
from runner.outputs.judge.json import plain, plain_cost
from runner.outputs.text.escape import escape_surrogates

_INDENT = "  "


def write(run: Run) -> str:
    """Return one JSON document."""
    return "".join(stream(run))


def stream(run: Run) -> Iterator[str]:
    """Yield the document in pieces: a long run's rows do not fit into memory."""
    document = {
        "simulated": run.simulated,
        "ended": run.ended,
        "left_out": run.left_out,
        "run": asdict(run.header),
        "summary": [{**asdict(each), "target": str(each.target)} for each in run.summary],
        "failures": [{**asdict(each), "target": str(each.target)} for each in run.failures],
        "judges": [plain_cost(each) for each in run.judge_costs],
        "judged": [plain(each) for each in run.judged],
        "checks": [{**asdict(each), "target": str(each.target), "verdict": each.verdict} for each in run.checked],
    }
    yield _dump(document).removesuffix("\n}") + f',\n{_INDENT}"rows": ['
    separator, end = "", "]"
    for row in run.rows:
        yield f"{separator}\n{_dump(row)}".replace("\n", f"\n{_INDENT * 2}")
        separator, end = ",", f"\n{_INDENT}]"
    yield f"{end}\n}}\n"


def _dump(value: object) -> str:
    return escape_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=_INDENT))
