"""`compare chat`: several turns typed by hand; every target keeps its own history."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.options import read_options, target_options, view_options

if TYPE_CHECKING:
    from runner.commands.run.job import PreparedRun

PROMPT = "you> "


@click.command()
@target_options
@click.option("--system", metavar="TEXT", help="What to tell the models before the first turn.")
@view_options
def chat(**chosen: Any) -> None:
    """Talk with everyone at once, a line a turn; an empty line or Ctrl-D ends.

    Every model sees its own replies as history. What was said lands in a run's folder.
    """
    import anyio  # noqa: PLC0415 -- heavy imports wait until there is work

    from runner.commands.run.perform import backend  # noqa: PLC0415
    from runner.commands.run.prepare import load_registry, prepare  # noqa: PLC0415
    from runner.core.suite import Parameters  # noqa: PLC0415
    from runner.suite.load import suite_from_prompts  # noqa: PLC0415

    # The one turn planned here stands for those that will be typed.
    suite = suite_from_prompts(["(typed by hand)"], name="chat", parameters=Parameters(system=chosen["system"]))
    job = prepare(suite, load_registry(Path.cwd()), read_options(chosen))
    try:
        anyio.run(_converse, job, chosen, **backend())
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; what was said is in {job.folder}", err=True)
        sys.exit(130)


async def _converse(job: "PreparedRun", chosen: dict[str, Any]) -> None:
    from runner.cli.columns import open_columns  # noqa: PLC0415
    from runner.cli.console import open_console, print_notes  # noqa: PLC0415
    from runner.commands.chat import open_chat  # noqa: PLC0415
    from runner.commands.diff import open_run  # noqa: PLC0415
    from runner.outputs import WRITERS  # noqa: PLC0415

    console = open_console(chosen["color"], stderr=chosen["as_json"])
    names = [target.name for target in job.plan.targets]
    if not chosen["quiet"]:
        print_notes(job, open_console(chosen["color"], stderr=True))
    click.echo(f"talking with {', '.join(names)}; an empty line ends", err=True)
    async with open_chat(job) as session:
        while text := await _read_line():
            with open_columns("none" if chosen["quiet"] else chosen["progress"], console, names) as columns:
                await session.say(text, columns)
    if chosen["as_json"]:
        click.echo(WRITERS[".json"](open_run(job.folder)), nl=False)
    click.echo(f"written: {job.folder}", err=True)


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
