"""Import a CSV table of prompts: a file as for `cases_from`, but ids are optional and unknown columns are skipped."""

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from runner.document import document_of
from runner.errors import InvalidFile, Problem
from runner.suite.case_files import CHECK_COLUMNS, COLUMNS, case_of_cells
from runner.suite.imports.draft import Draft, ImportSource
from runner.suite.openai_messages import NotImportable, as_literal

PROMPT_COLUMNS = ("prompt", "prompt_file")


def draft_of_table(text: str, path: Path) -> Draft:
    """Return the draft of a CSV file.

    Raises:
        InvalidFile: the text is not valid CSV, or no column holds prompts.

    """
    draft = Draft(path.parent)
    for number, (line, cells) in enumerate(rows_of_table(text, path)):
        source = ImportSource(document_of(dict(cells), str(path), line))
        if number == 0:
            _check_columns(draft, source, cells)
        filled = {column: cell for column, cell in cells.items() if cell and _is_known(column)}
        case = case_of_cells(filled)
        if "vars" not in case:
            case |= {key: as_literal(str(case[key])) for key in ("prompt", "system") if key in case}
        id_ = str(case.pop("id", f"line-{line}"))
        draft.add(case, id_, source)
    return draft


def _check_columns(draft: Draft, source: ImportSource, cells: Mapping[str, str]) -> None:
    if not {*PROMPT_COLUMNS} & cells.keys():
        hint = "Name the column that says what to ask `prompt`"
        if any(column.startswith("__") for column in cells):
            hint = "If this is promptfoo's, import the promptfooconfig.yaml that names it"
        raise InvalidFile([Problem(source.document.path, 1, 1, "no column is called `prompt`", hint)])
    for column in cells:
        if not _is_known(column):
            known = f"{', '.join(COLUMNS)}, checks such as checks.contains, and vars.NAME"
            draft.skip(source, NotImportable(f"the column `{column}` has no counterpart", f"Known are {known}"))


def _is_known(column: str) -> bool:
    return column in {*COLUMNS, *CHECK_COLUMNS} or column.startswith("vars.")


def rows_of_table(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's first line and its cells by column.

    Raises:
        InvalidFile: the text is not valid CSV.

    """
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield line, _by_column(header, cells)
            line = reader.line_num + 1
    except (csv.Error, ValueError) as error:
        what = f"this row is not CSV: {error}"
        raise InvalidFile([Problem(str(path), line, 1, what, "Quote cells as spreadsheets do")]) from None


def _by_column(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise ValueError(f"it has {len(cells)} cells, and the first row {len(header)}")
    return dict(zip(header, cells, strict=True))
