"""A command on its own terminal: typed text reaches it as from a keyboard, and its screen can be read."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.support.command import COMPARE, own_environment

needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
"""Marks a test that opens one."""

TIMEOUT_S = 60
READ_S = 0.05


class PseudoTerminal:
    """A terminal with a program on it."""

    def __init__(self, child: "pexpect.spawn[bytes]", columns: int, lines: int) -> None:
        self._child = child
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self.printed = b""
        """Every byte that the program has printed."""

    def type(self, keys: str) -> None:
        """Press keys."""
        self._child.send(keys)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen without blanks at their ends, those scrolled off included."""
        columns = range(self._screen.columns)
        scrolled = ["".join(line[at].data for at in columns) for line in self._screen.history.top]
        return [line.rstrip() for line in (*scrolled, *self._screen.display)]

    def wait_for(self, text: str, times: int = 1) -> list[str]:
        """Read until a text is on the screen this many times; return the lines."""
        deadline = time.monotonic() + TIMEOUT_S
        while "\n".join(self.lines).count(text) < times:
            assert self._read(), f"the program ended without {text!r}:\n" + "\n".join(self.lines)
            assert time.monotonic() < deadline, f"{text!r} did not come:\n" + "\n".join(self.lines)
        return self.lines

    def finish(self) -> int:
        """Read until the program ends; return its exit code."""
        while self._read():
            pass
        self._child.close()
        assert self._child.exitstatus is not None
        return int(self._child.exitstatus)

    def _read(self) -> bool:
        """Show the printed text; return False at the end."""
        try:
            piece = self._child.read_nonblocking(65536, timeout=READ_S)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.printed += piece
        self._stream.feed(piece)
        return True


@contextmanager
def open_terminal(folder: Path, *arguments: str, columns: int = 80, lines: int = 60) -> Iterator[PseudoTerminal]:
    """Start the command on a terminal of this size, in a folder that is its home."""
    # A real terminal would answer where its cursor is.
    environment = own_environment(folder, {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "LANG": "C.UTF-8"})
    child = pexpect.spawn(
        sys.executable,
        [*COMPARE, *arguments],
        cwd=str(folder),
        env=environment,
        dimensions=(lines, columns),
    )
    try:
        yield PseudoTerminal(child, columns, lines)
    finally:
        child.close(force=True)
