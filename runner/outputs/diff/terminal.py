"""Comparison on a terminal: verdict, a table for each target, reasons of undecided rows, and changed replies."""

from collections.abc import Iterator
from itertools import chain

from rich.console import Group, RenderableType
from rich.text import Text

from runner.analysis.diff import Difference
from runner.analysis.diff_verdict import Verdict
from runner.analysis.reply_diff import ReplyChange
from runner.analysis.word_diff import DiffPiece, WordChange, marked_words, whole_texts
from runner.errors import counted
from runner.outputs.cjk_line_breaks import WrappedText
from runner.outputs.narrow_terminal_tables import SplitTable, plain_text
from runner.outputs.text import diff_sentences
from runner.outputs.text.diff_cells import FINDING_HEADINGS, WORDY, finding_cells
from runner.outputs.text.escape import one_line
from runner.outputs.text.table import TextTable
from runner.outputs.text.undecided_reasons import describe_doubts, describe_this_runs

MAX_REPLIES = 5
MAX_CHARACTERS = 600
CONTEXT = 40
"""Number of characters of unchanged text shown on each side of a change."""

PLAIN_COLUMNS = 120

STYLES = {Verdict.REGRESSED: "bold red", Verdict.IMPROVED: "bold green", Verdict.UNCHANGED: "dim"}
MARKS = {WordChange.REMOVED: ("[-", "-]", "red"), WordChange.ADDED: ("{+", "+}", "green")}


def render_difference(difference: Difference) -> Group:
    """Return a comparison for a rich console, which chooses colour and width."""
    parts = (_heading, _warnings, _findings, _notes, _replies)
    return Group(*chain.from_iterable(part(difference) for part in parts))


def write_plain(difference: Difference) -> str:
    """Return a comparison as text without colour."""
    return plain_text(render_difference(difference), PLAIN_COLUMNS)


def _heading(difference: Difference) -> Iterator[Text]:
    simulated = diff_sentences.describe_simulated(difference)
    if simulated:
        yield Text.assemble(("simulated", "bold yellow"), f": {simulated}")
    yield Text(diff_sentences.headline(difference), STYLES.get(difference.verdict, "bold"))
    yield from (Text(one_line(claim), "bold") for claim in describe_this_runs(difference))
    yield from (Text(one_line(side)) for side in diff_sentences.describe_sides(difference))
    yield Text(diff_sentences.describe_pairing(difference))


def _warnings(difference: Difference) -> Iterator[Text]:
    """Yield the warnings, to be shown above the figures they concern."""
    yield from (Text(f"warning: {one_line(warning)}", "yellow") for warning in difference.warnings)


def _findings(difference: Difference) -> Iterator[RenderableType]:
    for target in diff_sentences.targets(difference):
        rows = [finding for finding in difference.findings if finding.target == target]
        if rows:
            yield Text(f"\n{one_line(target)}", "bold")
            cells = tuple(finding_cells(finding, paired=difference.paired) for finding in rows)
            last = len(FINDING_HEADINGS) - 1
            tints = {(at, last): STYLES.get(finding.verdict, "") for at, finding in enumerate(rows)}
            yield SplitTable(TextTable(FINDING_HEADINGS, cells, frozenset(WORDY)), tints, in_line=True)
            yield from (Text(f"  {reason}") for reason in describe_doubts(difference, target))


def _notes(difference: Difference) -> Iterator[Text]:
    yield Text(f"\n{diff_sentences.caption(difference)}", "dim")
    yield Text(diff_sentences.describe_rule(difference), "dim")


def _replies(difference: Difference) -> Iterator[Text]:
    yield Text(f"\n{diff_sentences.count_replies(difference)}", "bold")
    different = difference.changed_replies
    for change in different[:MAX_REPLIES]:
        question = f"{one_line(change.target)} {one_line(diff_sentences.question_label(change))}"
        yield Text(f"{question}: {diff_sentences.describe_reply_change(change)}")
        yield _marked_words(change)
    if len(different) > MAX_REPLIES:
        yield Text(f"and {counted(len(different) - MAX_REPLIES, 'more case')}; -o report.md shows them")


def _marked_words(change: ReplyChange) -> Text:
    """Return the removed and added words with some of the unchanged text around them."""
    before, after = change.base.shown, change.new.shown
    shown = WrappedText("  ")
    for piece in marked_words(before, after) or map(_shortened, whole_texts(before, after)):
        if len(shown) > MAX_CHARACTERS:
            return shown.append(" …")
        shown.append_text(_marked_piece(piece))
    return shown


def _shortened(piece: DiffPiece) -> DiffPiece:
    """Return the beginning of one of two whole texts, so that there is room for both."""
    half = MAX_CHARACTERS // 2
    return DiffPiece(piece.change, piece.text[:half] + " …" * (len(piece.text) > half))


def _marked_piece(piece: DiffPiece) -> Text:
    before, after, style = MARKS.get(piece.change, ("", "", ""))
    text = piece.text
    if piece.change is WordChange.SAME and len(text) > 2 * CONTEXT:
        text = f"{text[:CONTEXT]} … {text[-CONTEXT:]}"
    edges = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return Text(f"{before}{edges[0]}{one_line(text, MAX_CHARACTERS)}{edges[1]}{after}", style)
