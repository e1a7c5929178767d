"""Export a finished run in the form that another tool reads, or in any format that has a writer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from runner.analysis.run_results import Run
from runner.commands.load_stored_run import load_run
from runner.core.answered_by import AnsweredByColumn
from runner.core.percentiles import PERCENTILES
from runner.errors import CompareError
from runner.outputs import BUILT_IN, Export, find_writer, known_suffixes
from runner.storage.atomic_write import write_by_suffix
from runner.storage.run_folder import check_outputs


class ExportForm(StrEnum):
    """The tool that reads the export."""

    OTEL = "otel"
    PROMPTFOO = "promptfoo"
    EXCEL = "excel"


SUFFIXES: Mapping[ExportForm, tuple[str, ...]] = MappingProxyType(
    {ExportForm.OTEL: (".json", ".jsonl"), ExportForm.PROMPTFOO: (".json",), ExportForm.EXCEL: (".csv",)}
)
"""Form -> suffixes that its files may have."""


def export(
    name: Path,
    form: ExportForm | None,
    outputs: Sequence[Path] = (),
    *,
    with_content: bool = False,
    percents: tuple[float, ...] = PERCENTILES,
    by: AnsweredByColumn | None = None,
) -> Export:
    """Write a run to files; return its text in a tool's form, and notes on what the form leaves out.

    Args:
        name: the run: its folder, its journal, or `latest`.
        form: the tool that reads the export; None for the format of each file's suffix.
        outputs: the files to write; if empty, the text is only returned.
        with_content: whether an export for OpenTelemetry includes prompts and replies.
        percents: percentiles to show beside the medians, in formats that hold a summary.
        by: a column that says who answered; the targets of a summary are split by it.

    Raises:
        CompareError: there is no such run, or a file cannot be written.

    """
    if not outputs and form is None:
        raise CompareError(
            f"in which form? Name one of {', '.join(f'--{each}' for each in ExportForm)}, "
            f"or a file that ends in one of {', '.join(BUILT_IN)}: -o FILE"
        )
    suffixes = [output.suffix.lower() for output in outputs]
    check_outputs(outputs, known_suffixes(suffixes) if form is None else SUFFIXES[form], reads=[name])
    run = load_run(name, percents, by)
    if form is None:
        write_by_suffix(outputs, lambda suffix: find_writer(suffix)(run))
        return Export("", _notes(run))
    exported = _write_form(run, form, with_content=with_content)
    exported = replace(exported, notes=(*_notes(run), *exported.notes))
    write_by_suffix(outputs, lambda _: exported.text)
    return exported


def _notes(run: Run) -> tuple[str, ...]:
    return (run.left_out,) if run.left_out else ()


def _write_form(run: Run, form: ExportForm, *, with_content: bool) -> Export:
    match form:
        case ExportForm.OTEL:
            from runner.outputs import otel  # only the chosen form is imported

            return otel.write(run, with_content=with_content)
        case ExportForm.PROMPTFOO:
            from runner.outputs import promptfoo

            return promptfoo.write(run)
        case ExportForm.EXCEL:
            from runner.outputs import excel

            return excel.write(run)
