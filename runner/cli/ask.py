"""`compare ask`: send one prompt to every target, and show the replies side by side as they stream."""

import sys
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.confirm import ask_about_hosts
from runner.cli.run_options import CONCURRENCY, OUTPUTS, TARGETS, run_options
from runner.cli.run_output import ViewOptions, perform_with_observer, view_options
from runner.cli.standard_streams import read_standard_input, text_argument

if TYPE_CHECKING:
    from runner.commands.run.options import RunOptions


@click.command(cls=GroupedCommand)
@click.argument("prompt")
@run_options(TARGETS, CONCURRENCY, OUTPUTS)
@click.option("--system", metavar="TEXT", help="System message before the prompt.")
@click.option(
    "--attach",
    "attached",
    type=click.Path(),
    multiple=True,
    metavar="FILE",
    help="An image, a file or audio to send before the prompt, or the URL of one. Repeatable.",
)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Token limit of each reply.")
@view_options
def ask(
    prompt: str,
    *,
    options: "RunOptions",
    system: str | None,
    attached: tuple[str, ...],
    max_tokens: int | None,
    view: ViewOptions,
) -> None:
    """Send one PROMPT to every target; `-` reads it from standard input.

    \b
    compare ask "你是谁？"
    compare ask "Which bar is the highest?" --attach chart.png
    compare ask "Explain TCP slow start in two sentences." -m deepseek/deepseek-flash -m dashscope/qwen-plus
    """
    from runner.cli.live_replies import open_columns
    from runner.commands.ask import prepare_prompt
    from runner.commands.exit_codes import of_run

    text = read_standard_input().strip() if prompt == "-" else text_argument(prompt)
    system = system and text_argument(system)
    prepared = prepare_prompt(
        text, options, system=system, max_tokens=max_tokens, attached=attached, ask=ask_about_hosts
    )
    names = [target.name for target in prepared.plan.targets]
    finished = perform_with_observer(prepared, view, lambda: open_columns(view.reply_mode, view.open_results(), names))
    sys.exit(of_run(finished))
