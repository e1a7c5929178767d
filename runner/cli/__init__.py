"""The command line: options in, one use case of `commands`, exit code out. One file a command.

A command's file is imported when the command is used, and imports nothing heavy at its top: so `compare --help` is
instant.
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

from runner.cli.completion import COMPLETION_VARIABLE
from runner.cli.help import COMMANDS, write_commands
from runner.cli.standard_streams import lost_output, lost_product, prepare_standard_streams
from runner.cli.terminal import guard
from runner.errors import CompareError, WriteFailed, did_you_mean
from runner.outputs.text.escape import printable
from runner.version import __version__

YOUNG_OBJECTS = 500_000
"""New objects before the garbage collector runs. Imports make fewer, and all of them stay: to traverse them again and
again takes 0.2 s."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pdf", ".svg"})

FILES = {"import": "import_suite"}
"""Commands whose file, and function in it, have another name, since Python has that one for itself."""

FORMER_NAMES = {"serve": "simulate"}
"""Former names of commands, which still work and are not shown."""

SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""An environment variable with one of these in its name is hidden from tracebacks."""


class Commands(click.Group):
    """Prints a `CompareError` as one sentence, and suggests a command for a mistyped one."""

    if not TYPE_CHECKING:  # click has overloads of it, by what it returns

        def main(self, *args: object, **extra: object) -> object:
            """Run the command line with a guard between all that is printed and the terminal.

            To a shell that completes a word click writes bytes, of words that are clean already.
            """
            with nullcontext() if COMPLETION_VARIABLE in os.environ else guard():
                return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command."""
        try:
            return super().invoke(ctx)
        except CompareError as error:
            click.echo(f"compare: {error}", err=True)
            ctx.exit(error.exit_code)
        except FileNotFoundError:
            if _has_working_folder():
                raise
            click.echo("compare: the working folder was removed; change into another one, and run it again", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            # The second one: the run itself handles the first.
            click.echo("compare: interrupted", err=True)
            ctx.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's name
        """Return the names of the commands, for suggestions and completion."""
        return sorted(name for names in COMMANDS.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or a former one, from its file, which is imported now; None if there is none."""
        if cmd_name not in self.commands and cmd_name in {*self.list_commands(ctx), *FORMER_NAMES}:
            self.add_command(_load_command(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the sub-command; refuse what looks like a call of ImageMagick's `compare`."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            from pathlib import PurePath  # noqa: PLC0415 -- brings urllib, and `compare --help` names no file

            suffix = PurePath(name).suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                ctx.fail(f"{name} is an image: this `compare` compares language models; ImageMagick's is elsewhere.")
            if suffix in {".yaml", ".yml"}:
                ctx.fail(f"{name} is not a command. Did you mean `compare run {name}`?")
            near = did_you_mean(name, self.list_commands(ctx))
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's name
        """Write the commands in groups, a whole line each."""
        write_commands(formatter)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="compare")
def commands() -> None:
    """Compare language models of different providers: who answers first, and who answers better.

    \b
    compare run prompts/basic.yaml      every configured provider; without any key, the simulator
    compare ask "你是谁？"               one prompt to everyone, side by side
    compare providers                   who is known, and whose key is set
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
    from pathlib import Path  # noqa: PLC0415 -- as above

    try:
        Path.cwd()
    except OSError:
        return False
    return True


def print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, with all keys hidden: chained errors of HTTP libraries print whole headers.

    Hidden are the secrets in the environment, whatever looks like a key, and the keys in use. Those are found among
    all objects, since a register of keys would be one more place to leak from.
    """
    import traceback  # noqa: PLC0415 -- only a crash needs it

    from runner.providers.key import Key  # noqa: PLC0415
    from runner.providers.redaction import Redactor  # noqa: PLC0415

    gc.unfreeze()
    keys = [each for each in gc.get_objects() if isinstance(each, Key)]
    keys += [
        Key(value, name) for name, value in os.environ.items() if value and any(word in name for word in SECRET_WORDS)
    ]
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(printable(Redactor(keys).in_errors(text)))


def main() -> None:
    """Run the command line; an exception that escapes it is a bug, printed without keys."""
    prepare_standard_streams()
    sys.excepthook = print_redacted
    gc.set_threshold(YOUNG_OBJECTS)
    # At exit the interpreter traverses all objects several times, which takes 0.3 s, but not frozen ones.
    atexit.register(gc.freeze)
    try:
        commands(prog_name="compare")
    except SystemExit as ended:
        if ended.code in (0, None) and lost_product():
            sys.exit(WriteFailed.exit_code)
        raise
    finally:
        lost = lost_output()
        if lost is not None:
            sys.stderr.write(f"compare: {lost}\n")
