"""Sentences on why rows of a comparison are undecided, and on what would decide them."""

from collections.abc import Iterator
from functools import partial

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_measures import OF_ALL_REQUESTS, PASSES, WITHOUT_FIGURES, Measure, Unit
from runner.analysis.diff_verdict import UndecidedReason
from runner.outputs.text.diff_cells import format_level, format_p, format_ratio
from runner.outputs.text.number_format import interval_ends, with_interval
from runner.outputs.text.translation import BilingualText, _, comma_list, plural


def describe_doubt(finding: DiffFinding, difference: Difference) -> str | None:  # noqa: PLR0911 -- a case per reason
    """Return the reason why a finding is undecided and what would decide it; None if it is decided."""
    match finding.decision.reason:
        case None:
            return None
        case UndecidedReason.TOO_FEW | UndecidedReason.FEW_CASES | UndecidedReason.NOISY | UndecidedReason.SIZE:
            return _describe_small_sample(finding, difference)
        case UndecidedReason.UNREACHABLE:
            return _(
                "cannot be decided: divided by all tests, the level is below any p-value; compare fewer targets or rows"
            )
        case UndecidedReason.SPELLS:
            return _(
                "inconclusive: slow spells last longer than a round; more rounds spread over a longer time would decide"
            )
        case UndecidedReason.CLOCK:
            floor = format_level(finding.measure, finding.floor or 0)
            return _("the change is within the clock error, {floor}; see `compare calibrate`", floor=floor)
        case UndecidedReason.BORDERLINE:
            return _("too close to the minimum effect to resolve")
        case UndecidedReason.FEW_RUNS | UndecidedReason.USUAL:
            return _describe_history_doubt(finding)


def _describe_small_sample(finding: DiffFinding, difference: Difference) -> BilingualText:
    """Return the reason of a finding with too small a sample, with the size that should be enough if known."""
    decision = finding.decision
    present = _count_units(finding.units, finding, difference, is_alike=finding.n[0] == finding.n[1])
    needed = _count_units(decision.needed, finding, difference) if decision.needed else None
    option = "" if finding.measure in WITHOUT_FIGURES else _(" (--repeat)")
    match decision.reason:
        case UndecidedReason.TOO_FEW if not needed:
            return _("no result can be significant with {present}", present=present)
        case UndecidedReason.TOO_FEW:
            return _(
                "no result can be significant with {present}; about {needed} should be enough{option}",
                present=present,
                needed=needed,
                option=option,
            )
        case UndecidedReason.SIZE:
            return _(
                "changed by more than chance, not surely by {least} %; about {needed} should be enough{option}",
                least=f"{100 * difference.rule.min_effect:g}",
                needed=needed,
                option=option,
            )
        case UndecidedReason.FEW_CASES:
            return _(
                "inconclusive with {present}: more repeats of the same cases would not decide; about {needed} should",
                present=present,
                needed=needed,
            )
        case _ if decision.rounds is not None:
            return _(
                "inconclusive with {present}; about {rounds} of the same cases (--repeat) should be enough, or about "
                "{needed} like these",
                present=present,
                rounds=_count_rounds(decision.rounds),
                needed=needed,
            )
        case _:
            return _(
                "inconclusive with {present}; about {needed} should be enough{option}",
                present=present,
                needed=needed,
                option=option,
            )


def _describe_history_doubt(finding: DiffFinding) -> BilingualText:
    """Return that there are too few runs, or the usual range of runs and the smallest change likely to be found."""
    measure, usual = finding.measure, finding.usual
    if usual is None or finding.detectable is None:
        return plural(
            finding.units,
            "{n} comparable run since the last change of the figure; the usual variation is known from {least} runs on",
            "{n} comparable runs since the last change of the figure; the usual variation is known from {least} runs "
            "on",
            least=finding.decision.needed,
        )
    found = (
        _("a share of {share}", share=format_level(measure, finding.detectable))
        if measure.unit is Unit.SHARE
        else _("a change of {change} %", change=f"{100 * (finding.detectable - 1):+.0f}")
    )
    return plural(
        finding.units,
        "no change that {n} run could tell: usual {usual}; {found} is found in 9 of 10 runs",
        "no change that {n} runs could tell: usual {usual}; {found} is found in 9 of 10 runs",
        usual=interval_ends(usual, partial(format_level, measure)),
        found=found,
    )


def _count_units(number: int, finding: DiffFinding, difference: Difference, *, is_alike: bool = True) -> BilingualText:
    """Return a sample size of a finding: rounds, requests or cases; with the side, unless they are of one run.

    With `is_alike`, it is that of both sides, else that of the smaller one.
    """
    if finding.measure is PASSES:
        return plural(number, "{n} case", "{n} cases")
    if finding.measure in OF_ALL_REQUESTS:
        units = plural(number, "{n} request", "{n} requests")
    elif difference.paired:
        return _count_rounds(number)
    else:
        units = _count_rounds(number)
    return _("{units} on each side", units=units) if is_alike else _("{units} on the smaller side", units=units)


def _count_rounds(number: int) -> BilingualText:
    return plural(number, "{n} round", "{n} rounds")


def describe_doubts(difference: Difference, target: str) -> Iterator[str]:
    """Yield a sentence for each reason why rows of a target are undecided, with the measures concerned."""
    measures: dict[str, list[str]] = {}
    for finding in difference.findings:
        reason = describe_doubt(finding, difference) if finding.target == target else None
        if reason:
            measures.setdefault(reason, []).append(_(finding.measure.label))
    yield from (
        _("undecided {measures}: {reason}", measures=comma_list(labels), reason=reason)
        for reason, labels in measures.items()
    )


def describe_this_run(finding: DiffFinding) -> str | None:
    """Return a sentence on what holds for this run alone, which has too few rounds for a verdict; None if nothing."""
    claim = finding.this_run
    if claim is None:
        return None
    figure = with_interval(_format_factor(claim.change), claim.interval, _format_factor)
    return _(
        "in this run, on {questions}, {target} {change} in {pairs} ({figure}, p {p}); "
        "whether that holds at another time is not known",
        questions=plural(claim.questions, "this question", "these {n} questions"),
        target=finding.target,
        change=_describe_direction(finding.measure, is_more=claim.change > 1),
        pairs=plural(claim.pairs, "{agreeing} of {n} pair", "{agreeing} of {n} pairs", agreeing=claim.agreeing),
        figure=_name_figure(finding.measure, figure),
        p=format_p(claim.p),
    )


def _format_factor(ratio: float) -> BilingualText:
    return _("{n}x", n=format_ratio(ratio))


def _describe_direction(measure: Measure, *, is_more: bool) -> BilingualText:
    if measure.unit is Unit.SECONDS:
        return _("was slower") if is_more else _("was faster")
    label = _(measure.label)
    if is_more:
        return _("had more {measure}", measure=label)
    if measure.unit is Unit.CHARACTERS_PER_SECOND:
        return _("had fewer {measure}", measure=label)
    return _("had less {measure}", measure=label)


def _name_figure(measure: Measure, figure: str) -> str:
    """Return a ratio, preceded by the name of its measure if the sentence does not name it elsewhere."""
    if measure.unit is not Unit.SECONDS:
        return figure
    return _("{measure} {figure}", measure=_(measure.label), figure=figure)


def describe_this_runs(difference: Difference) -> Iterator[str]:
    """Yield a sentence for each row with too few rounds for a verdict, on what holds for this run alone."""
    yield from filter(None, map(describe_this_run, difference.findings))
