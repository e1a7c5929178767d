"""A comparison to paste into a pull request: never longer than a comment may be, and it says what was left out."""

from collections.abc import Iterable, Iterator, Sequence

from runner.analysis.diff import Difference
from runner.analysis.replies import ReplyChange, ReplySimilarity
from runner.analysis.word_diff import WordChange, word_diff
from runner.outputs.diff import phrases
from runner.outputs.text.figures import count
from runner.outputs.text.markup import inline, table

MAX_CHARACTERS = 65_536
"""What GitHub takes in a comment."""

FINDINGS_CHARACTERS, NOTES_CHARACTERS = 30_000, 8_000
"""What the table, and each list below it, may take of that."""

MAX_REPLY_CHARACTERS = 6_000
NAME_COLUMNS = 80
LINE_COLUMNS = 400
TAGS = {WordChange.REMOVED: "del", WordChange.ADDED: "ins"}


def write(difference: Difference) -> str:
    """Write the verdict, the findings, what to know, then as many replies as fit."""
    parts = [*_heading(difference), *_warnings(difference), *_findings(difference), _explain(difference)]
    left = MAX_CHARACTERS - sum(len(part) + 2 for part in parts)
    return "\n\n".join([*parts, *_replies(difference, left)]) + "\n"


def _heading(difference: Difference) -> Iterator[str]:
    yield f"## {inline(phrases.headline(difference))}"
    simulated = phrases.banner(difference)
    if simulated:
        yield f"> **simulated**: {simulated}"
    facts = (*phrases.sides(difference), phrases.kind(difference))
    yield "\n".join(f"- {inline(fact, LINE_COLUMNS)}" for fact in facts)


def _findings(difference: Difference) -> Iterator[str]:
    rows = [
        [inline(finding.target, NAME_COLUMNS), *map(inline, phrases.cells(finding))] for finding in difference.findings
    ]
    shown = len(rows)
    while len(_table(rows[:shown])) > FINDINGS_CHARACTERS:
        shown = shown * 3 // 4
    yield _table(rows[:shown])
    if shown < len(rows):
        yield f"Left out: {count(len(rows) - shown, 'further row')}."
    reasons = [
        f"- {inline(target, NAME_COLUMNS)}: {inline(reason, LINE_COLUMNS)}"
        for target in phrases.targets(difference)
        for reason in phrases.doubts(difference, target)
    ]
    yield from _listed(reasons, "further reason")


def _table(rows: Sequence[Sequence[str]]) -> str:
    return table(("target", *phrases.FINDING_HEADINGS), rows, {0, *(at + 1 for at in phrases.WORDY)})


def _explain(difference: Difference) -> str:
    return f"{phrases.CAPTION} {_sentence(phrases.demands(difference))}."


def _warnings(difference: Difference) -> Iterator[str]:
    """Say what weakens the figures before they are read."""
    warnings = (f"- ⚠️ {inline(warning, LINE_COLUMNS)}" for warning in difference.warnings)
    yield from _listed(warnings, "further warning")


def _listed(lines: Iterable[str], noun: str) -> Iterator[str]:
    """Yield lines as one list while there is room, then how many there was none for."""
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
        yield f"Left out: {count(left_out, noun)}."


def _replies(difference: Difference, left: int) -> Iterator[str]:
    """Yield the replies that differ while there is room, then how many there was none for."""
    heading = f"### {_sentence(phrases.count_replies(difference))}"
    yield heading
    left -= len(heading) + 100  # the last sentence needs room too
    different = [
        change
        for change in difference.replies
        if change.similarity in {ReplySimilarity.CHANGED, ReplySimilarity.REWORDED}
    ]
    for at, change in enumerate(different):
        part = _reply(change)
        left -= len(part) + 2
        if left < 0:
            yield f"Left out: what changed in {count(len(different) - at, 'further case')}."
            return
        yield part


def _reply(change: ReplyChange) -> str:
    heading = f"{inline(change.target, NAME_COLUMNS)} · {inline(phrases.label(change), NAME_COLUMNS)}"
    pieces = [
        f"<{tag}>{text}</{tag}>" if (tag := TAGS.get(piece.change)) else text
        for piece in word_diff(_cut(change.base.text), _cut(change.new.text))
        if (text := _edged(piece.text))
    ]
    summary = f"<details><summary>{heading}: {inline(phrases.describe_reply(change), LINE_COLUMNS)}</summary>"
    return "\n\n".join([summary, "".join(pieces), "</details>"])


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= MAX_REPLY_CHARACTERS else f"{text[:MAX_REPLY_CHARACTERS]} … (cut)"


def _edged(text: str) -> str:
    """Escape a piece for one line; a blank at its edge parts it from its neighbour."""
    inner = inline(text)
    return f"{' ' * text[:1].isspace()}{inner}{' ' * (text[-1:].isspace() and bool(inner))}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
