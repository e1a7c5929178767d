"""A comparison in words and figures, shared by the formats that people read."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from runner.analysis.diff import Difference, DiffFinding, RunHistory, Side
from runner.analysis.measures import FAILURES, Measure, Unit
from runner.analysis.replies import ReplyChange, ReplySimilarity, ReplyTally
from runner.analysis.verdict import UndecidedReason, Verdict
from runner.outputs.text.figures import MISSING, count, rate, seconds
from runner.pricing.money import write_amount

FINDING_HEADINGS = ("measure", "base", "new", "new/base", "p", "n", "verdict")
WORDY = frozenset({0, 6})
"""The columns that hold words."""

CAPTION = (
    "base and new are geometric means of what was compared, new/base is their ratio with its 95 % interval; of "
    "failures and slow requests, shares of requests and the difference in points. A slow request took more than twice "
    "the median of its question. n counts rounds (of the smaller run, where there are two), and requests in the rows "
    "of failures; p is adjusted for all tests; rows whose values are all equal need none. Read the interval first: "
    "what a small sample just finds looks larger than it is."
)


HISTORY_CAPTION = (
    "base is the geometric mean over the runs before, each of which counts once, new/base the ratio to it with its "
    "95 % interval, which holds the variation between runs; of failures, the mean share and the difference in points. "
    "n counts those runs: those since the last change of the figure, 60 at most. p is adjusted for all tests."
)


def caption(difference: Difference) -> str:
    """Return what the columns of the findings mean."""
    return CAPTION if difference.history is None else HISTORY_CAPTION


def headline(difference: Difference) -> str:
    """Return the verdict of the whole, and how many rows have which."""
    rows = len(difference.findings)
    order = {verdict: at for at, verdict in enumerate(Verdict)}
    sorted_findings = sorted(difference.findings, key=lambda finding: order[finding.verdict])
    counts = Counter(name_verdict(finding, paired=difference.paired) for finding in sorted_findings)
    parts = ", ".join(f"{n} {word}" for word, n in counts.items())
    worst = next(finding for finding in difference.findings if finding.verdict is difference.verdict)
    return f"{name_verdict(worst, paired=difference.paired)}: {parts} ({count(rows, 'row')})"


_BETWEEN_TARGETS = {
    Unit.SECONDS: ("slower", "faster"),
    Unit.CHARACTERS_PER_SECOND: ("slower", "faster"),
    Unit.MONEY: ("dearer", "cheaper"),
    Unit.SHARE: ("more often slow", "less often slow"),
}


def name_verdict(finding: DiffFinding, *, paired: bool) -> str:
    """Return the word for a verdict: regressed or improved only where a new run is compared with a baseline.

    Of two targets, or two places, neither is the earlier one: the second is slower or faster than the first.
    """
    words = _BETWEEN_TARGETS.get(finding.measure.unit) if paired else None
    words = ("failing more", "failing less") if words and finding.measure is FAILURES else words
    if words is None or finding.verdict not in {Verdict.REGRESSED, Verdict.IMPROVED}:
        return finding.verdict.value
    return words[finding.verdict is Verdict.IMPROVED]


def describe_simulated(difference: Difference) -> str | None:
    """Return a warning of simulated figures, to follow the word "simulated"; None if the figures are real."""
    if not difference.simulated:
        return None
    return "the built-in simulator answered; nothing here is said about any provider."


def describe_sides(difference: Difference) -> tuple[str, str]:
    """Return what base and new stand for."""
    history = difference.history
    base = _describe_side(difference.base) if history is None else _describe_history(history, difference.base.suite)
    return f"base: {base}", f"new: {_describe_side(difference.new)}"


def _describe_history(history: RunHistory, suite: str) -> str:
    span = f", comparable ones from {history.since} to {history.until}" if history.since else ""
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in history.left_out.items())
    return (
        f"{count(history.runs, 'run')} before it in {history.folder}, suite {suite}{span}"
        f"{f'; left out: {left_out}' if left_out else ''}"
    )


def _describe_side(side: Side) -> str:
    run = f"run {side.run_id}, suite {side.suite}, {side.started_at}"
    if side.place:
        return f"from {side.place}, in {run}"
    return f"{side.target} in {run}" if side.target else run


def describe_pairing(difference: Difference) -> str:
    """Return whether pairs within one run are compared, two runs that drift may separate, or a run with many."""
    if difference.history is not None:
        return "with a history: what differs from run to run anyway is no change; each run counts once"
    if difference.paired:
        return "within one run, in pairs of one round: what drifted, drifted for both"
    return "across two runs, the weaker comparison: drift between them cannot be told from a change"


def describe_rule(difference: Difference) -> str:
    """Return the conditions under which a change is reported."""
    rule = difference.rule
    tests = sum(finding.tested for finding in difference.findings)
    if difference.history is not None:
        return (
            f"a change is reported only if it is significant at {100 * rule.alpha:g} % after Holm over "
            f"{count(tests, 'test')}, by Student's prediction of one further run, and at least "
            f"{100 * rule.min_effect:g} % (failures {100 * rule.min_failure_rise:g} points)"
        )
    holm = f" after Holm over {count(tests, 'test')}" if tests else ""
    return (
        f"a change is reported only if it is significant at {100 * rule.alpha:g} %{holm}, "
        f"surely at least {100 * rule.min_effect:g} % (as measured, failures {100 * rule.min_failure_rise:g} "
        f"points, slow requests {100 * rule.min_slow_rise:g}), and beyond the clock's error"
    )


def targets(difference: Difference) -> tuple[str, ...]:
    """Return the targets compared, in order; of a comparison within one run, the new one."""
    found = [*(each.target for each in difference.findings), *(each.target for each in difference.replies)]
    return tuple(dict.fromkeys(found))


# A finding's row


def finding_cells(finding: DiffFinding, *, paired: bool) -> tuple[str, ...]:
    """Return a finding's row under FINDING_HEADINGS."""
    return (
        _measure_label(finding),
        MISSING if finding.base_level is None else write_level(finding.measure, finding.base_level),
        write_level(finding.measure, finding.new_level),
        write_change(finding),
        write_p(finding.p),
        _write_n(finding),
        name_verdict(finding, paired=paired),
    )


