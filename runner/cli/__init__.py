"""The command line, with one module per command: parse options, call one use case, return an exit code.

A command's module is imported when the command is used, and its heavy imports stand in its functions, where there is
work for them, so `compare --help` is fast.
"""

import atexit
import gc
import os
import sys
from contextlib import nullcontext
from copy import copy
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import COMMANDS, write_commands
from runner.cli.completion import COMPLETION_VARIABLE
from runner.cli.standard_streams import lost_output, lost_result, prepare_standard_streams
from runner.cli.terminal import guard
from runner.errors import CompareError, WriteFailed, did_you_mean, suggest
from runner.outputs.text.escape import printable
from runner.version import __version__

YOUNG_OBJECTS = 500_000
"""Number of new objects that triggers the garbage collector. Imports make fewer, all of which stay alive; to traverse
them repeatedly would take 0.2 s."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pdf", ".svg"})

FILES = {"import": "import_suite"}
"""Command -> its module and function, if the command's name is a keyword of Python."""

FORMER_NAMES = {"serve": "simulate"}
"""Former name -> name of a command; former names still work, but are not shown."""

SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""Words in the name of an environment variable whose value is hidden from tracebacks."""


class Commands(click.Group):
    """The group of all commands: prints a `CompareError` as a message, and suggests a command for a mistyped one."""

    if not TYPE_CHECKING:  # click declares overloads by return type

        def main(self, *args: object, **extra: object) -> object:
            """Run the command line with `guard` between its output and the terminal.

            For shell completion click writes bytes, and the words are clean already.
            """
            with nullcontext() if COMPLETION_VARIABLE in os.environ else guard():
                return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command."""
        try:
            return super().invoke(ctx)
        except CompareError as error:
            notes: list[str] = getattr(error, "__notes__", [])
            click.echo("\n".join([f"compare: {error}", *notes]), err=True)
            ctx.exit(error.exit_code)
        except FileNotFoundError:
            if _has_working_folder():
                raise
            click.echo("compare: the working folder was removed; change into another one, and run it again", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            # This is the second interrupt; the run itself handles the first.
            from runner.commands.exit_codes import INTERRUPTED

            click.echo("compare: interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names of the commands, for suggestions and completion."""
        return sorted(name for names in COMMANDS.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or former name, and import its module; None if there is no such command."""
        if cmd_name not in self.commands and cmd_name in {*self.list_commands(ctx), *FORMER_NAMES}:
            self.add_command(_load_command(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the sub-command; refuse arguments that look like those of ImageMagick's `compare`."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            from pathlib import PurePath  # brings urllib, and `compare --help` names no file

            suffix = PurePath(name).suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                ctx.fail(f"{name} is an image: this `compare` compares language models; ImageMagick's is elsewhere.")
            if suffix in {".yaml", ".yml"}:
                ctx.fail(f"{name} is not a command. {suggest(f'compare run {name}')}")
            ctx.fail(f"No such command {name!r}. {did_you_mean(name, self.list_commands(ctx))}".rstrip())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        """Write the commands in groups, each on one line."""
        write_commands(formatter)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="compare")
def commands() -> None:
    """Compare language models across providers: speed, cost and quality of their answers.

    \b
    compare run prompts/basic.yaml      send a suite to every provider with a key, or to the simulator
    compare ask "你是谁？"               send one prompt to every target, replies side by side
    compare providers                   list the known providers, and whose key is set
    """


def _load_command(name: str) -> click.Command:
    file = FORMER_NAMES.get(name, name)
    file = FILES.get(file, file)
    command: click.Command = getattr(import_module(f"runner.cli.{file}"), file)
    if name in FORMER_NAMES:
        command = copy(command)
        command.hidden = True
    return command


def _has_working_folder() -> bool:
    from pathlib import Path

    try:
        Path.cwd()
    except OSError:
        return False
    return True


def print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, with all keys hidden, since chained errors of HTTP libraries print headers.

    It hides secrets in the environment, texts that look like keys, and the keys in use. The latter are found among all
    objects, since a registry of keys would be one more place that could leak them.
    """
    import traceback  # only a crash needs it

    from runner.providers.key import Key
    from runner.providers.redaction import Redactor

    gc.unfreeze()
    keys = [each for each in gc.get_objects() if isinstance(each, Key)]
    keys += [
        Key(value, name) for name, value in os.environ.items() if value and any(word in name for word in SECRET_WORDS)
    ]
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(printable(Redactor(keys).in_errors(text)))


def main() -> None:
    """Run the command line; print an exception that escapes it, which is a bug, without keys."""
    prepare_standard_streams()
    sys.excepthook = print_redacted
    gc.set_threshold(YOUNG_OBJECTS)
    # At exit the interpreter traverses all objects several times, which takes 0.3 s, except frozen ones.
    atexit.register(gc.freeze)
    try:
        commands(prog_name="compare")
    except SystemExit as ended:
        if ended.code in (0, None) and lost_result():
            sys.exit(WriteFailed.exit_code)
        raise
    finally:
        lost = lost_output()
        if lost is not None:
            sys.stderr.write(f"compare: {lost}\n")
