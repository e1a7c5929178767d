"""Read typed text: with line editing and history on a terminal, else line by line from standard input."""

import sys
import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.from_thread
import anyio.lowlevel

from runner.cli.terminal import exact_stream

PROMPT = "you> "


def open_reader() -> Callable[[], Awaitable[str]]:
    """Return a function that reads the next text without blocking the event loop; it returns "" at the end of input.

    On a terminal, the function raises KeyboardInterrupt for Ctrl-C.
    """
    return _open_editor() if sys.stdin.isatty() and sys.stderr.isatty() else _read_line


def _open_editor() -> Callable[[], Awaitable[str]]:
    from prompt_toolkit import PromptSession  # few commands edit lines
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output import create_output

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    # The editor writes its own control sequences, and shows pasted ones as text.
    session: PromptSession[str] = PromptSession(
        PROMPT,
        multiline=True,
        key_bindings=keys,
        prompt_continuation=" " * len(PROMPT),
        output=create_output(stdout=exact_stream(sys.stderr)),
        reserve_space_for_menu=0,
    )

    async def read() -> str:
        try:
            return await session.prompt_async(handle_sigint=False)
        except EOFError:
            return ""

    return read


async def _read_line() -> str:
    """Return a line of standard input, "" at its end; Ctrl-C still works while it waits."""
    typed = anyio.Event()
    lines: list[str] = []
    token = anyio.lowlevel.current_token()

    def read() -> None:
        lines.append(sys.stdin.readline())
        anyio.from_thread.run_sync(typed.set, token=token)

    # A daemon thread, since reading cannot be cancelled and must not keep an interrupted process alive.
    threading.Thread(target=read, daemon=True).start()
    await typed.wait()
    return lines[0]
