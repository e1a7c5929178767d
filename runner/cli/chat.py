"""`compare chat`: a conversation typed turn by turn; every target keeps its own history."""

import sys
import threading
from typing import TYPE_CHECKING

import click

from runner.cli.confirm import ask_about_hosts
from runner.cli.help import GroupedCommand
from runner.cli.options import TARGETS, run_options
from runner.cli.terminal import echo_json
from runner.cli.view import ViewOptions, print_notes, view_options

if TYPE_CHECKING:
    from runner.commands.run.options import RunOptions
    from runner.commands.run.prepared_run import PreparedRun

PROMPT = "you> "


@click.command(cls=GroupedCommand)
@run_options(TARGETS)
@click.option("--system", metavar="TEXT", help="What to tell the models before the first turn.")
@view_options
def chat(*, options: "RunOptions", system: str | None, view: ViewOptions) -> None:
    """Talk with everyone at once, a line a turn; an empty line or Ctrl-D ends.

    Every model sees its own replies as history. What was said lands in a run's folder.
    """
    from runner.commands.chat import prepare_chat  # noqa: PLC0415 -- heavy imports wait until there is work
    from runner.commands.run.event_loop import run_async  # noqa: PLC0415

    prepared = prepare_chat(options, system=system, ask=ask_about_hosts)
    try:
        run_async(_converse, prepared, view)
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; what was said is in {prepared.folder}", err=True)
        sys.exit(130)


async def _converse(prepared: "PreparedRun", view: ViewOptions) -> None:
    from runner.cli.columns import open_columns  # noqa: PLC0415
    from runner.commands.chat import open_chat  # noqa: PLC0415
    from runner.commands.load_run import load_run  # noqa: PLC0415
    from runner.outputs import WRITERS  # noqa: PLC0415

    console = view.open_results()
    names = [target.name for target in prepared.plan.targets]
    print_notes(prepared, view)
    click.echo(f"talking with {', '.join(names)}; an empty line ends", err=True)
    async with open_chat(prepared) as conversation:
        while text := await _read_line():
            with open_columns(view.progress_mode, console, names) as columns:
                await conversation.ask(text, columns)
    if view.as_json:
        echo_json(WRITERS[".json"](load_run(prepared.folder)), nl=False)
    click.echo(f"written: {prepared.folder}", err=True)


async def _read_line() -> str:
    """Return a line typed, without blocking Ctrl-C; the empty string at the end of input."""
    import anyio  # noqa: PLC0415
    import anyio.from_thread  # noqa: PLC0415
    import anyio.lowlevel  # noqa: PLC0415

    typed = anyio.Event()
    lines: list[str] = []
    token = anyio.lowlevel.current_token()

    def read() -> None:
        try:
            lines.append(input(PROMPT if sys.stdin.isatty() else "").strip())
        except EOFError:
            lines.append("")
        anyio.from_thread.run_sync(typed.set, token=token)

    # A daemon: input() cannot be cancelled, and must not keep an interrupted process alive.
    threading.Thread(target=read, daemon=True).start()
    await typed.wait()
    return lines[0]
