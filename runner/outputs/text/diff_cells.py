"""Cells of the rows of a comparison: figures, changes with their intervals, and verdicts."""

from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_measures import FAILURES, OF_ALL_REQUESTS, PASSES, SLO_MET, Measure, Unit
from runner.analysis.diff_verdict import UndecidedReason, Verdict
from runner.outputs.text.number_format import MISSING, amount, percent, rate, seconds, with_interval
from runner.outputs.text.translation import _

FINDING_HEADINGS = ("measure", "base", "new", "new/base", "p", "n", "verdict")
WORDY = frozenset({0, 6})
"""Indices of the columns of words."""

BETWEEN_TARGETS = {
    Unit.SECONDS: ("slower", "faster"),
    Unit.CHARACTERS_PER_SECOND: ("slower", "faster"),
    Unit.MONEY: ("more expensive", "cheaper"),
    Unit.SHARE: ("more often slow", "less often slow"),
}

_SHARE_WORDS = {
    FAILURES: ("failing more", "failing less"),
    SLO_MET: ("less often in SLO", "more often in SLO"),
    PASSES: ("passing less", "passing more"),
}


def name_verdict(finding: DiffFinding, *, paired: bool) -> str:
    """Return the word for a verdict.

    A new run is called regressed or improved against its baseline. In a comparison of two targets or places (`paired`),
    neither is a baseline: the second is called slower or faster than the first, for example.
    """
    words = BETWEEN_TARGETS.get(finding.measure.unit) if paired else None
    words = _SHARE_WORDS.get(finding.measure, words) if words else None
    if words is None or finding.verdict not in {Verdict.REGRESSED, Verdict.IMPROVED}:
        return _(finding.verdict.value)
    return _(words[finding.verdict is Verdict.IMPROVED])


def finding_cells(finding: DiffFinding, *, paired: bool) -> tuple[str, ...]:
    """Return a finding's cells in the order of FINDING_HEADINGS."""
    return (
        _measure_label(finding),
        MISSING if finding.base_level is None else format_level(finding.measure, finding.base_level),
        format_level(finding.measure, finding.new_level),
        format_change(finding),
        format_p(finding.p),
        _format_n(finding),
        name_verdict(finding, paired=paired),
    )


def describe_finding(finding: DiffFinding, *, paired: bool) -> str:
    """Return a finding's cells with their headings on one line: `measure TTFT, base 88 ms, ...`."""
    cells = zip(FINDING_HEADINGS, finding_cells(finding, paired=paired), strict=True)
    return ", ".join(f"{heading} {cell}" for heading, cell in cells)


def _measure_label(finding: DiffFinding) -> str:
    """Return a measure's name, with the currency if it is a cost: `cost, CNY`."""
    label = _(finding.measure.label)
    return _("{measure}, {currency}", measure=label, currency=finding.currency) if finding.currency else label


def format_level(measure: Measure, value: float) -> str:
    """Format a typical value of a measure in its unit."""
    match measure.unit:
        case Unit.SECONDS:
            return seconds(value)
        case Unit.CHARACTERS_PER_SECOND:
            return rate(value)
        case Unit.CHARACTERS:
            return f"{value:.0f}"
        case Unit.MONEY:
            return amount(value)
        case Unit.SHARE:
            return percent(value)


def format_change(finding: DiffFinding) -> str:
    """Format a ratio or a difference in points, with its interval if there is one: `1.30 [1.21, 1.40]`, `+3.0`."""
    if finding.change is None:
        return MISSING
    as_text = format_points if finding.measure.unit is Unit.SHARE else format_ratio
    return with_interval(as_text(finding.change), finding.interval, as_text)


def format_ratio(value: float) -> str:
    """Format a ratio: `1.30`."""
    return f"{value:.2f}" if value < 99.995 else f"{value:.0f}"


def format_points(value: float) -> str:
    """Format a difference of shares in percentage points: `+3.0`."""
    return f"{100 * value:+.1f}"


def format_p(p: float) -> str:
    """Format a p-value with the digits that matter."""
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _format_n(finding: DiffFinding) -> str:
    """Format the sample size: the units, or the requests of base and new if these differ."""
    base, new = finding.n
    if finding.measure in OF_ALL_REQUESTS and base != new and not _is_against_history(finding):
        return f"{base}/{new}"
    return str(finding.units)


def _is_against_history(finding: DiffFinding) -> bool:
    return finding.usual is not None or finding.decision.reason is UndecidedReason.FEW_RUNS
