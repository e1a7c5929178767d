"""`run` and `arun`: send a suite, a list of prompts or a table of prompts to every target; return a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from runner.analysis.dataframe import rows_of
from runner.api.keywords import RUN_OPTIONS, RunKeywords, refuse_unknown
from runner.api.options import read_options, read_values
from runner.api.progress_display import NoDisplay, Progress, find_display
from runner.api.run_in_thread import perform_watched, perform_watched_async
from runner.api.run_table import tabulate
from runner.commands.providers import load_registry
from runner.commands.run.load_suite import model_fault
from runner.commands.run.perform import FinishedRun
from runner.commands.run.prepare import prepare, prepare_file
from runner.commands.run.prepared_run import PreparedRun
from runner.core.suite import Suite
from runner.errors import CompareError, closest_word
from runner.providers.registry import Registry
from runner.suite.errors import BadTemplate
from runner.suite.fill_templates import is_template
from runner.suite.from_python_data import suite_from_data
from runner.suite.suite_targets import KnownTargets
from runner.suite.template_language import read_template

SuiteName = str | PathLike[str]
Prompt = str | Sequence[str] | Mapping[str, Any]
Prompts = str | Mapping[str, Any] | Sequence[Prompt] | pd.DataFrame
CaseData = dict[str, Any]
"""A case as in a suite file."""

ARGUMENTS = ("suite", "prompts", "defaults", "judge", "progress")

SUITE_NAME = "prompts"
"""Name of a suite of prompts."""

PROMPT_COLUMNS = ("prompt", "case", "system")
"""Columns of a table of prompts that are not variables."""


def run(
    suite: SuiteName | pd.DataFrame | None = None,
    *,
    prompts: Prompts | None = None,
    defaults: Mapping[str, Any] | None = None,
    judge: str | Mapping[str, Any] | None = None,
    progress: bool = True,
    **options: Unpack[RunKeywords],
) -> pd.DataFrame:
    """Send a suite or a list of prompts to every target; return a table with a row for each request.

    This works in scripts and in notebooks; a notebook's event loop is not used. Without any key the built-in simulator
    answers, and the column `simulated` says so. There is no confirmation before many requests: set a `budget`.

        run("prompts/basic.yaml", repeat=5)
        run(prompts=["你是谁？", "Who are you?"], targets=["deepseek/deepseek-flash", "zhipu/glm-5.3-flash"])
        run(pd.DataFrame({"prompt": ["Say {{word}}."], "word": ["hello"]}))

    Args:
        suite: a suite file, or a table of prompts. None takes the suite of `resume`.
        prompts: alternative to a suite: a list of texts, of lists of texts (the turns of a conversation), or of
            mappings (cases as in a suite file); or a table with a column `prompt` and optionally `case` (a name) and
            `system`, whose other columns fill `{{name}}` in the texts of the row.
        defaults: with prompts, the `defaults` of a suite file, such as `{"max_tokens": 200}`.
        judge: with prompts, the model that decides `rubric` checks: "provider/model", or a mapping with `target`
            and parameters.
        progress: whether a notebook shows the progress; a script shows none.
        **options: options of `compare run`, by the same names: targets (its -m), provider, skip_missing, env_file,
            case, repeat, seed, warmup_requests, order, lead, adaptive, concurrency, rate (a second), arrivals,
            duration (seconds), requests, ramp (seconds or "auto"), sweep, budget ("5USD"), until_ci (0.05,
            "5%" or "passes=4%"), slo ("ttft=800ms,total=10s"), estimate_tokens, percentiles ([50, 90, 99]),
            by ("served_by"), resume, retry_errors, output, bom.

    Returns:
        The table of docs/metrics.md, in the order in which requests ended: times in seconds, rates per second, NA
        for absent values. A failed request is a row with an `outcome` and an `error`. `attrs` holds the run's
        metadata: run_id, folder, suite, seed, targets, simulated, notes and the rest of the journal's header.
        Everything is also on disk, in results/<run-id>/ or where `output` says.

    Raises:
        CompareError: the suite, an option, a name or a key is wrong; nothing was sent.
        KeyboardInterrupt: the user interrupted the run; finished rows are kept, and the message says where.

    """
    refuse_unknown(options, (*ARGUMENTS, *RUN_OPTIONS), "run")
    prepared = _prepare(suite, prompts, defaults, judge, options)
    return _tabulate(prepared, perform_watched(prepared, _open_view(prepared, progress=progress)))


async def arun(
    suite: SuiteName | pd.DataFrame | None = None,
    *,
    prompts: Prompts | None = None,
    defaults: Mapping[str, Any] | None = None,
    judge: str | Mapping[str, Any] | None = None,
    progress: bool = True,
    **options: Unpack[RunKeywords],
) -> pd.DataFrame:
    """Do what `run` does without blocking the caller's event loop; arguments, result and errors are those of `run`.

    The run has its own event loop in its own thread, so that nothing else delays its timestamps. A cancellation
    stops it and keeps finished rows in its folder.
    """
    refuse_unknown(options, (*ARGUMENTS, *RUN_OPTIONS), "arun")
    prepared = _prepare(suite, prompts, defaults, judge, options)
    return _tabulate(prepared, await perform_watched_async(prepared, _open_view(prepared, progress=progress)))


def _prepare(
    suite: SuiteName | pd.DataFrame | None,
    prompts: Prompts | None,
    defaults: Mapping[str, Any] | None,
    judge: str | Mapping[str, Any] | None,
    options: RunKeywords,
) -> PreparedRun:
    read_values({"suite": None if isinstance(suite, pd.DataFrame) else suite, "defaults": defaults, "judge": judge})
    run_options = read_options(options)
    if suite is not None and prompts is not None:
        raise CompareError("a suite and prompts are both given; keep one of them")
    if isinstance(suite, pd.DataFrame):
        suite, prompts = None, suite
    if prompts is not None:
        return prepare(*read_prompts(prompts, defaults, judge), run_options)
    if defaults is not None:
        raise CompareError("defaults are for prompts; a suite file has `defaults` of its own")
    if judge is not None:
        raise CompareError("judge is for prompts; a suite file has a `judge` of its own")
    return prepare_file(None if suite is None else Path(suite), run_options)


def _open_view(prepared: PreparedRun, *, progress: bool) -> Progress:
    return Progress(find_display() if progress else NoDisplay(), prepared.notes)


def _tabulate(prepared: PreparedRun, finished: FinishedRun) -> pd.DataFrame:
    return tabulate(finished.run, finished.folder, prepared.notes)


# Prompts


def read_prompts(
    prompts: Prompts, defaults: Mapping[str, Any] | None, judge: Mapping[str, Any] | str | None
) -> tuple[Suite, Registry]:
    """Return a suite of prompts and the known providers.

    Raises:
        CompareError: the prompts, the defaults or the judge have problems; the message lists all of them.

    """
    registry = load_registry(Path.cwd())
    known = KnownTargets(registry.names, partial(model_fault, registry))
    cases = read_cases(prompts)
    return suite_from_data(cases, defaults or {}, name=SUITE_NAME, judge=judge, known=known), registry


def read_cases(prompts: Prompts) -> list[CaseData]:
    """Return prompts as cases of a suite: a text is a prompt, a list of texts the turns, a mapping a whole case.

    Raises:
        CompareError: a prompt has another type, or a table has no column `prompt`.

    """
    if isinstance(prompts, pd.DataFrame):
        return list(_cases_of_table(prompts))
    if not isinstance(prompts, Iterable):
        raise CompareError(f"prompts={prompts!r}: give a list of prompts, or a table with a column `prompt`")
    listed = [prompts] if isinstance(prompts, str | Mapping) else list(prompts)
    return [{"id": f"prompt-{number}"} | _case_of_prompt(prompt, number) for number, prompt in enumerate(listed, 1)]


def _case_of_prompt(prompt: object, number: int) -> CaseData:
    if isinstance(prompt, str):
        return {"prompt": prompt}
    if isinstance(prompt, Mapping):
        return {str(key): value for key, value in prompt.items()}
    if isinstance(prompt, Sequence) and all(isinstance(turn, str) for turn in prompt):
        return {"turns": list(prompt)}
    wanted = "give a text, a list of texts for several turns, or a mapping"
    raise CompareError(f"prompt {number} is of type {type(prompt).__name__}; {wanted}")


def _cases_of_table(table: pd.DataFrame) -> Iterator[CaseData]:
    names = [str(name) for name in table.columns]
    if "prompt" not in names:
        near = closest_word("prompt", names)
        hint = f"Is it `{near}`? Rename it" if near else f"It has {', '.join(names) or 'none'}; name one `prompt`"
        raise CompareError(f"the table has no column `prompt`. {hint}.")
    if len(set(names)) < len(names):
        raise CompareError("the table has two columns of one name; keep one of them")
    for number, row in enumerate(rows_of(table), 1):
        yield _case_of_row(row, number)


def _case_of_row(row: Mapping[str, object], number: int) -> CaseData:
    """Return a row as a case; its other columns are the variables of its templates."""
    if row["prompt"] is None:
        raise CompareError(f"row {number} of the table has no prompt; fill it in, or drop the row")
    id_ = row.get("case")
    case = {"id": f"prompt-{number}" if id_ is None else str(id_), "prompt": str(row["prompt"])}
    if row.get("system") is not None:
        case["system"] = str(row["system"])
    cells = {name: cell for name, cell in row.items() if name not in PROMPT_COLUMNS}
    names = _columns_used([case["prompt"], case.get("system", "")], cells)
    blank = next((name for name in names if cells[name] is None), None)
    if blank is not None:
        raise CompareError(
            f"row {number} of the table has no `{blank}`, which its text uses; fill it in, or drop the row"
        )
    return {**case, "vars": {name: _cell_text(cells[name]) for name in names}} if names else dict(case)


def _cell_text(cell: object) -> str:
    """Return a cell as text for a template; pandas turns 3 into 3.0 in a column with gaps, so write it as 3."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _columns_used(texts: Sequence[str], cells: Mapping[str, object]) -> list[str]:
    """Return the columns that templates use; if none, all filled ones, so that an error can name them."""
    templates = [text for text in texts if is_template(text)]
    filled = [name for name, cell in cells.items() if cell is not None]
    if not templates:
        return []
    try:
        names = {name for text in templates for name in read_template(text).names}
    except BadTemplate:
        return filled
    return [name for name in cells if name in names] or filled
