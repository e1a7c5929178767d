"""The command: options in, one call of the API, exit code out. One thin file a sub-command.

Nothing heavy is imported here or at the top of a sub-command's file, so that `compare --help` is instant.
"""

import atexit
import gc
import sys
from pathlib import PurePath

import click

from runner.cli.ask import ask
from runner.cli.calibrate import calibrate
from runner.cli.chat import chat
from runner.cli.completion import completion
from runner.cli.crash import print_redacted
from runner.cli.diff import diff
from runner.cli.doctor import doctor
from runner.cli.export import export
from runner.cli.import_suite import import_suite
from runner.cli.init import init
from runner.cli.plan import plan
from runner.cli.providers import providers
from runner.cli.rederive import rederive
from runner.cli.replay import replay
from runner.cli.report import report
from runner.cli.run import run
from runner.cli.schema import schema
from runner.cli.serve import serve
from runner.cli.snapshot import snapshot
from runner.errors import CompareError, did_you_mean
from runner.version import __version__

YOUNG_OBJECTS = 500_000
"""So many new containers before the garbage collector looks. Imports make fewer, and all of them stay: looking
through them again and again takes a fifth of a second."""

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pdf", ".svg"})


class Commands(click.Group):
    """Shows our errors as one sentence, and knows what a mistyped command may have meant."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command."""
        try:
            return super().invoke(ctx)
        except CompareError as error:
            click.echo(f"compare: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            # The second one: the first was the run's own affair.
            click.echo("compare: interrupted", err=True)
            ctx.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the sub-command; say so when ImageMagick's was meant."""
        name = args[0]
        if self.get_command(ctx, name) is None:
            if PurePath(name).suffix.lower() in IMAGES:
                ctx.fail(f"{name} is an image: this `compare` compares language models; ImageMagick's is elsewhere.")
            if PurePath(name).suffix.lower() in {".yaml", ".yml"}:
                ctx.fail(f"{name} is no command. Did you mean `compare run {name}`?")
            near = did_you_mean(name, self.list_commands(ctx))
            if near is not None:
                ctx.fail(f"No such command {name!r}. Did you mean {near!r}?")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="compare")
def commands() -> None:
    """Compare language models of different providers: who answers first, and who answers better.

    \b
    compare run prompts/basic.yaml      every configured provider; without any key, the simulator
    compare ask "你是谁？"               one prompt to everyone, side by side
    compare providers                   who is known, and whose key is set
    """


for command in (
    *(run, plan, snapshot, report, diff, export, import_suite, replay, rederive),
    *(ask, chat, providers, schema, serve, calibrate, init, doctor, completion),
):
    commands.add_command(command)


def main() -> None:
    """Run the command line; what escapes it is a bug of ours, shown without keys."""
    sys.excepthook = print_redacted
    gc.set_threshold(YOUNG_OBJECTS)
    # At its end the interpreter looks through all objects several times, for a third of a second, but not frozen ones.
    atexit.register(gc.freeze)
    commands(prog_name="compare")
