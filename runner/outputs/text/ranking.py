"""The order of targets in tables, the rule for a lead, and the sentence on the fastest target at the end of a run.

As in the report, the target with the lowest median TTFT is compared with the next one. All pairs and both durations
share the significance level.
"""

from collections.abc import Iterable, Sequence
from math import ceil, inf
from typing import NamedTuple

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_verdict import Verdict
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.paired_lead import PairedLead, diff_to_fastest, paired_lead
from runner.analysis.run_results import Run
from runner.analysis.summary import TargetSummary
from runner.analysis.variants import keep_together, models_of
from runner.core.load_profile import LoadProfile
from runner.errors import CompareError, counted
from runner.outputs.text.labels import name_in_words
from runner.outputs.text.number_format import seconds, times
from runner.outputs.text.translation import BilingualText, _
from runner.outputs.text.undecided_reasons import describe_doubt
from runner.storage.journal import Header

TTFT = "ttft_s"


# The order


def rank_of(summary: TargetSummary) -> tuple[bool, float]:
    """Return the sort key of a target: its median TTFT; targets without one come last, by median total time."""
    first, whole = summary.ttft_p50, summary.total_p50
    return first is None, first.value if first else whole.value if whole else inf


def fastest_first(run: Run) -> list[TargetSummary]:
    """Return targets in the order of `rank_of`; variants of a model are adjacent."""
    return _in_order(run, list(map(rank_of, run.summary)))


def in_suite_order(run: Run) -> list[TargetSummary]:
    """Return targets in the suite's order; variants of a model are adjacent."""
    return _in_order(run, [(float(at),) for at in range(len(run.summary))])


def _in_order(run: Run, ranks: Sequence[tuple[float, ...]]) -> list[TargetSummary]:
    models = models_of([each.target for each in run.summary], run.header.variants)
    return [run.summary[at] for at in keep_together(models, ranks)]


def answers_late(summary: TargetSummary) -> bool:
    """Return whether a target's first answer came later than its first text, which was thinking."""
    answer, text = summary.ttfa_p50, summary.ttft_p50
    return bool(answer and text and answer.value > text.value)


def describe_first_answer(summaries: Iterable[TargetSummary]) -> BilingualText | None:
    """Return a sentence on who answered first if thinking is not counted; None if it is who has the first text."""
    timed = [(each, each.ttft_p50, each.ttfa_p50) for each in summaries if each.ttft_p50 and each.ttfa_p50]
    if not timed:
        return None
    by_text = min(timed, key=lambda each: each[1].value)
    by_answer = min(timed, key=lambda each: each[2].value)
    if by_text[2].value <= by_answer[2].value:
        return None
    return _(
        "The first text of {thinker} is thinking: its answer began after {later}, that of {target} after {median} "
        "(medians)",
        thinker=name_in_words(by_text[0].target),
        later=seconds(by_text[2].value),
        target=name_in_words(by_answer[0].target),
        median=seconds(by_answer[2].value),
    )


# The lead


def is_ahead(tested: DiffFinding) -> bool:
    """Return whether the other target was slower, by the verdict on rounds or at least by the pairs of this run."""
    claim = tested.this_run
    return tested.verdict is Verdict.REGRESSED or (claim is not None and claim.change > 1)


def is_lead(tested: DiffFinding | None, lead: PairedLead | None) -> bool:
    """Return whether a run shows a lead: by its tests if they decide, otherwise by a relevant factor in most pairs."""
    if tested is not None and (is_ahead(tested) or tested.verdict is Verdict.UNCHANGED):
        return is_ahead(tested)
    return lead is not None and lead.matters


def repeats_for(rounds: int, header: Header) -> int:
    """Return the --repeat that gives a run this many rounds: each level of a sweep has as many."""
    return ceil(rounds / (len(LoadProfile.from_plain(header.load).levels) or 1))


def has_repeats(header: Header) -> bool:
    """Return whether --repeat sets a run's number of rounds, which other limits at most cap; a replay has its own."""
    load = LoadProfile.from_plain(header.load)
    ends_otherwise = load.duration_s or (header.repeat is None and (load.max_requests or header.until_ci))
    return not (ends_otherwise or header.replay_of)


# The sentence


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
    compared = [each for each in sorted(run.summary, key=rank_of) if not (is_real and each.simulated)]
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
    answer = describe_first_answer(compared)
    return f"{_describe_lead(first, other, lead, tested)}; {scope}." + (f" {answer}." if answer else "")


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
    if not is_lead(tested, lead):
        return f"Too close to call who answered first: {first}, {other}, the first {pairs}"
    return f"{first.target} answered first: {times(lead.ratio)} faster than {other.target}, {pairs}"


def _describe_scope(tested: DiffFinding, difference: Difference, run: Run) -> str:
    """Return a clause on how far the lead can be generalised and how many rounds would decide, by which option."""
    rounds = counted(tested.units, "round")
    if tested.verdict is Verdict.REGRESSED:
        return f"over {rounds}, that is more than chance"
    if tested.verdict is Verdict.UNCHANGED:
        return f"over {rounds}, they are within {difference.rule.min_effect:.0%} of each other"
    needed = tested.decision.needed
    if needed is None:
        return describe_doubt(tested, difference) or f"tested over {rounds}"
    option = _option_of_rounds(run, needed)
    if is_ahead(tested):
        return f"{rounds} cannot show whether that holds at another time; {needed} rounds should ({option})"
    return f"that may be chance; {needed} rounds should settle it ({option})"


def _option_of_rounds(run: Run, needed: int) -> str:
    """Return what makes a run longer: --repeat, or the limit that ended it."""
    header, reason = run.header, run.stop_reason or ""
    load = LoadProfile.from_plain(header.load)
    repeat = f"--repeat {repeats_for(needed, header)}"
    is_only_capped = header.repeat is not None and not reason
    options = (
        (header.replay_of, "in a new recorded run"),
        (header.path is None, f"in a suite: `compare run SUITE {repeat}`"),
        (reason.startswith("the budget "), "a larger --budget"),
        (is_only_capped and not load.duration_s, repeat),
        (load.max_requests, "more --requests"),
        (load.duration_s, "a longer --duration"),
        (header.until_ci, "a smaller --until-ci"),
    )
    return next((option for applies, option in options if applies), repeat)