def _measure_label(finding: DiffFinding) -> str:
    """Return a measure's name, that of a cost with its currency: `cost, CNY`."""
    return finding.measure.label + (f", {finding.currency}" if finding.currency else "")


def write_level(measure: Measure, value: float) -> str:
    """Format a typical value of a measure in its unit."""
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


def write_change(finding: DiffFinding) -> str:
    """Format a ratio, or a difference in points, with its interval: `1.30 [1.21, 1.40]`, `+3.0 [-1.0, +7.1]`."""
    if finding.change is None:
        return MISSING
    write = _points if finding.measure.unit is Unit.SHARE else _ratio
    interval = finding.interval
    ends = f"{write(interval.low)}, {write(interval.high)}" if interval else MISSING
    return f"{write(finding.change)} [{ends}]"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 99.995 else f"{value:.0f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def write_p(p: float) -> str:
    """Format a p-value without false precision."""
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _write_n(finding: DiffFinding) -> str:
    """Format the sample size: units, or requests of base and new where these differ."""
    base, new = finding.n
    if finding.measure is FAILURES and base != new and not _is_of_history(finding):
        return f"{base}/{new}"
    return str(finding.units)


def _is_of_history(finding: DiffFinding) -> bool:
    return finding.usual is not None or finding.decision.reason is UndecidedReason.FEW_RUNS


# Undecided rows


def describe_doubt(finding: DiffFinding, difference: Difference) -> str | None:  # noqa: PLR0911 -- a case per reason
    """Return why a finding is undecided, and what would decide it; None for a finding with a verdict."""
    decision = finding.decision
    unit = "request" if finding.measure is FAILURES else "round"
    is_paired = difference.paired and unit == "round"
    sides = "" if is_paired else " on each side" if finding.n[0] == finding.n[1] else " on the smaller side"
    present = f"{count(finding.units, unit)}{sides}"
    needed = f"{count(decision.needed, unit)}{'' if is_paired else ' on each side'}" if decision.needed else ""
    option = " (--repeat)" if unit == "round" else ""
    match decision.reason:
        case UndecidedReason.TOO_FEW:
            enough = f"; about {needed} should be enough{option}" if needed else ""
            return f"{present} cannot be significant, whatever they show{enough}"
        case UndecidedReason.UNREACHABLE:
            return (
                "cannot be decided: divided by all tests, the level is below any p-value; compare fewer targets or rows"
            )
        case UndecidedReason.SPELLS:
            return (
                "inconclusive: slow spells last longer than a round; more rounds spread over a longer time would decide"
            )
        case UndecidedReason.SIZE:
            least = f"{100 * difference.rule.min_effect:g} %"
            return f"changed by more than chance, not surely by {least}; about {needed} should be enough{option}"
        case UndecidedReason.NOISY:
            return f"inconclusive with {present}; about {needed} should be enough{option}"
        case UndecidedReason.CLOCK:
            floor = write_level(finding.measure, finding.floor or 0)
            return f"the change is within the clock error, {floor}; see `compare calibrate`"
        case UndecidedReason.BORDERLINE:
            return "too close to the minimum effect to resolve"
        case UndecidedReason.FEW_RUNS | UndecidedReason.USUAL:
            return _describe_history_doubt(finding)
        case None:
            return None


