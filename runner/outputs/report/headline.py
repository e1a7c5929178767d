"""The headline of a report: what the run shows, how far that can be generalised, and what failed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.analysis.run_results import Run
from runner.outputs.report.duration_ranking import DurationRanking, RankedTarget
from runner.outputs.report.pass_ranking import PassRanking
from runner.outputs.report.reply_grid import TargetColumn
from runner.outputs.text.labels import describe_outcome
from runner.outputs.text.number_format import rounded_span, times
from runner.outputs.text.ranking import describe_first_answer, has_repeats, repeats_for
from runner.outputs.text.translation import BilingualText, _, capitalized, clauses, comma_list, plural
from runner.storage.journal import Header

MAX_FAILED_NAMED = 3


@dataclass(frozen=True, slots=True)
class Headline:
    """The first lines of a page: a claim on each duration that is tested, its scope, and what failed."""

    claims: tuple[str, ...]
    scope: str | None
    failed: str | None


def write_headline(
    rankings: Sequence[DurationRanking],
    columns: Sequence[TargetColumn],
    runs: Sequence[Run],
    pass_ranking: PassRanking | None = None,
) -> Headline:
    """Return the headline of rankings; where nothing was timed, it says so."""
    tested = [ranking for ranking in rankings if ranking.duration.is_tested]
    claim = _claim if len(runs) == 1 else _claim_over_runs
    claims = tuple(map(claim, tested)) or (_("Nothing was timed."),)
    passes = None if pass_ranking is None else pass_ranking.claim
    answer = describe_first_answer(column.summary for column in columns) if tested else None
    claims = (*claims, *(claim for claim in (answer, passes) if claim is not None))
    scope = _describe_scope(tested[0], runs[0]) if tested and len(runs) == 1 else None
    return Headline(claims, scope, _describe_failed(columns))


# The claim


def _claim(ranking: DurationRanking) -> str:
    first, *others = ranking.places
    is_first_text = ranking.duration.column == "ttft_s"
    if not others:
        values = {"target": first.label, "median": first.median, "n": f"{first.n:,}"}
        if is_first_text:
            return _("{target} answered after {median} (median, n {n})", **values)
        return _("{target} finished after {median} (median, n {n})", **values)
    behind = [each for each in others if each.comparison and each.comparison.is_lead]
    level = [each for each in others if each not in behind]
    if level:
        return _claim_of_level(first, level, behind, is_first_text=is_first_text)
    lead = _describe_lead(behind[0])
    claim = (
        _("{target} answered first: {lead}", target=first.label, lead=lead)
        if is_first_text
        else _("{target} finished first: {lead}", target=first.label, lead=lead)
    )
    return claim + _describe_rest(behind[1:])


def _claim_over_runs(ranking: DurationRanking) -> str:
    """Return who has the lowest median of several runs, between which nothing is tested."""
    first, values = ranking.places[0], {"target": ranking.places[0].label, "median": ranking.places[0].median}
    if ranking.duration.column == "ttft_s":
        return _("{target} has the lowest median TTFT, {median}, n {n}", n=f"{first.n:,}", **values)
    return _("{target} has the lowest median total, {median}, n {n}", n=f"{first.n:,}", **values)


def _claim_of_level(
    first: RankedTarget, level: Sequence[RankedTarget], behind: Sequence[RankedTarget], *, is_first_text: bool
) -> str:
    """Return the claim where the lowest median is not surely ahead of all others."""
    next_one = level[0]
    values = {"first": first.label, "median": first.median, "other": next_one.label, "later": next_one.median}
    claim = (
        _("Too close to call who answered first: {first} after {median}, {other} after {later}", **values)
        if is_first_text
        else _("Too close to call who finished first: {first} after {median}, {other} after {later}", **values)
    )
    if next_one.comparison and next_one.comparison.ahead:
        claim += _(" (ahead in {pairs} paired requests)", pairs=next_one.comparison.ahead)
    if len(level) > 1:
        claim += plural(len(level) - 1, ", and {n} more target likewise", ", and {n} more targets likewise")
    if behind:
        claim += _("; {first} was {lead}", first=first.label, lead=_describe_lead(behind[0]))
        claim += _describe_rest(behind[1:])
    return claim


def _describe_lead(other: RankedTarget) -> str:
    comparison = other.comparison
    assert comparison is not None
    lead = _("{ratio} faster than {target}", ratio=comparison.ratio, target=other.label)
    if comparison.ahead is None:
        return lead
    return _("{lead}, ahead in {pairs} paired requests", lead=lead, pairs=comparison.ahead)


def _describe_rest(others: Sequence[RankedTarget]) -> str:
    """Return how far the others were behind, to end the sentence."""
    factors = [each.comparison.factor for each in others if each.comparison and each.comparison.factor]
    if not factors:
        return ""
    low, high = times(min(factors)), times(max(factors))
    if len(others) == 1:
        return _("; {lead}", lead=_("{ratio} faster than {target}", ratio=low, target=others[0].label))
    if low == high:
        return _("; {ratio} faster than the {n} others", ratio=low, n=len(others))
    return _("; {low} to {high} faster than the {n} others", low=low, high=high, n=len(others))


# How far it can be generalised


def _describe_scope(ranking: DurationRanking, run: Run) -> str:
    rounds = int(run.measured["block"].nunique())
    lasted = describe_span(run)
    asked: str = plural(rounds, "one round", "{n} rounds")
    asked = asked + _(" within {time}", time=lasted) if lasted else asked
    comparisons = ranking.comparisons
    needed = max((each.needed for each in comparisons if each.needed), default=None)
    more = _describe_needed(needed, run.header)
    if comparisons and all(each.is_slower for each in comparisons):
        return _("{asked}: more than chance and drift between rounds explain.", asked=capitalized(asked))
    if comparisons and all(each.is_behind or each.is_equal for each in comparisons):
        return _("{asked}, so this holds for this run; {more} rule out drift.", asked=capitalized(asked), more=more)
    if not comparisons:
        return _("{asked}.", asked=capitalized(asked))
    if all(each.needed is None and not each.is_slower for each in comparisons):
        return _("{asked}.", asked=capitalized(asked))
    if not all(each.is_lead for each in comparisons):
        return plural(
            rounds,
            "{asked} is not enough to decide every pair; {more} show more.",
            "{asked} are not enough to decide every pair; {more} show more.",
            asked=capitalized(asked),
            more=more,
        )
    return _("{asked}: too few to be sure; {more} settle it.", asked=capitalized(asked), more=more)


def _describe_needed(needed: int | None, header: Header) -> BilingualText:
    """Return what would decide more, to begin a clause."""
    if needed is None:
        return _("more rounds would")
    if not has_repeats(header):
        return _("{n} rounds would", n=needed)
    return _("`--repeat {n}` would", n=repeats_for(needed, header))


def describe_span(run: Run) -> str | None:
    """Return how long it took from the first request sent to the end of the last; None where none was sent."""
    sent = run.measured["sent_s"]
    ends = (sent + run.measured["total_s"].fillna(0)).dropna()
    return None if ends.empty else rounded_span(float(ends.max() - sent.min()))


# What failed


def _describe_failed(columns: Sequence[TargetColumn]) -> str | None:
    failed = sorted((each for each in columns if each.summary.failed), key=lambda each: -each.summary.failed)
    if not failed:
        return None
    parts = [*_list_failed(failed[:MAX_FAILED_NAMED])]
    if len(failed) > MAX_FAILED_NAMED:
        rest = sum(each.summary.failed for each in failed[MAX_FAILED_NAMED:])
        parts.append(_("{n} more, of {targets} targets", n=rest, targets=len(failed) - MAX_FAILED_NAMED))
    return _("Failed: {parts}.", parts=clauses(parts))


def _list_failed(columns: Sequence[TargetColumn]) -> Iterator[str]:
    for column in columns:
        summary = column.summary
        yield _(
            "{k} of {n} requests to {target} ({kinds})",
            k=f"{summary.failed:,}",
            n=f"{summary.n:,}",
            target=column.name,
            kinds=comma_list(map(describe_outcome, summary.failures)),
        )
