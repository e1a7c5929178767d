"""Markdown of a comparison, short enough for a comment on a pull request, with notes on what is left out."""

from collections.abc import Iterable, Iterator, Sequence

from runner.analysis.diff import Difference
from runner.analysis.reply_diff import ReplyChange
from runner.analysis.word_diff import WordChange, marked_words, whole_texts
from runner.errors import counted
from runner.outputs.text import diff_sentences
from runner.outputs.text.diff_cells import FINDING_HEADINGS, WORDY, finding_cells
from runner.outputs.text.markdown_syntax import fold, inline, table
from runner.outputs.text.translation import capitalized
from runner.outputs.text.undecided_reasons import describe_doubts, describe_this_runs

MAX_CHARACTERS = 65_536
"""Maximum length of a comment on GitHub."""

FINDINGS_CHARACTERS, NOTES_CHARACTERS = 30_000, 8_000
"""Maximum number of characters of the table, and of each list."""

MAX_REPLY_CHARACTERS = 6_000
NAME_COLUMNS = 80
LINE_COLUMNS = 400
TAGS = {WordChange.REMOVED: "del", WordChange.ADDED: "ins"}


def write(difference: Difference) -> str:
    """Return the verdict, the findings, notes on them, and as many changed replies as fit."""
    parts = [
        *_heading(difference),
        *_warnings(difference),
        *_findings(difference),
        diff_sentences.full_caption(difference),
    ]
    room = MAX_CHARACTERS - sum(len(part) + 2 for part in parts)
    return "\n\n".join([*parts, *_replies(difference, room)]) + "\n"


def _heading(difference: Difference) -> Iterator[str]:
    yield f"## {inline(diff_sentences.headline(difference))}"
    simulated = diff_sentences.describe_simulated(difference)
    if simulated:
        yield f"> **simulated**: {simulated}"
    yield from _bounded_list((f"- {inline(each, LINE_COLUMNS)}" for each in describe_this_runs(difference)), "claim")
    facts = (*diff_sentences.describe_sides(difference), diff_sentences.describe_pairing(difference))
    yield "\n".join(f"- {inline(fact, LINE_COLUMNS)}" for fact in facts)


def _findings(difference: Difference) -> Iterator[str]:
    rows = [
        [inline(finding.target, NAME_COLUMNS), *map(inline, finding_cells(finding, paired=difference.paired))]
        for finding in difference.findings
    ]
    shown = len(rows)
    while len(_findings_table(rows[:shown])) > FINDINGS_CHARACTERS:
        shown = shown * 3 // 4
    yield _findings_table(rows[:shown])
    if shown < len(rows):
        yield f"Left out: {counted(len(rows) - shown, 'further row')}."
    reasons = [
        f"- {inline(target, NAME_COLUMNS)}: {inline(reason, LINE_COLUMNS)}"
        for target in diff_sentences.targets(difference)
        for reason in describe_doubts(difference, target)
    ]
    yield from _bounded_list(reasons, "further reason")


def _findings_table(rows: Sequence[Sequence[str]]) -> str:
    return table(("target", *FINDING_HEADINGS), rows, {0, *(at + 1 for at in WORDY)})


def _warnings(difference: Difference) -> Iterator[str]:
    """Yield the warnings, to be shown above the figures they concern."""
    warnings = (f"- ⚠️ {inline(warning, LINE_COLUMNS)}" for warning in difference.warnings)
    yield from _bounded_list(warnings, "further warning")


def _bounded_list(lines: Iterable[str], noun: str) -> Iterator[str]:
    """Yield the lines that fit as one list, then a note on the number left out."""
    shown, left_out, room = [], 0, NOTES_CHARACTERS
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            left_out += 1
        else:
            shown.append(line)
    if shown:
        yield "\n".join(shown)
    if left_out:
        yield f"Left out: {counted(left_out, noun)}."


def _replies(difference: Difference, room: int) -> Iterator[str]:
    """Yield a heading, the changed replies that fit, then a note on the number left out."""
    heading = f"### {capitalized(diff_sentences.count_replies(difference))}"
    yield heading
    room -= len(heading) + 100  # for the note
    different = difference.changed_replies
    for at, change in enumerate(different):
        part = _reply(change)
        room -= len(part) + 2
        if room < 0:
            yield f"Left out: what changed in {counted(len(different) - at, 'further case')}."
            return
        yield part


def _reply(change: ReplyChange) -> str:
    heading = f"{inline(change.target, NAME_COLUMNS)} · {inline(diff_sentences.question_label(change), NAME_COLUMNS)}"
    summary = f"{heading}: {inline(diff_sentences.describe_reply_change(change), LINE_COLUMNS)}"
    return fold(summary, mark_words(change.base.shown, change.new.shown))


def mark_words(base: str | None, new: str | None) -> str:
    """Return two texts merged, with removed and added words marked, or one after the other if they differ too much."""
    before, after = _cut(base), _cut(new)
    merged = marked_words(before, after)
    pieces = [
        f"<{tag}>{text}</{tag}>" if (tag := TAGS.get(piece.change)) else text
        for piece in merged or whole_texts(before, after)
        if (text := _escape_piece(piece.text))
    ]
    return ("" if merged else " ").join(pieces)


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= MAX_REPLY_CHARACTERS else f"{text[:MAX_REPLY_CHARACTERS]} … (cut)"


def _escape_piece(text: str) -> str:
    """Escape a piece of text for one line; white space at each end becomes one space."""
    inner = inline(text)
    return f"{' ' * text[:1].isspace()}{inner}{' ' * (text[-1:].isspace() and bool(inner))}"
