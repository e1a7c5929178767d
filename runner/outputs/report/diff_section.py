"""The comparison of a run with a baseline, or of two of its targets, on a page: deltas, and replies that changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_measures import Better, Unit
from runner.analysis.diff_verdict import Verdict
from runner.analysis.reply_diff import ReplyChange
from runner.analysis.word_diff import DiffPiece, WordChange, marked_words
from runner.outputs.report.reply import shorten
from runner.outputs.text import diff_sentences
from runner.outputs.text.diff_cells import finding_cells, format_points
from runner.outputs.text.number_format import MISSING, interval_ends
from runner.outputs.text.translation import _, plural, translate
from runner.outputs.text.undecided_reasons import describe_doubts, describe_this_runs

MAX_REPLIES = 200
MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class FigureDelta:
    """The change of a figure as text, and whether it is significantly better, significantly worse, or neither."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One measure of one target: both figures, the change with its interval, and the verdict."""

    measure: str
    base: str
    new: str
    delta: FigureDelta
    interval: str | None
    p: str
    n: str
    verdict: str


@dataclass(frozen=True, slots=True)
class ComparedTarget:
    """One target's lines, and why some of them are undecided."""

    name: str
    lines: tuple[FindingLine, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedReply:
    """A question whose reply changed: how, and both texts with their differences marked, None where too different."""

    question: str
    target: str
    how: str
    before: str
    after: str
    removed: tuple[DiffPiece, ...] | None
    added: tuple[DiffPiece, ...] | None


@dataclass(frozen=True, slots=True)
class DiffSection:
    """A comparison, ready for a template."""

    headline: str
    kind: str
    simulated: str | None
    warnings: tuple[str, ...]
    sides: tuple[str, ...]
    this_run: tuple[str, ...]
    targets: tuple[ComparedTarget, ...]
    caption: str
    count: str
    replies: tuple[ChangedReply, ...]
    left_out: str | None


def deltas_of(difference: Difference) -> Mapping[tuple[str, str], FigureDelta]:
    """Return target and measure -> the change, for the figures of other tables."""
    return {(each.target, each.measure.name): _delta(each) for each in difference.findings}


def compose_diff(difference: Difference) -> DiffSection:
    """Return the section of a comparison."""
    changed = difference.changed_replies
    more = len(changed) - MAX_REPLIES
    return DiffSection(
        headline=diff_sentences.headline(difference),
        kind=_kind_of_verdict(difference.verdict),
        simulated=diff_sentences.describe_simulated(difference),
        warnings=tuple(map(translate, difference.warnings)),
        sides=(*diff_sentences.describe_sides(difference), diff_sentences.describe_pairing(difference)),
        this_run=tuple(describe_this_runs(difference)),
        targets=tuple(_compared_targets(difference)),
        caption=diff_sentences.full_caption(difference),
        count=diff_sentences.count_replies(difference),
        replies=tuple(map(_changed_reply, changed[:MAX_REPLIES])),
        left_out=plural(more, "{n} more changed reply is not shown.", "{n} more changed replies are not shown.")
        if more > 0
        else None,
    )


def _kind_of_verdict(verdict: Verdict) -> str:
    kinds = {Verdict.REGRESSED: "worse", Verdict.IMPROVED: "better"}
    return kinds.get(verdict, "same")


def _compared_targets(difference: Difference) -> Iterator[ComparedTarget]:
    for name in diff_sentences.targets(difference):
        lines = tuple(_line(each, difference) for each in difference.findings if each.target == name)
        if lines:
            yield ComparedTarget(name, lines, tuple(describe_doubts(difference, name)))


def _line(finding: DiffFinding, difference: Difference) -> FindingLine:
    measure, base, new, _ratio, p, n, verdict = finding_cells(finding, paired=difference.paired)
    return FindingLine(
        measure=measure,
        base=base,
        new=new,
        delta=_delta(finding),
        interval=_format_interval(finding),
        p=p,
        n=n,
        verdict=verdict,
    )


def _delta(finding: DiffFinding) -> FigureDelta:
    """Return a change in percent, or of failures in points, with an arrow; a dash where there is no base."""
    if finding.change is None:
        return FigureDelta(MISSING, "same")
    text: str
    if finding.measure.unit is Unit.SHARE:
        change = 100 * finding.change
        text = _("{change} points", change=f"{change:+.1f}".replace("+0.0", "0").replace("-0.0", "0"))
    else:
        change = 100 * (finding.change - 1)
        text = _format_ratio(finding.change, finding)
    arrow = "→" if abs(change) < 0.5 else "↑" if change > 0 else "↓"
    decided = {Verdict.REGRESSED, Verdict.IMPROVED} if finding.measure.better is not Better.NEITHER else set()
    return FigureDelta(f"{arrow} " + text, _kind_of_verdict(finding.verdict) if finding.verdict in decided else "same")


def _format_interval(finding: DiffFinding) -> str | None:
    """Return a change's interval in the unit of the change; None if there is none."""
    is_share = finding.measure.unit is Unit.SHARE
    return interval_ends(finding.interval, format_points if is_share else partial(_format_ratio, finding=finding))


def _format_ratio(ratio: float, finding: DiffFinding) -> str:
    """Format a ratio as a change in percent, or as a factor if one of the finding's ratios is about 11 or more."""
    ends = () if finding.interval is None else (finding.interval.low, finding.interval.high)
    if max(finding.change or 0.0, *ends, 0.0) >= 10.995:
        return _("{n}x", n=f"{ratio:.1f}")
    change = 100 * (ratio - 1)
    return _("{n} %", n="0" if abs(change) < 0.5 else f"{change:+.0f}")


def _changed_reply(change: ReplyChange) -> ChangedReply:
    before, after = (shorten(tally.shown, MAX_CHARACTERS) for tally in (change.base, change.new))
    pieces = marked_words(before, after)
    return ChangedReply(
        question=diff_sentences.question_label(change),
        target=change.target,
        how=diff_sentences.describe_reply_change(change),
        before=before,
        after=after,
        removed=_without(pieces, WordChange.ADDED),
        added=_without(pieces, WordChange.REMOVED),
    )


def _without(pieces: tuple[DiffPiece, ...] | None, change: WordChange) -> tuple[DiffPiece, ...] | None:
    return None if pieces is None else tuple(piece for piece in pieces if piece.change is not change)
