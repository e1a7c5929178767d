"""A run that is over, given to another tool: in that tool's own form, or in any format that has a writer."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from runner.analysis.run import Run
from runner.commands.diff import open_run
from runner.core.percentiles import PERCENTILES
from runner.errors import CompareError
from runner.outputs import BUILT_IN, Export, find_writer, known_suffixes
from runner.storage.run_folder import check_outputs, write_atomically


class ExportForm(StrEnum):
    """The form of a tool that reads what we write."""

    OTEL = "otel"
    PROMPTFOO = "promptfoo"
    EXCEL = "excel"


SUFFIXES: Mapping[ExportForm, tuple[str, ...]] = MappingProxyType(
    {ExportForm.OTEL: (".json", ".jsonl"), ExportForm.PROMPTFOO: (".json",), ExportForm.EXCEL: (".csv",)}
)
"""What the files of each form are called."""


def export(
    name: Path,
    form: ExportForm | None,
    output: Path | None,
    *,
    with_content: bool = False,
    percents: tuple[float, ...] = PERCENTILES,
) -> Export | None:
    """Write a run to a file, or return it where none is named; without a form the file's suffix tells the format.

    `percents` stand beside the medians of a format that holds a summary.

    Raises:
        CompareError: there is no such run, or the output cannot be written.

    """
    if output is None and form is None:
        raise CompareError(
            f"in which form? Name one of {', '.join(f'--{each}' for each in ExportForm)}, "
            f"or a file that ends in one of {', '.join(BUILT_IN)}: -o FILE"
        )
    if output is not None:
        suffix = output.suffix.lower()
        check_outputs([output], known_suffixes([suffix]) if form is None else SUFFIXES[form])
    run = replace(open_run(name), percents=percents)
    if form is None:
        assert output is not None
        write_atomically(output, find_writer(output.suffix.lower())(run))
        return None
    made = _in_form(run, form, with_content=with_content)
    if output is not None:
        write_atomically(output, made.text)
    return made


def _in_form(run: Run, form: ExportForm, *, with_content: bool) -> Export:
    match form:
        case ExportForm.OTEL:
            from runner.outputs import otel  # noqa: PLC0415 -- only the one that is wanted

            return otel.write(run, with_content=with_content)
        case ExportForm.PROMPTFOO:
            from runner.outputs import promptfoo  # noqa: PLC0415

            return promptfoo.write(run)
        case ExportForm.EXCEL:
            from runner.outputs import excel  # noqa: PLC0415

            return excel.write(run)
