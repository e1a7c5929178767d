"""A comparison in words and figures, once for every output that a person looks at."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from runner.analysis.diff import Difference, DiffFinding, Side
from runner.analysis.measures import Measure, Unit
from runner.analysis.replies import ReplyChange, ReplySimilarity, ReplyTally
from runner.analysis.verdict import UndecidedReason, Verdict
from runner.outputs.text.figures import MISSING, count, rate, seconds
from runner.pricing.money import write_amount

FINDING_HEADINGS = ("measure", "base", "new", "new/base", "p", "n", "verdict")
WORDY = frozenset({0, 6})

CAPTION = (
    "base and new are geometric means of what was compared, new/base is their ratio with its 95 % interval; of "
    "failures, shares of requests and the difference in points. n counts blocks (of the smaller run, where there are "
    "two), of failures requests; p is adjusted for all tests; rows whose values are all equal need none."
)


def headline(difference: Difference) -> str:
    """Say the verdict of the whole, and how many rows have which."""
    rows = len(difference.findings)
    counts = Counter(finding.verdict for finding in difference.findings)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return f"{difference.verdict}: {parts} ({count(rows, 'row')})"


def banner(difference: Difference) -> str | None:
    """Say that the figures are the simulator's, to follow that very word; None if they are real."""
    if not difference.simulated:
        return None
    return "the built-in simulator answered; nothing here is said about any provider."


def sides(difference: Difference) -> tuple[str, str]:
    """Name base and new, whose words the table uses."""
    return f"base: {_side(difference.base)}", f"new: {_side(difference.new)}"


def _side(side: Side) -> str:
    run = f"run {side.run_id}, suite {side.suite}, {side.started_at}"
    if side.place:
        return f"from {side.place}, in {run}"
    return f"{side.target} in {run}" if side.target else run


def kind(difference: Difference) -> str:
    """Say what stands behind the comparison: pairs, or two hours that may have differed."""
    if difference.paired:
        return "within one run, in pairs of one block: what drifted, drifted for both"
    return "across two runs, the weaker comparison: drift between them cannot be told from a change"


def demands(difference: Difference) -> str:
    """Return what a change must show to be reported."""
    rule = difference.rule
    tests = sum(finding.tested for finding in difference.findings)
    holm = f" after Holm over {count(tests, 'test')}" if tests else ""
    return (
        f"a change is reported only if it is significant at {100 * rule.alpha:g} %{holm}, "
        f"at least {100 * rule.min_effect:g} % (failures {100 * rule.min_failure_rise:g} points), "
        "and beyond the clock's error"
    )


def targets(difference: Difference) -> tuple[str, ...]:
    """Return the targets compared, in order; one, the new one, within a run."""
    found = [*(each.target for each in difference.findings), *(each.target for each in difference.replies)]
    return tuple(dict.fromkeys(found))


def cells(finding: DiffFinding) -> tuple[str, ...]:
    """Return a finding's row under FINDING_HEADINGS."""
    return (
        title(finding),
        level(finding.measure, finding.base_level),
        level(finding.measure, finding.new_level),
        change(finding),
        probability(finding.p),
        sample(finding),
        finding.verdict.value,
    )


def title(finding: DiffFinding) -> str:
    """Name what a row is about, a cost with its currency: `cost, CNY`."""
    return finding.measure.label + (f", {finding.currency}" if finding.currency else "")


def level(measure: Measure, value: float) -> str:
    """Write a typical value in its unit."""
    match measure.unit:
        case Unit.SECONDS:
            return seconds(value)
        case Unit.CHARACTERS_PER_SECOND:
            return rate(value)
        case Unit.CHARACTERS:
            return f"{value:.0f}"
        case Unit.MONEY:
            return write_amount(Decimal(value))
        case Unit.SHARE:
            return f"{100 * value:.1f} %"


def change(finding: DiffFinding) -> str:
    """Write a ratio, or a difference in points, with its interval: `1.30 [1.21, 1.40]`, `+3.0 [-1.0, +7.1]`."""
    share = finding.measure.unit is Unit.SHARE
    write = _points if share else _ratio
    interval = finding.interval
    known = f" [{write(interval.low)}, {write(interval.high)}]" if interval else f" [{MISSING}]"
    return write(finding.change) + known


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 99.995 else f"{value:.0f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def probability(p: float) -> str:
    """Write a p-value without false precision."""
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def sample(finding: DiffFinding) -> str:
    """Write how many units stand behind a row."""
    base, new = finding.n
    if finding.measure.unit is Unit.SHARE and base != new:
        return f"{base}/{new}"
    return str(finding.units)


def describe_doubt(finding: DiffFinding, difference: Difference) -> str | None:
    """Return why a row is undecided, and which sample should be enough; None for other rows."""
    decision, what = finding.decision, finding.measure.label
    unit = "request" if finding.measure.unit is Unit.SHARE else "block"
    is_paired = difference.paired and unit == "block"
    there = "" if is_paired else " on each side" if finding.n[0] == finding.n[1] else " on the smaller side"
    have = f"{count(finding.units, unit)}{there}"
    more = f"{count(decision.needed, unit)}{'' if is_paired else ' on each side'}" if decision.needed else ""
    enough = f"about {more} should be enough{_repeat(unit)}"
    match decision.reason:
        case UndecidedReason.TOO_FEW:
            return f"{what}: {have} cannot be significant, whatever they show; {enough}"
        case UndecidedReason.NOISY:
            return f"{what}: inconclusive with {have}; {enough}"
        case UndecidedReason.CLOCK:
            floor = level(finding.measure, finding.floor or 0)
            return f"{what}: the change is within the clock error, {floor}; see `compare calibrate`"
        case UndecidedReason.BORDERLINE:
            return f"{what}: too close to the minimum effect to resolve"
        case None:
            return None


def _repeat(unit: str) -> str:
    return " (--repeat)" if unit == "block" else ""


def doubts(difference: Difference, target: str) -> Iterator[str]:
    """Yield why rows of a target are undecided; equal reasons are told once."""
    reasons: dict[str, list[str]] = {}
    for finding in difference.findings:
        said = describe_doubt(finding, difference) if finding.target == target else None
        if said:
            what, _, why = said.partition(": ")
            reasons.setdefault(why, []).append(what)
    yield from (f"undecided {', '.join(whats)}: {why}" for why, whats in reasons.items())


def count_replies(difference: Difference) -> str:
    """Say how many questions were answered alike: `replies: 3 same, 1 changed`."""
    counts = Counter(change.similarity for change in difference.replies)
    return "replies: " + (", ".join(f"{counts[each]} {each}" for each in ReplySimilarity if counts[each]) or "none")


def label(change: ReplyChange) -> str:
    """Name a question: its case, and which turn of it from the second on."""
    return change.case if change.turn == 1 else f"{change.case} · turn {change.turn}"


def describe_reply(change: ReplyChange) -> str:
    """Say how two arms' replies compare, in figures."""
    shared = "" if change.shared is None else f", {100 * change.shared:.0f} % of words shared"
    return f"{change.similarity}{shared}; base {_told(change.base)}; new {_told(change.new)}"


def _told(told: ReplyTally) -> str:
    parts = [f"n {told.n}"]
    if told.agreement is not None and told.n > 1:
        parts.append(f"{100 * told.agreement:.0f} % alike")
    if told.length is not None:
        parts.append(count(round(told.length), "character"))
    parts += [f"{reason} {times}" for reason, times in told.finish_reasons.items()]
    parts += [count(told.refusals, "refusal")] if told.refusals else []
    return ", ".join(parts)
