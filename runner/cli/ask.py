"""`compare ask`: one prompt to everyone, replies streaming side by side."""

import sys
from pathlib import Path
from typing import Any

import click

from runner.cli.options import read_options, target_options, view_options


@click.command()
@click.argument("prompt")
@target_options
@click.option("--system", metavar="TEXT", help="What to tell the models before the prompt.")
@view_options
def ask(prompt: str, **chosen: Any) -> None:
    """Ask everyone one PROMPT; `-` reads it from standard input.

    \b
    compare ask "你是谁？"
    compare ask "Explain TCP slow start in two sentences." -m deepseek/deepseek-flash -m dashscope/qwen-plus
    """
    import anyio  # noqa: PLC0415 -- heavy imports wait until there is work

    from runner.cli.columns import open_columns  # noqa: PLC0415
    from runner.cli.console import open_console, print_notes  # noqa: PLC0415
    from runner.cli.run import exit_code, show  # noqa: PLC0415
    from runner.commands.run.perform import backend, perform  # noqa: PLC0415
    from runner.commands.run.prepare import load_registry, prepare  # noqa: PLC0415
    from runner.core.suite import Parameters  # noqa: PLC0415
    from runner.suite.load import suite_from_prompts  # noqa: PLC0415

    text = sys.stdin.read().strip() if prompt == "-" else prompt
    suite = suite_from_prompts([text], parameters=Parameters(system=chosen["system"]))
    job = prepare(suite, load_registry(Path.cwd()), read_options(chosen))
    errors = open_console(chosen["color"], stderr=True)
    if not chosen["quiet"]:
        print_notes(job, errors)
    replies = errors if chosen["as_json"] else open_console(chosen["color"])
    names = [target.name for target in job.plan.targets]
    with open_columns("none" if chosen["quiet"] else chosen["progress"], replies, names) as columns:
        done = anyio.run(perform, job, columns, **backend())
    show(done, chosen)
    sys.exit(exit_code(done, (0, False)))
