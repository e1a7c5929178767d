"""A comparison on a terminal: the verdict, a table for each target, why rows are undecided, how replies changed."""

from collections.abc import Iterator
from itertools import chain

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runner.analysis.diff import Difference
from runner.analysis.replies import ReplyChange, ReplySimilarity
from runner.analysis.verdict import Verdict
from runner.analysis.word_diff import DiffPiece, WordChange, word_diff
from runner.outputs.diff import phrases
from runner.outputs.text.figures import count
from runner.outputs.text.printable import one_line

MAX_REPLIES = 5
MAX_CHARACTERS = 600
CONTEXT = 40
"""Characters of an unchanged stretch that are shown on either side of a change."""

STYLES = {Verdict.REGRESSED: "bold red", Verdict.IMPROVED: "bold green", Verdict.UNCHANGED: "dim"}
MARKS = {WordChange.REMOVED: ("[-", "-]", "red"), WordChange.ADDED: ("{+", "+}", "green")}


def render_difference(difference: Difference) -> Group:
    """Return what a console prints; colour and width are the console's affair."""
    parts = (_heading, _warnings, _findings, _notes, _replies)
    return Group(*chain.from_iterable(part(difference) for part in parts))


def _heading(difference: Difference) -> Iterator[Text]:
    simulated = phrases.banner(difference)
    if simulated:
        yield Text.assemble(("simulated", "bold yellow"), f": {simulated}")
    yield Text(phrases.headline(difference), STYLES.get(difference.verdict, "bold"))
    yield from (Text(one_line(side)) for side in phrases.sides(difference))
    yield Text(phrases.kind(difference))


def _warnings(difference: Difference) -> Iterator[Text]:
    """Say what weakens the figures before they are read."""
    yield from (Text(f"warning: {one_line(warning)}", "yellow") for warning in difference.warnings)


def _findings(difference: Difference) -> Iterator[RenderableType]:
    for target in phrases.targets(difference):
        rows = [finding for finding in difference.findings if finding.target == target]
        if rows:
            yield Text(f"\n{one_line(target)}", "bold")
            table = Table(box=None, pad_edge=False, header_style="bold")
            for at, heading in enumerate(phrases.FINDING_HEADINGS):
                table.add_column(heading, justify="left" if at in phrases.WORDY else "right", no_wrap=True)
            for finding in rows:
                *figures, verdict = phrases.cells(finding)
                table.add_row(*figures, Text(verdict, STYLES.get(finding.verdict, "")))
            yield table
            yield from (Text(f"  {reason}") for reason in phrases.doubts(difference, target))


def _notes(difference: Difference) -> Iterator[Text]:
    yield Text(f"\n{phrases.CAPTION}", "dim")
    yield Text(phrases.demands(difference), "dim")


def _replies(difference: Difference) -> Iterator[Text]:
    yield Text(f"\n{phrases.count_replies(difference)}", "bold")
    different = [
        change
        for change in difference.replies
        if change.similarity in {ReplySimilarity.CHANGED, ReplySimilarity.REWORDED}
    ]
    for change in different[:MAX_REPLIES]:
        yield Text(f"{one_line(change.target)} {one_line(phrases.label(change))}: {phrases.describe_reply(change)}")
        yield _word_diff(change)
    if len(different) > MAX_REPLIES:
        yield Text(f"and {count(len(different) - MAX_REPLIES, 'more case')}; -o report.md shows them")


def _word_diff(change: ReplyChange) -> Text:
    """Show what went and came, with a little of what stayed around it."""
    shown = Text("  ")
    for piece in word_diff(change.base.text or "", change.new.text or ""):
        if len(shown) > MAX_CHARACTERS:
            return shown.append(" …")
        shown.append_text(_piece(piece))
    return shown


def _piece(piece: DiffPiece) -> Text:
    before, after, style = MARKS.get(piece.change, ("", "", ""))
    text = piece.text
    if piece.change is WordChange.SAME and len(text) > 2 * CONTEXT:
        text = f"{text[:CONTEXT]} … {text[-CONTEXT:]}"
    edges = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return Text(f"{before}{edges[0]}{one_line(text, MAX_CHARACTERS)}{edges[1]}{after}", style)
