"""Sentence on the fastest target at the end of a run: its lead in TTFT, the number of pairs, and how certain it is.

As in the report, the target with the lowest median TTFT is compared with the next one. All pairs and both durations
share the significance level.
"""

from collections.abc import Sequence
from typing import NamedTuple

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_verdict import Verdict
from runner.analysis.loaded_run import Run
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.paired_lead import PairedLead, diff_to_fastest, paired_lead
from runner.analysis.summary import Statistic, TargetSummary
from runner.core.load_profile import LoadProfile
from runner.errors import CompareError
from runner.outputs.text.diff_undecided import describe_doubt
from runner.outputs.text.number_format import count, seconds, times
from runner.storage.journal import Header

TTFT = "ttft_s"


def by_ttft(summaries: Sequence[TargetSummary]) -> list[TargetSummary]:
    """Return targets in ascending order of their median TTFT; those without one come last."""
    return sorted(summaries, key=lambda each: each.ttft_p50.value if each.ttft_p50 else float("inf"))


class _RankedTarget(NamedTuple):
    """A target and its median TTFT."""

    target: MeasuredTarget
    ttft: Statistic

    def __str__(self) -> str:
        return f"{self.target} after {seconds(self.ttft.value)}"


def describe_first(run: Run) -> str | None:
    """Return the sentence on a run's fastest target; None if no target has a TTFT.

    Simulated targets are left out if a real one has a TTFT.
    """
    is_real = any(each.ttft_p50 and not each.simulated for each in run.summary)
    compared = [each for each in by_ttft(run.summary) if not (is_real and each.simulated)]
    ranked = [_RankedTarget(each.target, each.ttft_p50) for each in compared if each.ttft_p50]
    if not ranked:
        return None
    first, *others = ranked
    if not others:
        return f"{first.target} answered after {seconds(first.ttft.value)} (median TTFT, n {first.ttft.n:,})."
    other = others[0]
    lead = paired_lead(run.table, first.target, other.target, TTFT)
    difference = _compare(run, first, other, len(ranked))
    found = difference.findings if difference else ()
    tested = next((each for each in found if each.measure.name == TTFT), None)
    if lead is None or difference is None or tested is None:
        return f"{first.target} answered first: {first}, {other}; no requests of both are paired."
    scope = _describe_scope(tested, difference, run)
    return f"{_describe_lead(first, other, lead, tested)}; {scope}."


def _compare(run: Run, first: _RankedTarget, other: _RankedTarget, targets: int) -> Difference | None:
    """Return the comparison of the first target with another; None if they cannot be compared."""
    try:
        return diff_to_fastest(run, str(first.target), str(other.target), targets)
    except CompareError:
        return None


def _describe_lead(first: _RankedTarget, other: _RankedTarget, lead: PairedLead, tested: DiffFinding) -> str:
    pairs = f"ahead in {lead.ahead:,} of {lead.pairs:,} paired requests"
    if tested.verdict is Verdict.UNCHANGED:
        return f"{first.target} and {other.target} answered equally fast: {first}, {other}, the first {pairs}"
    if not _is_ahead(tested) and not lead.matters:
        return f"Too close to call who answered first: {first}, {other}, the first {pairs}"
    return f"{first.target} answered first: {times(lead.ratio)} faster than {other.target}, {pairs}"


def _is_ahead(tested: DiffFinding) -> bool:
    """Return whether the other target was slower, by the verdict on rounds or at least by the pairs of this run."""
    claim = tested.this_run
    return tested.verdict is Verdict.REGRESSED or (claim is not None and claim.change > 1)


def has_repeats(header: Header) -> bool:
    """Return whether --repeat sets a run's number of rounds: it has no other stopping rule and is not a replay."""
    load = LoadProfile.from_plain(header.load)
    return not (load.duration_s or load.max_requests or header.until_ci or header.replay_of)


def _describe_scope(tested: DiffFinding, difference: Difference, run: Run) -> str:
    """Return a clause on how far the lead can be generalised and how many rounds would decide, by which option."""
    rounds = count(tested.units, "round")
    if tested.verdict is Verdict.REGRESSED:
        return f"over {rounds}, that is more than chance"
    if tested.verdict is Verdict.UNCHANGED:
        return f"over {rounds}, they are within {difference.rule.min_effect:.0%} of each other"
    needed = tested.decision.needed
    if needed is None:
        return describe_doubt(tested, difference) or f"tested over {rounds}"
    option = _option_of_rounds(run, needed)
    if _is_ahead(tested):
        return f"{rounds} cannot show whether that holds at another time; {needed} rounds should ({option})"
    return f"that may be chance; {needed} rounds should settle it ({option})"


def _option_of_rounds(run: Run, needed: int) -> str:
    """Return what makes a run longer: --repeat, or the limit that ended it."""
    header, load = run.header, LoadProfile.from_plain(run.header.load)
    if header.replay_of:
        return "in a new recorded run"
    if header.path is None:
        return f"in a suite: `compare run SUITE --repeat {needed}`"
    if load.max_requests:
        return "more --requests"
    if load.duration_s:
        return "a longer --duration"
    if header.until_ci:
        return "a smaller --until-ci"
    return "a larger --budget" if header.budgets and run.stop_reason else "--repeat"
