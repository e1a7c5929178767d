"""Write to the terminal: all output passes this module, which replaces control characters of untrusted text.

Messages on a terminal are wrapped between words.

`guard` wraps standard output and standard error. A rich console writes its own control sequences, so it cleans each
text before it adds them.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

from runner.cli.standard_streams import mark_result
from runner.outputs.text.escape import escape_controls, printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


PIPE_COLUMNS = 100_000
"""Width of a pipe in columns, so that tables are not folded without a terminal."""

LONGEST_MARGIN = 500
"""Number of blanks at the start of a line after which the line no longer counts as blank."""


class ActionsLog:
    """A text stream to a log of GitHub Actions, in which no text is interpreted as a workflow command.

    The Actions runner interprets lines that begin with `::`, and `##[` anywhere in a line. A backslash is inserted into
    both.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        """The underlying stream, for intended workflow commands."""
        self._line = ""

    def write(self, text: str) -> int:
        """Write a text; a command may be split over several calls."""
        for part in re.findall(r"[^\r\n]+|[\r\n]+", text):
            self.stream.write(self._escape_commands(part))
        return len(text)

    def _escape_commands(self, part: str) -> str:
        """Return a part of a line, or line ends, with a backslash in each command."""
        if part[0] in "\r\n":
            self._line = ""
            return part
        line, at = self._line + part, len(self._line)
        found = [match.end() - 1 for match in re.finditer(r"^\s*::|##\[", line) if match.end() > at]
        pieces = [line[start:end] for start, end in zip([at, *found], [*found, len(line)], strict=True)]
        # If the line begins with anything else, only a split `##[` at its end matters.
        self._line = line if not line.strip(" \t:") and len(line) < LONGEST_MARGIN else f"x{line[-2:]}"
        return "\\".join(pieces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def echo_workflow_commands(lines: Iterable[str]) -> None:
    """Print workflow commands for GitHub Actions on standard error."""
    stream = exact_stream(sys.stderr)
    log = stream.stream if isinstance(stream, ActionsLog) else stream
    for line in lines:
        log.write(f"{printable(line)}\n")


class GuardedStream:
    """A text stream that replaces control characters, and hides its binary stream, which would bypass that.

    With `wraps`, lines longer than the terminal's width are wrapped between words.
    """

    def __init__(self, stream: TextIO, *, wraps: bool = False) -> None:
        self._wraps = wraps
        is_log = os.environ.get("GITHUB_ACTIONS") == "true"
        self.rich_proxied_file: TextIO = ActionsLog(stream) if is_log else stream  # type: ignore[assignment]
        """The underlying stream, since the output of a rich console is clean already, and has colours."""

    def write(self, text: str) -> int:
        """Write a text without control characters; characters missing in the encoding are escaped."""
        stream, shown = self.rich_proxied_file, printable(text)
        if self._wraps:
            shown = wrap_words(shown, terminal_columns(stream))
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
    """Replace standard output and standard error by guarded streams for a `with` block."""
    before = sys.stdout, sys.stderr
    sys.stdout = before[0] and _guarded(before[0])
    sys.stderr = before[1] and _guarded(
        before[1], wraps=True
    )  # messages are wrapped; a program may read standard output
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _guarded(stream: TextIO, *, wraps: bool = False) -> TextIO:
    return stream if isinstance(stream, GuardedStream) else GuardedStream(stream, wraps=wraps)  # type: ignore[return-value]


def terminal_columns(stream: TextIO) -> int | None:
    """Return the width in columns of the terminal behind a stream; None if it is not a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None
    except (OSError, ValueError):
        return None


def wrap_words(text: str, columns: int | None) -> str:
    """Wrap lines that are longer than a terminal between words; longer words are left to the terminal."""
    if not columns:
        return text
    return "\n".join(line if len(line) <= columns else _wrap_line(line, columns) for line in text.split("\n"))


def _wrap_line(line: str, columns: int) -> str:
    from textwrap import fill

    indent = " " * (len(line) - len(line.lstrip(" ")))
    return fill(line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def echo_wrapped(text: str) -> None:
    """Print text for people on standard output, wrapped between words on a terminal."""
    click.echo(wrap_words(text, terminal_columns(exact_stdout())))


def echo_json(json_text: str, *, nl: bool = True) -> None:
    """Print JSON with control characters written as escapes, which keeps its values."""
    mark_result()
    click.echo(escape_controls(json_text).replace("##[", "\\u0023#["), nl=nl)


def echo_error(line: str) -> None:
    """Print a line on standard error."""
    click.echo(line, err=True)


def echo_written(paths: "Sequence[Path | str]") -> None:
    """Print the names of written files on standard error, on one line if they fit a terminal, else on a line each."""
    if not paths:
        return
    line = f"written: {', '.join(map(str, paths))}"
    columns = terminal_columns(exact_stream(sys.stderr))
    echo_error(line if columns is None or len(line) <= columns else "\n  ".join(["written:", *map(str, paths)]))


def exact_stdout() -> TextIO:
    """Return standard output without its guard, for an export that a program reads."""
    return exact_stream(sys.stdout)


def exact_stream(stream: TextIO) -> TextIO:
    """Return a standard stream without its guard, for code that cleans each text and adds control sequences."""
    return stream.rich_proxied_file if isinstance(stream, GuardedStream) else stream


def usable_sizes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return COLUMNS and LINES from the environment, without values that are not positive numbers."""
    given = {name: environ.get(name, "") for name in ("COLUMNS", "LINES")}
    return {name: text for name, text in given.items() if re.fullmatch("[0-9]{1,6}", text) and int(text) > 0}


def make_console(*, stderr: bool = False, **options: Any) -> "Console":
    """Return a rich console that replaces control characters in texts, but not rich's own.

    It writes to the stream below the guard: a live display replaces the standard streams, and rich would then write to
    the guard, which shows rich's own control sequences as text.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class GuardedConsole(Console):
        """A console that replaces control characters in renderables."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            """Yield the segments of a renderable, cleaned; control segments are rich's own."""
            for segment in super().render(renderable, options):
                if segment.control or segment.text.isprintable() or segment.text == "\n":
                    yield segment
                else:
                    yield Segment(printable(segment.text), segment.style)

    options.setdefault("file", exact_stream(sys.stderr if stderr else sys.stdout))
    others = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return GuardedConsole(stderr=stderr, **options, _environ={**others, **usable_sizes(os.environ)})


def open_console(color: str, *, stderr: bool = False) -> "Console":
    """Return a console; `color` is auto, always or never."""
    forced = color == "always" or (color == "auto" and bool(os.environ.get("FORCE_COLOR")))
    refused = color == "never" or (color == "auto" and bool(os.environ.get("NO_COLOR")))
    console = make_console(stderr=stderr, highlight=False, no_color=(refused and not forced) or None)
    if forced:
        console = make_console(stderr=stderr, highlight=False, force_terminal=True, no_color=False)
    if not console.is_terminal or not console.file.isatty():
        columns = usable_sizes(os.environ).get("COLUMNS")
        console.width = PIPE_COLUMNS if columns is None else int(columns)
    return console
