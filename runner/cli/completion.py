"""`compare completion`: shell completion of commands, options and their values."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.commands.completion import (
    case_words,
    fault_words,
    followed_metric_words,
    metric_words,
    provider_words,
    run_target_words,
    run_words,
    stored_target_words,
    suite_words,
    target_words,
)
from runner.errors import CompareError

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "compare"
OTHER_PROGRAM = "compare-llm"
"""Name of the same program where another one is called `compare`."""
COMPLETION_VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"
"""Environment variable with which a shell requests completions."""

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the lines that make a shell complete commands, options, targets, cases, metrics, runs and files.

    \b
    eval "$(compare completion bash)"      in ~/.bashrc
    eval "$(compare completion zsh)"       in ~/.zshrc
    compare completion fish > ~/.config/fish/completions/compare.fish
    """
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"{shell} is not known")
    click.echo(completer(context.find_root().command, {}, _own_name(), COMPLETION_VARIABLE).source())


def _own_name() -> str:
    """Return the name by which the program was started, if that is one of its own."""
    from pathlib import Path

    name = Path(sys.argv[0]).stem
    return name if name == OTHER_PROGRAM else PROGRAM


def _completing(words: Callable[[click.Context], list[str]], *, or_files: bool = False) -> Complete:
    """Return a function that completes a parameter with words; with `or_files`, with files if no word matches."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        try:
            fitting = (word for word in words(context) if word.startswith(incomplete) and word.isprintable())
            found = [CompletionItem(word) for word in fitting]
        except (CompareError, OSError):  # a file has a problem that the command would report
            found = []
        return found or ([CompletionItem(incomplete, type="file")] if or_files else [])

    return complete


def _argument(context: click.Context, name: str) -> "Path | None":
    """Return an argument; click leaves it unparsed if the option before the cursor has no value yet."""
    from pathlib import Path  # `compare --help` names no file

    found = context.params.get(name) or next(iter(context.args), None)
    return None if found is None else Path(found)


complete_targets = _completing(lambda _: target_words())
complete_providers = _completing(lambda _: provider_words())
complete_cases = _completing(lambda context: case_words(_argument(context, "suite")))
complete_metrics = _completing(lambda _: metric_words())
complete_followed_metrics = _completing(lambda _: followed_metric_words())
complete_faults = _completing(lambda _: fault_words())
complete_suites = _completing(lambda context: suite_words(_argument(context, "folder")))
complete_stored_targets = _completing(lambda context: stored_target_words(_argument(context, "folder")))
complete_runs = _completing(lambda _: run_words(), or_files=True)
complete_targets_of_base = _completing(lambda context: run_target_words(_argument(context, "base")))
