"""`compare import`: make a suite from another tool's file."""

from pathlib import Path

import click

from runner.cli.command_groups import Command
from runner.cli.shared_options import output_option
from runner.cli.terminal import echo_error
from runner.errors import counted


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@output_option("Suite file to write (default stdout).", "SUITE")
@click.option("--prompt-column", metavar="NAME", help="Column, or key of a row, with the prompt.")
@click.option("--expected-column", metavar="NAME", help="Column, or key of a row, with the reference answer.")
def import_suite(file: Path, output: Path | None, prompt_column: str | None, expected_column: str | None) -> None:
    """Make a suite from FILE: a promptfoo configuration, OpenAI messages, a data set, or a table of prompts.

    \b
    compare import promptfooconfig.yaml -o suite.yaml
    compare import training.jsonl -o suite.yaml        lines of OpenAI messages, or of a batch
    compare import questions.csv -o suite.yaml         columns such as question and answer
    compare import survey.csv --prompt-column Frage -o suite.yaml

    Parts that are not imported are listed with their positions on stderr and at the top of the suite. No code in FILE
    is run.
    """
    from runner.commands.import_suite import import_file
    from runner.suite.recognise_columns import ColumnNames

    imported = import_file(file, output, ColumnNames(prompt_column, expected_column))
    for line in imported.not_imported:
        echo_error(f"not imported: {line}")
    if output is None:
        click.echo(imported.text, nl=False)
    cases = counted(imported.cases, "case")
    beside = f" in {imported.case_file}" if imported.case_file else ""
    echo_error(f"written: {output}, {cases}{beside}" if output else cases)
