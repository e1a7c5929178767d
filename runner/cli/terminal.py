"""The way to the terminal: all that a command prints passes here, and no control character of a stranger gets through.

`guard` stands in front of standard output and standard error; a rich console, which writes control sequences of its
own, cleans each text before it adds them.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

from runner.outputs.text.escape import escape_controls, printable

if TYPE_CHECKING:
    from rich.console import Console


class GuardedStream:
    """A text stream that replaces control characters. It hides the binary stream below, which would be a way around."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream
        """The stream itself: what a rich console writes is clean already, and has colours."""

    def write(self, text: str | bytes) -> int:
        """Write a text without control characters; what the encoding lacks is written as an escape.

        click writes the words that a shell completes as bytes.
        """
        decoded = text if isinstance(text, str) else text.decode(errors="replace")
        stream, shown = self.rich_proxied_file, printable(decoded)
        try:
            stream.write(shown)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each text."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.rich_proxied_file, name)


@contextmanager
def guard() -> Iterator[None]:
    """Put a guard in front of standard output and standard error for a block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and _guarded(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _guarded(stream: TextIO) -> TextIO:
    return stream if isinstance(stream, GuardedStream) else GuardedStream(stream)  # type: ignore[return-value]


def echo_json(json_text: str, *, nl: bool = True) -> None:
    """Print JSON: the same values, with the characters that drive a terminal written as escapes."""
    click.echo(escape_controls(json_text), nl=nl)


def echo_error(line: str) -> None:
    """Print a line on standard error."""
    click.echo(line, err=True)


def exact_stdout() -> TextIO:
    """Return standard output as it is, for an export that a program reads."""
    return exact_stream(sys.stdout)


def exact_stream(stream: TextIO) -> TextIO:
    """Return a standard stream as it is, for what writes control sequences of its own and cleans each text first."""
    return stream.rich_proxied_file if isinstance(stream, GuardedStream) else stream


def make_console(*, stderr: bool = False, **options: Any) -> "Console":
    """Return a rich console on which no text but rich's own has a control character.

    It keeps the stream below the guard: a live display puts a stream of its own in front of the standard ones, and
    rich would then find the guard below that, which shows rich's own control sequences as text.
    """
    from rich.console import Console, ConsoleOptions, RenderableType  # noqa: PLC0415 -- heavy
    from rich.segment import Segment  # noqa: PLC0415

    class GuardedConsole(Console):
        """A console that replaces control characters in what it is given."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            """Yield the segments of a renderable; those that control the terminal are rich's own."""
            for segment in super().render(renderable, options):
                if segment.control or segment.text.isprintable() or segment.text == "\n":
                    yield segment
                else:
                    yield Segment(printable(segment.text), segment.style)

    options.setdefault("file", exact_stream(sys.stderr if stderr else sys.stdout))
    return GuardedConsole(stderr=stderr, **options)
