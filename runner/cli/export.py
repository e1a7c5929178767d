"""`compare export`: write a finished run in the form of another tool."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.shared_options import by_option, is_given, outputs_option, percentiles_option, run_argument
from runner.cli.standard_streams import mark_result
from runner.cli.terminal import echo_error, echo_written, exact_stdout
from runner.outputs.text.escape import printable

if TYPE_CHECKING:
    from runner.core.answered_by import AnsweredByColumn

ROWS_ALONE = frozenset({".csv", ".jsonl", ".parquet", ".xml"})
"""Formats that hold no summary."""


@click.command(cls=Command)
@run_argument
@click.option("--otel", is_flag=True, help="OpenTelemetry spans, a line of OTLP/JSON per request.")
@click.option("--promptfoo", is_flag=True, help="Replies for promptfoo's --model-outputs.")
@click.option("--excel", is_flag=True, help="A CSV that Excel opens correctly.")
@outputs_option(
    "File to write (default stdout); repeatable. Without one of the forms, the suffix selects the format: csv, xml ..."
)
@percentiles_option
@by_option
@click.option("--content", is_flag=True, help="With --otel, include prompts, replies and error messages.")
def export(
    run: Path,
    *,
    outputs: tuple[Path, ...],
    percents: tuple[float, ...],
    by: "AnsweredByColumn | None",
    content: bool,
    **forms: bool,
) -> None:
    """Write RUN for another tool: RUN is a folder, a journal, or `latest`.

    \b
    compare export latest --otel -o spans.jsonl
    compare export latest --promptfoo -o replies.json
    compare export latest --excel -o for-excel.csv
    compare export latest -o rows.parquet
    compare export latest --by served_by -o results.md

    Notes on stderr say what the form cannot hold.
    """
    from runner.commands.export import ExportForm, export

    chosen = [ExportForm(name) for name, is_chosen in forms.items() if is_chosen]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(f'--{form}' for form in chosen)} are two forms; choose one.")
    if content and chosen != [ExportForm.OTEL]:
        raise click.UsageError("--content belongs to --otel; the other forms hold prompts and replies anyway.")
    has_summary = not chosen and any(output.suffix.lower() not in ROWS_ALONE for output in outputs)
    if is_given("percents") and not has_summary:
        raise click.UsageError("--percentiles belongs to a format with a summary: .md, .html or .json.")
    if by is not None and not has_summary:
        raise click.UsageError(
            "--by splits the targets of a summary, in .md, .html, .json and .prom; rows stay as they are."
        )
    exported = export(run, chosen[0] if chosen else None, outputs, with_content=content, percents=percents, by=by)
    for note in exported.notes:
        echo_error(f"note: {note}")
    if outputs:
        echo_written(outputs)
    else:
        # Not click.echo: the console's encoding must neither reject a reply nor translate its line ends.
        _print(exported.text)


def _print(text: str) -> None:
    """Print an export: unchanged to a program, without control characters to a terminal."""
    mark_result()
    stdout = exact_stdout()
    shown = printable(text) if stdout.isatty() else text
    stdout.flush()
    stdout.buffer.write(shown.encode())
    stdout.buffer.flush()
