"""Show a run on the terminal: view options, consoles, notes, progress and results."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from runner.cli.shared_options import Decorator, collect, color_option, open_option
from runner.cli.terminal import echo_error, echo_json, echo_written, open_console
from runner.outputs.text.escape import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from runner.commands.judge import PreparedJudging
    from runner.commands.run.perform import FinishedRun
    from runner.commands.run.prepared_run import PreparedRun
    from runner.engine.run_observers import Observer

KNOWN_FLAGS = ("adjusted", "retired_model")
"""Flags of rows that notes before the run have explained already."""


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """The options that select what is shown, and how."""

    as_json: bool
    quiet: bool
    progress: Literal["auto", "live", "plain", "none"]
    color: Literal["auto", "always", "never"]
    launch: bool

    @property
    def progress_mode(self) -> str:
        """Mode of the progress display: auto, live, plain or none."""
        return "none" if self.quiet else self.progress

    @property
    def reply_mode(self) -> str:
        """Mode of the display of replies: that of progress, but at least plain unless JSON is printed."""
        if self.progress_mode != "none":
            return self.progress_mode
        return "none" if self.as_json else "plain"

    def open_results(self) -> "Console":
        """Return the console for results: standard output, or standard error if JSON goes to standard output."""
        return open_console(self.color, stderr=self.as_json)

    def open_errors(self) -> "Console":
        """Return the console for notes and progress: standard error."""
        return open_console(self.color, stderr=True)


progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain", "none"]),
    default="auto",
    show_default=True,
    help="Progress display on stderr; auto is live on a terminal, plain elsewhere.",
)


def make_view_options(json_help: str) -> Decorator:
    """Return the decorator that adds the view options; the command gets `view: ViewOptions`."""
    return collect(
        "view",
        ViewOptions,
        (
            click.option("--json", "as_json", is_flag=True, help=json_help),
            click.option("-q", "--quiet", is_flag=True, help="Print no notes, progress or file names."),
            progress_option,
            color_option,
            open_option,
        ),
    )


view_options = make_view_options("Print the summary and all rows as JSON instead of a table.")
"""Decorator that adds the view options; the command gets `view: ViewOptions`."""


def print_notes(prepared: "PreparedRun | PreparedJudging", view: ViewOptions) -> None:
    """Print the notes on a run, or a judging, before it starts."""
    if not view.quiet:
        errors = view.open_errors()
        for note in prepared.notes:
            errors.print(f"note: {note}", markup=False)


def perform_with_progress(prepared: "PreparedRun", view: ViewOptions) -> "FinishedRun":
    """Perform a run with its progress on standard error, and print its results."""
    return perform_with_observer(
        prepared, view, lambda: open_run_progress(prepared, view.progress_mode, view.open_errors())
    )


def open_run_progress(prepared: "PreparedRun", mode: str, console: "Console") -> "AbstractContextManager[Observer]":
    """Return a context manager whose observer shows the progress of a run; `mode` is that of `--progress`."""
    from runner.cli.progress import open_progress

    load = prepared.load
    duration_s = None if load.duration_s is None else load.duration_s * prepared.plan.levels
    return open_progress(mode, console, total=prepared.remaining_requests, duration_s=duration_s)


def perform_with_observer(
    prepared: "PreparedRun", view: ViewOptions, open_observer: "Callable[[], AbstractContextManager[Observer]]"
) -> "FinishedRun":
    """Perform a run while an observer shows it, and print its results."""
    from runner.commands.event_loop import run_async
    from runner.commands.run.perform import perform

    print_notes(prepared, view)
    with open_observer() as observer:
        finished = run_async(perform, prepared, observer)
    print_results(finished, view)
    return finished


def print_results(finished: "FinishedRun", view: ViewOptions) -> None:
    """Print a run's summary or JSON, then the names of the files that it wrote, the page last."""
    from runner.outputs import STREAM_WRITERS
    from runner.outputs.terminal import render_summary
    from runner.storage.run_folder import REPORT

    if view.as_json:
        for piece in STREAM_WRITERS[".json"](finished.run):
            echo_json(piece, nl=False)
    else:
        view.open_results().print(render_summary(finished.run, known_flags=KNOWN_FLAGS))
    if finished.interrupted:
        can_be_resumed = finished.run.header.path is not None
        hint = f" Go on with: compare run --resume {finished.folder}" if can_be_resumed else ""
        echo_error(f"interrupted: this is partial.{hint}")
    if not view.quiet:
        echo_written(finished.written)
    page = finished.folder / REPORT
    if page in finished.written:
        show_page(page, None if view.quiet else view.open_errors(), launch=view.launch)


def show_page(page: Path, console: "Console | None", *, launch: bool) -> None:
    """Print the path of a page, as a link on terminals that support it; with `launch`, open it in a browser."""
    from runner.storage.run_folder import shown_folder

    if console is not None:
        from rich.style import Style
        from rich.text import Text

        shown = shown_folder(page.parent) / page.name
        link = Style(link=page.absolute().as_uri())
        console.print(Text.assemble("report: ", (one_line(str(shown)), link)), soft_wrap=True)
    if launch:
        import webbrowser

        if not webbrowser.open(page.absolute().as_uri()):
            echo_error(f"no browser could be started; open {page} by hand")
