"""Make a suite from the arguments of `run`: a suite file, a list of prompts, or a table of prompts."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from runner.analysis.dataframe import rows_of
from runner.commands.providers import load_registry
from runner.commands.run.load_suite import find_suite, load_suite
from runner.commands.run.options import RunOptions
from runner.core.suite import Suite
from runner.errors import CompareError, closest_word
from runner.providers.registry import Registry
from runner.suite.faults import BadTemplate
from runner.suite.fill_templates import is_template
from runner.suite.from_python_data import suite_from_data
from runner.suite.templating import read_template

Prompt = str | Sequence[str] | Mapping[str, Any]
Prompts = str | Mapping[str, Any] | Sequence[Prompt] | pd.DataFrame
Case = dict[str, Any]

NAME = "prompts"
COLUMNS = ("prompt", "case", "system")


def load_suite_or_prompts(
    suite: str | PathLike[str] | pd.DataFrame | None,
    prompts: Prompts | None,
    defaults: Mapping[str, Any] | None,
    judge: Mapping[str, Any] | str | None,
    options: RunOptions,
) -> tuple[Suite, Registry]:
    """Return a suite and the provider rows for it.

    Raises:
        CompareError: `suite` and `prompts` are both given or both missing, or they are not a valid suite.

    """
    if suite is not None and prompts is not None:
        raise CompareError("a suite and prompts are both given; keep one of them")
    if isinstance(suite, pd.DataFrame):
        suite, prompts = None, suite
    if prompts is not None:
        registry = load_registry(Path.cwd())
        cases, known = read_cases(prompts), registry.names
        return suite_from_data(cases, defaults or {}, name=NAME, judge=judge, known_providers=known), registry
    if defaults is not None:
        raise CompareError("defaults are for prompts; a suite file has `defaults` of its own")
    if judge is not None:
        raise CompareError("judge is for prompts; a suite file has a `judge` of its own")
    return load_suite(find_suite(None if suite is None else Path(suite), options))


def read_cases(prompts: Prompts) -> list[Case]:
    """Return prompts as cases of a suite: a text is a prompt, a list of texts the turns, a mapping a whole case.

    Raises:
        CompareError: a prompt has another type, or a table has no column `prompt`.

    """
    if isinstance(prompts, pd.DataFrame):
        return list(_cases_of_table(prompts))
    listed = [prompts] if isinstance(prompts, str | Mapping) else list(prompts)
    return [{"id": f"prompt-{number}"} | _case_of_prompt(prompt, number) for number, prompt in enumerate(listed, 1)]


def _case_of_prompt(prompt: object, number: int) -> Case:
    if isinstance(prompt, str):
        return {"prompt": prompt}
    if isinstance(prompt, Mapping):
        return {str(key): value for key, value in prompt.items()}
    if isinstance(prompt, Sequence) and all(isinstance(turn, str) for turn in prompt):
        return {"turns": list(prompt)}
    wanted = "give a text, a list of texts for several turns, or a mapping"
    raise CompareError(f"prompt {number} is of type {type(prompt).__name__}; {wanted}")


def _cases_of_table(table: pd.DataFrame) -> Iterator[Case]:
    names = [str(name) for name in table.columns]
    if "prompt" not in names:
        near = closest_word("prompt", names)
        hint = f"Is it `{near}`? Rename it" if near else f"It has {', '.join(names) or 'none'}; name one `prompt`"
        raise CompareError(f"the table has no column `prompt`. {hint}.")
    if len(set(names)) < len(names):
        raise CompareError("the table has two columns of one name; keep one of them")
    for number, row in enumerate(rows_of(table), 1):
        yield _case_of_row(row, number)


def _case_of_row(row: Mapping[str, object], number: int) -> Case:
    """Return a row as a case; its other columns are the variables of its templates."""
    if row["prompt"] is None:
        raise CompareError(f"row {number} of the table has no prompt; fill it in, or drop the row")
    id_ = row.get("case")
    case = {"id": f"prompt-{number}" if id_ is None else str(id_), "prompt": str(row["prompt"])}
    if row.get("system") is not None:
        case["system"] = str(row["system"])
    cells = {name: cell for name, cell in row.items() if name not in COLUMNS}
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
