"""Arguments that several commands share: a suite, a run, a folder of runs."""

from pathlib import Path

import click

from runner.cli.completion import complete_runs

suite_argument = click.argument("suite", type=click.Path(path_type=Path))

run_argument = click.argument("run", type=click.Path(path_type=Path), shell_complete=complete_runs)

folder_argument = click.argument("folder", required=False, type=click.Path(path_type=Path))
