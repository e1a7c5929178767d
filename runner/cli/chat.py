"""`compare chat`: hold a conversation that is typed turn by turn; every target keeps its own history."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.confirm import ask_about_hosts
from runner.cli.run_options import CONCURRENCY, OUTPUTS, TARGETS, run_options
from runner.cli.run_output import ViewOptions, print_notes, print_results, view_options
from runner.cli.standard_streams import text_argument
from runner.cli.terminal import echo_error, echo_written
from runner.errors import CompareError

if TYPE_CHECKING:
    from runner.commands.chat import Chat
    from runner.commands.run.options import RunOptions
    from runner.commands.run.prepared_run import PreparedRun

HELP = """\
Enter sends; Esc Enter, or a \\ at the end of a line, begins a new line.
The arrows recall what you typed before.
/attach FILE send an image, a file or audio, or the URL of one, before the next turn; quote a name with spaces
/reset       begin a new conversation: no model knows what was said before
/save FILE   write what was said so far, in the format of the suffix: chat.md
/help        show this
/quit, /exit, an empty line or Ctrl-D ends, Ctrl-C stops; the tables are written each time."""

ENDINGS = ("/quit", "/exit")


@click.command(cls=GroupedCommand)
@run_options(TARGETS, CONCURRENCY, OUTPUTS)
@click.option("--system", metavar="TEXT", help="System message before the first turn.")
@view_options
def chat(*, options: "RunOptions", system: str | None, view: ViewOptions) -> None:
    """Talk with every target at once, turn by turn; an empty line or Ctrl-D ends, /help lists the commands.

    Every model sees its own replies as history. The conversation is stored in a run's folder.
    """
    from runner.commands.chat import hold_chat, prepare_chat
    from runner.commands.event_loop import run_async
    from runner.commands.exit_codes import INTERRUPTED

    system = system and text_argument(system)
    prepared = prepare_chat(options, system=system, ask=ask_about_hosts)
    names = ", ".join(target.name for target in prepared.plan.targets)
    print_notes(prepared, view)
    echo_error(f"talking with {names}; an empty line ends, /help lists the commands")
    typed = Conversation(prepared, view)
    finished = run_async(hold_chat, prepared, typed.read_turn, typed.send_turn)
    if finished is None:
        echo_error("no turn was typed, so nothing was sent and nothing is written")
    else:
        print_results(finished, view)
    if typed.interrupted or (finished is not None and finished.interrupted):
        sys.exit(INTERRUPTED)


class Conversation:
    """Reads turns and commands, and shows the replies."""

    def __init__(self, prepared: "PreparedRun", view: ViewOptions) -> None:
        from runner.cli.line_editor import open_reader

        self._prepared = prepared
        self._view = view
        self._read, self._console = open_reader(), view.open_results()
        self.interrupted = False
        """Whether Ctrl-C ended the conversation while a turn was typed."""

    async def read_turn(self, chat: "Chat") -> str | None:
        """Carry out the typed commands; return the next turn, None at an empty line or the end of input."""
        try:
            while (text := (await self._read()).strip()) and text not in ENDINGS:
                if not text.startswith("/"):
                    return text
                self._run_command(text, chat)
        except KeyboardInterrupt:
            self.interrupted = True
        return None

    async def send_turn(self, chat: "Chat", text: str) -> None:
        """Send a turn to every target, and show the replies as they arrive."""
        from runner.cli.live_replies import open_columns

        names = [target.name for target in self._prepared.plan.targets]
        with open_columns(self._view.reply_mode, self._console, names) as columns:
            await chat.ask(text, columns)

    def _run_command(self, text: str, chat: "Chat") -> None:
        from runner.commands.chat import save_chat

        command, _, argument = text.partition(" ")
        match command, argument.strip():
            case "/help", _:
                echo_error(HELP)
            case "/reset", _:
                chat.reset()
                echo_error("a new conversation begins")
            case "/attach", _:
                attach(argument, chat)
            case "/save", "":
                echo_error("name a file: /save chat.md")
            case "/save", _ if not chat.cases:
                echo_error("there is nothing to save: no turn was sent yet")
            case "/save", name:
                try:
                    save_chat(self._prepared, Path(name))
                    echo_written([name])
                except CompareError as error:
                    echo_error(f"compare: {error}")
            case _:
                echo_error(f"there is no command {command}; /help lists them")


def attach(argument: str, chat: "Chat") -> None:
    """Attach the named files to the next turn, and print its attachments."""
    try:
        names = shlex.split(argument)
    except ValueError:
        names = [argument.strip()]  # an unquoted name with an apostrophe
    if not names:
        echo_error("name a file: /attach chart.png")
        return
    try:
        attached = chat.attach(names)
    except CompareError as error:
        echo_error(f"compare: {error}")
        return
    echo_error(f"sent with the next turn: {' '.join(map(str, attached))}")