def _describe_history_doubt(finding: DiffFinding) -> str:
    """Return that there are too few runs, or in which range runs fall anyway, and which change would be found."""
    measure, usual = finding.measure, finding.usual
    if usual is None or finding.detectable is None:
        return (
            f"{count(finding.units, 'comparable run')} before it since the last change of the figure; what runs vary "
            f"by is known from {finding.decision.needed} on"
        )
    ends = f"{write_level(measure, usual.low)} to {write_level(measure, usual.high)}"
    if measure is FAILURES:
        found = f"a share of {write_level(measure, finding.detectable)}"
    else:
        found = f"a change of {100 * (finding.detectable - 1):+.0f} %"
    return f"no change that {count(finding.units, 'run')} could tell: usual {ends}; {found} is found in 9 of 10 runs"


def describe_doubts(difference: Difference, target: str) -> Iterator[str]:
    """Yield each reason why rows of a target are undecided, with the measures it applies to."""
    measures: dict[str, list[str]] = {}
    for finding in difference.findings:
        reason = describe_doubt(finding, difference) if finding.target == target else None
        if reason:
            measures.setdefault(reason, []).append(finding.measure.label)
    yield from (f"undecided {', '.join(labels)}: {reason}" for reason, labels in measures.items())


def describe_this_run(finding: DiffFinding) -> str | None:
    """Return what the run shows by itself where its rounds are too few for a verdict; None if nothing."""
    claim = finding.this_run
    if claim is None:
        return None
    interval = f" [{_ratio(claim.interval.low)}, {_ratio(claim.interval.high)}]" if claim.interval else ""
    questions = "this question" if claim.questions == 1 else f"these {claim.questions} questions"
    is_more, label = claim.change > 1, finding.measure.label
    if finding.measure.unit is Unit.SECONDS:
        change, figure = f"was {'slower' if is_more else 'faster'}", f"{label} {_ratio(claim.change)}x"
    else:
        fewer = "fewer" if finding.measure.unit is Unit.CHARACTERS_PER_SECOND else "less"
        change, figure = f"had {'more' if is_more else fewer} {label}", f"{_ratio(claim.change)}x"
    return (
        f"in this run, on {questions}, {finding.target} {change} in {claim.agreeing} of {count(claim.pairs, 'pair')} "
        f"({figure}{interval}, p {write_p(claim.p)}); whether that holds at another time is not known"
    )


def describe_this_runs(difference: Difference) -> Iterator[str]:
    """Yield what the run shows by itself, of each row whose rounds are too few for a verdict."""
    yield from filter(None, map(describe_this_run, difference.findings))


# Replies


def count_replies(difference: Difference) -> str:
    """Count the questions by how alike their replies are: `replies: 3 same, 1 changed`."""
    if difference.history is not None:
        return "replies: not compared with those of many runs"
    counts = Counter(change.similarity for change in difference.replies)
    return "replies: " + (", ".join(f"{counts[each]} {each}" for each in ReplySimilarity if counts[each]) or "none")


def question_label(change: ReplyChange) -> str:
    """Return a question's name: its case, and the turn from the second on."""
    return change.case if change.turn == 1 else f"{change.case} · turn {change.turn}"


def describe_reply_change(change: ReplyChange) -> str:
    """Return how the replies of base and new compare, in figures."""
    shared = "" if change.shared is None else f", {100 * change.shared:.0f} % of words shared"
    return f"{change.similarity}{shared}; base {_describe_tally(change.base)}; new {_describe_tally(change.new)}"


def _describe_tally(tally: ReplyTally) -> str:
    parts = [f"n {tally.n}"]
    if tally.agreement is not None and tally.n > 1:
        parts.append(f"{100 * tally.agreement:.0f} % alike")
    if tally.length is not None:
        parts.append(count(round(tally.length), "character"))
    parts += [f"{reason} {times}" for reason, times in tally.finish_reasons.items()]
    parts += [count(tally.refusals, "refusal")] if tally.refusals else []
    return ", ".join(parts)
