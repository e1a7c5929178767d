"""A place that a running cell can write to, over and over: an output of the notebook, or a line of the terminal."""

import sys
from collections.abc import Iterable
from html import escape
from typing import Any, Protocol

from runner.outputs.text.escape import one_line

LINE_COLUMNS = 79


class Screen(Protocol):
    """A place that shows one thing at a time."""

    def show(self, text: str, html: str | None = None) -> None:
        """Replace what is shown, by `html` where it can be shown, else by the text."""

    def settle(self) -> None:
        """Keep what was shown last."""


class Nowhere:
    """Shows nothing, in a script."""

    def show(self, text: str, html: str | None = None) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""


class Cell:
    """An output of the running cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, html: str | None = None) -> None:
        """Show an output below the cell, or replace the one that is there."""
        from IPython.display import display  # noqa: PLC0415 -- only where IPython is loaded

        shown = {"text/plain": text, "text/html": html or f"<pre>{escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)

    def settle(self) -> None:
        """Do nothing: an output stays."""


class TerminalLine:
    """A line of stderr that is overwritten."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str, html: str | None = None) -> None:  # noqa: ARG002 -- a terminal cannot show it
        """Overwrite the line with the last line of a text."""
        self._text = text
        self._write(one_line(text.rpartition("\n")[2], LINE_COLUMNS))

    def settle(self) -> None:
        """Write the whole text, and keep it."""
        self._write(f"{self._text}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def write_lines(lines: Iterable[str]) -> str:
    """Return lines of text as HTML, one below the other."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def find_screen() -> Screen:
    """Return where the running cell can show something; in a script that is nowhere."""
    shell = _find_shell()
    if shell is None:
        return Nowhere()
    return Cell() if hasattr(shell, "kernel") else TerminalLine()


def _find_shell() -> object | None:
    """Return IPython's shell, if this process has loaded one."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    return get_ipython()  # type: ignore[no-any-return]
