"""`run` and `arun`: send a suite or a list of prompts to every target; a table with a row for each request."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, Unpack

import pandas as pd

from runner.api.load_results import tabulate
from runner.api.notebook import Nowhere, Progress, find_screen
from runner.api.options import RUN_OPTIONS, RunKeywords, read_options, refuse_unknown
from runner.api.prompts import Prompts, load_suite_or_prompts
from runner.api.run_in_thread import perform_watched, perform_watched_async
from runner.commands.run.perform import FinishedRun
from runner.commands.run.prepare import prepare
from runner.commands.run.prepared_run import PreparedRun

SuiteName = str | PathLike[str]

ARGUMENTS = ("suite", "prompts", "defaults", "judge", "progress")


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
    run_options = read_options(options)
    return prepare(*load_suite_or_prompts(suite, prompts, defaults, judge, run_options), run_options)


def _open_view(prepared: PreparedRun, *, progress: bool) -> Progress:
    return Progress(find_screen() if progress else Nowhere(), prepared.notes)


def _tabulate(prepared: PreparedRun, finished: FinishedRun) -> pd.DataFrame:
    return tabulate(finished.run, finished.folder, prepared.notes)
