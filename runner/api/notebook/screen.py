"""Where a running cell can be written to, over and over: an output of the notebook, or a line of the terminal."""

import sys
from collections.abc import Iterable
from html import escape
from typing import Any, Protocol

from runner.outputs.text.escape import one_line

LINE_COLUMNS = 79


class Screen(Protocol):
    """One place that shows one thing at a time."""

    def show(self, text: str, html: str | None = None) -> None:
        """Show this in place of what was there; `html` where it can be shown, else the text."""

    def settle(self) -> None:
        """Let stand what was shown last."""


class Nowhere:
    """Shows nothing, as a script wants it."""

    def show(self, text: str, html: str | None = None) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""


class Cell:
    """An output of the cell that is being run."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, html: str | None = None) -> None:
        """Put an output below the cell at first, afterwards replace it."""
        from IPython.display import display  # noqa: PLC0415 -- there is an IPython, or this would be nowhere

        shown = {"text/plain": text, "text/html": html or f"<pre>{escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)

    def settle(self) -> None:
        """Do nothing: an output stays."""


class TerminalLine:
    """A line of stderr, written over from its beginning."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str, html: str | None = None) -> None:  # noqa: ARG002 -- a terminal has no use for it
        """Write the last line of a text over what was there."""
        self._text = text
        self._write(one_line(text.rpartition("\n")[2], LINE_COLUMNS))

    def settle(self) -> None:
        """Write the whole text, and leave it behind."""
        self._write(f"{self._text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def write_lines(lines: Iterable[str]) -> str:
    """Write lines of text as HTML, one below the other."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def find_screen() -> Screen:
    """Return where the cell that is being run can show something; in a script that is nowhere."""
    shell = _shell()
    if shell is None:
        return Nowhere()
    return Cell() if hasattr(shell, "kernel") else TerminalLine()


def _shell() -> object | None:
    """Return IPython's shell, if this process has loaded one."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    return get_ipython()  # type: ignore[no-any-return]
