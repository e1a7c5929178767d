"""A comparison in words and figures, shared by the formats that people read."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from runner.analysis.diff import Difference, RunHistory, Side
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.measures import FAILURES, OF_ALL_REQUESTS, PASSES, SLO_MET, WITHOUT_FIGURES, Measure, Unit
from runner.analysis.replies import ReplyChange, ReplySimilarity, ReplyTally
from runner.analysis.verdict import UndecidedReason, Verdict
from runner.outputs.text.figures import MISSING, rate, seconds
from runner.outputs.text.labels import name_question
from runner.outputs.text.language import BilingualText, _, capitalized, clauses, join, listed, plural
from runner.pricing.money import write_amount

FINDING_HEADINGS = ("measure", "base", "new", "new/base", "p", "n", "verdict")
WORDY = frozenset({0, 6})
"""The columns that hold words."""

CAPTION = (
    "base and new are geometric means of what was compared, new/base is their ratio with its 95 % interval; of "
    "failures, pass rates and slow requests, shares and the difference in points. A slow request took more than twice "
    "the median of its question. A pass rate is the share of repeats whose checks passed, each case weighing the same. "
    "n counts rounds (of the smaller run, where there are two), requests in the rows of failures, and cases in those "
    "of pass rates; p is adjusted for all tests; rows whose values are all equal need none. Read the interval first: "
    "what a small sample just finds looks larger than it is."
)


HISTORY_CAPTION = (
    "base is the geometric mean over the runs before, each of which counts once, new/base the ratio to it with its "
    "95 % interval, which holds the variation between runs; of failures and pass rates, the mean share and the "
    "difference in points. n counts those runs: those since the last change of the figure, 60 at most. p is adjusted "
    "for all tests."
)


def caption(difference: Difference) -> BilingualText:
    """Return the sentences that explain the columns of the findings."""
    return _(CAPTION) if difference.history is None else _(HISTORY_CAPTION)


def headline(difference: Difference) -> str:
    """Return the verdict of the whole, and how many rows have which."""
    rows = len(difference.findings)
    order = {verdict: at for at, verdict in enumerate(Verdict)}
    sorted_findings = sorted(difference.findings, key=lambda finding: order[finding.verdict])
    counts = Counter(name_verdict(finding, paired=difference.paired) for finding in sorted_findings)
    parts = listed(_("{n} {verdict}", n=n, verdict=word) for word, n in counts.items())
    worst = next(finding for finding in difference.findings if finding.verdict is difference.verdict)
    verdict = name_verdict(worst, paired=difference.paired)
    one, many = "{verdict}: {parts} ({n} row)", "{verdict}: {parts} ({n} rows)"
    return plural(rows, one, many, verdict=verdict, parts=parts)


BETWEEN_TARGETS = {
    Unit.SECONDS: ("slower", "faster"),
    Unit.CHARACTERS_PER_SECOND: ("slower", "faster"),
    Unit.MONEY: ("dearer", "cheaper"),
    Unit.SHARE: ("more often slow", "less often slow"),
}


_OF_SHARES = {
    FAILURES: ("failing more", "failing less"),
    SLO_MET: ("less often in SLO", "more often in SLO"),
    PASSES: ("passing less", "passing more"),
}


def name_verdict(finding: DiffFinding, *, paired: bool) -> str:
    """Return the word for a verdict: regressed or improved only where a new run is compared with a baseline.

    Of two targets, or two places, neither is the earlier one: the second is slower or faster than the first.
    """
    words = BETWEEN_TARGETS.get(finding.measure.unit) if paired else None
    words = _OF_SHARES.get(finding.measure, words) if words else None
    if words is None or finding.verdict not in {Verdict.REGRESSED, Verdict.IMPROVED}:
        return _(finding.verdict.value)
    return _(words[finding.verdict is Verdict.IMPROVED])


def describe_simulated(difference: Difference) -> str | None:
    """Return a warning of simulated figures, to follow the word "simulated"; None if the figures are real."""
    if not difference.simulated:
        return None
    return _("the built-in simulator answered; nothing here is said about any provider.")


def describe_sides(difference: Difference) -> tuple[str, str]:
    """Return what base and new stand for."""
    history, new = difference.history, _describe_side(difference.new)
    base = _describe_side(difference.base) if history is None else _describe_history(history, difference.base.suite)
    return _("base: {side}", side=base), _("new: {side}", side=new)


def _describe_history(history: RunHistory, suite: str) -> BilingualText:
    parts = [
        plural(
            history.runs,
            "{n} run before it in {folder}, suite {suite}",
            "{n} runs before it in {folder}, suite {suite}",
            folder=history.folder,
            suite=suite,
        )
    ]
    if history.since is not None:
        parts.append(_("comparable ones from {since} to {until}", since=history.since, until=history.until))
    if history.left_out:
        reasons = listed(_("{n} {verdict}", n=f"{n:,}", verdict=_(reason)) for reason, n in history.left_out.items())
        parts.append(_("left out: {runs}", runs=reasons))
    return clauses(parts)


def _describe_side(side: Side) -> str:
    run = _("run {run}, suite {suite}, {started}", run=side.run_id, suite=side.suite, started=side.started_at)
    if side.place:
        return _("from {place}, in {run}", place=side.place, run=run)
    return _("{target} in {run}", target=side.target, run=run) if side.target else run


def describe_pairing(difference: Difference) -> str:
    """Return whether pairs within one run are compared, two runs that drift may separate, or a run with many."""
    if difference.history is not None:
        return _("with a history: what differs from run to run anyway is no change; each run counts once")
    if difference.paired:
        return _("within one run, in pairs of one round: what drifted, drifted for both")
    return _("across two runs, the weaker comparison: drift between them cannot be told from a change")


def describe_rule(difference: Difference) -> str:
    """Return the conditions under which a change is reported."""
    rule = difference.rule
    tests = sum(finding.tested for finding in difference.findings)
    if difference.history is not None:
        return _(
            "a change is reported only if it is significant at {alpha} % after Holm over all rows of enough runs, by "
            "Student's prediction of one further run, and at least {effect} % (failures {failures} points, pass rate "
            "{passes})",
            alpha=f"{100 * rule.alpha:g}",
            effect=f"{100 * rule.min_effect:g}",
            failures=f"{100 * rule.min_failure_rise:g}",
            passes=f"{100 * rule.min_pass_change:g}",
        )
    more: list[str] = []
    if _compares(difference, SLO_MET):
        more.append(_(", SLO met {points}", points=f"{100 * rule.min_slo_fall:g}"))
    if _compares(difference, PASSES):
        more.append(_(", pass rate {points}", points=f"{100 * rule.min_pass_change:g}"))
    holm = plural(tests, " after Holm over {n} test", " after Holm over {n} tests") if tests else ""
    return _(
        "a change is reported only if it is significant at {alpha} %{holm}, surely at least {effect} % (as measured, "
        "failures {failures} points, slow requests {slow}), and beyond the clock's error",
        alpha=f"{100 * rule.alpha:g}",
        holm=holm,
        effect=f"{100 * rule.min_effect:g}",
        failures=f"{100 * rule.min_failure_rise:g}",
        slow=join("", [f"{100 * rule.min_slow_rise:g}", *more]),
    )


def _compares(difference: Difference, measure: Measure) -> bool:
    return any(finding.measure is measure for finding in difference.findings)


def explain(difference: Difference) -> str:
    """Return the sentences that explain the columns of the findings, and the rule."""
    return _(
        "{caption} {rule}.",
        caption=_(CAPTION if difference.history is None else HISTORY_CAPTION),
        rule=capitalized(describe_rule(difference)),
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
    label = _(finding.measure.label)
    return _("{measure}, {currency}", measure=label, currency=finding.currency) if finding.currency else label


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
    write = write_points if finding.measure.unit is Unit.SHARE else _ratio
    interval = finding.interval
    ends = f"{write(interval.low)}, {write(interval.high)}" if interval else MISSING
    return f"{write(finding.change)} [{ends}]"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 99.995 else f"{value:.0f}"


def write_points(value: float) -> str:
    """Format a difference of shares in points: `+3.0`."""
    return f"{100 * value:+.1f}"


def write_p(p: float) -> str:
    """Format a p-value without false precision."""
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _write_n(finding: DiffFinding) -> str:
    """Format the sample size: units, or requests of base and new where these differ."""
    base, new = finding.n
    if finding.measure in OF_ALL_REQUESTS and base != new and not _is_of_history(finding):
        return f"{base}/{new}"
    return str(finding.units)


def _is_of_history(finding: DiffFinding) -> bool:
    return finding.usual is not None or finding.decision.reason is UndecidedReason.FEW_RUNS


# Undecided rows


def describe_doubt(finding: DiffFinding, difference: Difference) -> str | None:  # noqa: PLR0911, C901 -- a case per reason
    """Return why a finding is undecided, and what would decide it; None for a finding with a verdict."""
    decision = finding.decision
    is_rounds = finding.measure not in WITHOUT_FIGURES
    present, needed = _count_units(finding, difference), _count_needed(finding, difference)
    option = _(" (--repeat)") if is_rounds else ""
    least = f"{100 * difference.rule.min_effect:g}"
    match decision.reason:
        case UndecidedReason.TOO_FEW if not needed:
            return _("{present} cannot be significant, whatever they show", present=present)
        case UndecidedReason.TOO_FEW:
            return _(
                "{present} cannot be significant, whatever they show; about {needed} should be enough{option}",
                present=present,
                needed=needed,
                option=option,
            )
        case UndecidedReason.UNREACHABLE:
            return _(
                "cannot be decided: divided by all tests, the level is below any p-value; compare fewer targets or rows"
            )
        case UndecidedReason.SPELLS:
            return _(
                "inconclusive: slow spells last longer than a round; more rounds spread over a longer time would decide"
            )
        case UndecidedReason.SIZE:
            return _(
                "changed by more than chance, not surely by {least} %; about {needed} should be enough{option}",
                least=least,
                needed=needed,
                option=option,
            )
        case UndecidedReason.FEW_CASES:
            return _(
                "inconclusive with {present}: more repeats of the same cases would not decide; about {needed} should",
                present=present,
                needed=needed,
            )
        case UndecidedReason.NOISY if decision.rounds is not None:
            return _(
                "inconclusive with {present}; about {rounds} of the same cases (--repeat) should be enough, or about "
                "{needed} like these",
                present=present,
                rounds=_count_rounds(decision.rounds),
                needed=needed,
            )
        case UndecidedReason.NOISY:
            return _(
                "inconclusive with {present}; about {needed} should be enough{option}",
                present=present,
                needed=needed,
                option=option,
            )
        case UndecidedReason.CLOCK:
            floor = write_level(finding.measure, finding.floor or 0)
            return _("the change is within the clock error, {floor}; see `compare calibrate`", floor=floor)
        case UndecidedReason.BORDERLINE:
            return _("too close to the minimum effect to resolve")
        case UndecidedReason.FEW_RUNS | UndecidedReason.USUAL:
            return _describe_history_doubt(finding)
        case None:
            return None


def _describe_history_doubt(finding: DiffFinding) -> BilingualText:
    """Return that there are too few runs, or in which range runs fall anyway, and which change would be found."""
    measure, usual = finding.measure, finding.usual
    if usual is None or finding.detectable is None:
        return plural(
            finding.units,
            "{n} comparable run since the last change of the figure; what runs vary by is known from {least} on",
            "{n} comparable runs since the last change of the figure; what runs vary by is known from {least} on",
            least=finding.decision.needed,
        )
    found = (
        _("a share of {share}", share=write_level(measure, finding.detectable))
        if measure.unit is Unit.SHARE
        else _("a change of {change} %", change=f"{100 * (finding.detectable - 1):+.0f}")
    )
    return plural(
        finding.units,
        "no change that {n} run could tell: usual {low} to {high}; {found} is found in 9 of 10 runs",
        "no change that {n} runs could tell: usual {low} to {high}; {found} is found in 9 of 10 runs",
        low=write_level(measure, usual.low),
        high=write_level(measure, usual.high),
        found=found,
    )


def _count_units(finding: DiffFinding, difference: Difference) -> BilingualText:
    """Return how many rounds or requests a finding rests on, and on which side, where it is not of pairs of a run."""
    if finding.measure is PASSES:
        return _count_cases(finding.units)
    if finding.measure not in OF_ALL_REQUESTS and difference.paired:
        return _count_rounds(finding.units)
    counted = _count_either(finding.units, finding)
    if finding.n[0] == finding.n[1]:
        return _("{units} on each side", units=counted)
    return _("{units} on the smaller side", units=counted)


def _count_needed(finding: DiffFinding, difference: Difference) -> BilingualText | None:
    """Return how many rounds or requests should decide; None where that is not known."""
    needed = finding.decision.needed
    if not needed:
        return None
    if finding.measure is PASSES:
        return _count_cases(needed)
    if finding.measure not in OF_ALL_REQUESTS and difference.paired:
        return _count_rounds(needed)
    return _("{units} on each side", units=_count_either(needed, finding))


def _count_either(number: int, finding: DiffFinding) -> BilingualText:
    if finding.measure in OF_ALL_REQUESTS:
        return plural(number, "{n} request", "{n} requests")
    return _count_rounds(number)


def _count_cases(number: int) -> BilingualText:
    return plural(number, "{n} case", "{n} cases")


def _count_rounds(number: int) -> BilingualText:
    return plural(number, "{n} round", "{n} rounds")


def describe_doubts(difference: Difference, target: str) -> Iterator[str]:
    """Yield each reason why rows of a target are undecided, with the measures it applies to."""
    measures: dict[str, list[str]] = {}
    for finding in difference.findings:
        reason = describe_doubt(finding, difference) if finding.target == target else None
        if reason:
            measures.setdefault(reason, []).append(_(finding.measure.label))
    yield from (
        _("undecided {measures}: {reason}", measures=listed(labels), reason=reason)
        for reason, labels in measures.items()
    )


def describe_this_run(finding: DiffFinding) -> str | None:
    """Return what the run shows by itself where its rounds are too few for a verdict; None if nothing."""
    claim = finding.this_run
    if claim is None:
        return None
    figure = _("{n}x", n=_ratio(claim.change))
    ends = f" [{_ratio(claim.interval.low)}, {_ratio(claim.interval.high)}]" if claim.interval else ""
    return _(
        "in this run, on {questions}, {target} {change} in {pairs} ({figure}, p {p}); "
        "whether that holds at another time is not known",
        questions=plural(claim.questions, "this question", "these {n} questions"),
        target=finding.target,
        change=_describe_direction(finding.measure, is_more=claim.change > 1),
        pairs=plural(claim.pairs, "{agreeing} of {n} pair", "{agreeing} of {n} pairs", agreeing=claim.agreeing),
        figure=_name_figure(finding.measure, figure + ends),
        p=write_p(claim.p),
    )


def _describe_direction(measure: Measure, *, is_more: bool) -> BilingualText:
    if measure.unit is Unit.SECONDS:
        return _("was slower") if is_more else _("was faster")
    label = _(measure.label)
    if is_more:
        return _("had more {measure}", measure=label)
    if measure.unit is Unit.CHARACTERS_PER_SECOND:
        return _("had fewer {measure}", measure=label)
    return _("had less {measure}", measure=label)


def _name_figure(measure: Measure, figure: BilingualText) -> BilingualText:
    """Return a ratio with the name of its measure, where the sentence has not named it."""
    if measure.unit is not Unit.SECONDS:
        return figure
    return _("{measure} {figure}", measure=_(measure.label), figure=figure)


def describe_this_runs(difference: Difference) -> Iterator[str]:
    """Yield what the run shows by itself, of each row whose rounds are too few for a verdict."""
    yield from filter(None, map(describe_this_run, difference.findings))


# Replies


def count_replies(difference: Difference) -> str:
    """Count the questions by how alike their replies are: `replies: 3 same, 1 changed`."""
    if difference.history is not None:
        return _("replies: not compared with those of many runs")
    counts = Counter(change.similarity for change in difference.replies)
    parts = [_("{n} {verdict}", n=counts[each], verdict=_(each.value)) for each in ReplySimilarity if counts[each]]
    return _("replies: {counts}", counts=listed(parts) if parts else _("none"))


def question_label(change: ReplyChange) -> str:
    """Return a question's name: its case, and the turn from the second on."""
    return name_question(change.case, change.turn)


def describe_reply_change(change: ReplyChange) -> str:
    """Return how the replies of base and new compare, in figures."""
    parts = [_("base {tally}", tally=_describe_tally(change.base)), _("new {tally}", tally=_describe_tally(change.new))]
    how = _(change.similarity.value)
    if change.shared is not None:
        how = _("{how}, {share} % of words shared", how=how, share=f"{100 * change.shared:.0f}")
    return join(_("; "), [how, *parts])


def _describe_tally(tally: ReplyTally) -> BilingualText:
    parts = [f"n {tally.n}"]
    if tally.agreement is not None and tally.n > 1:
        parts.append(_("{share} % alike", share=f"{100 * tally.agreement:.0f}"))
    if tally.length is not None:
        parts.append(plural(round(tally.length), "{n} character", "{n} characters"))
    parts += [f"{reason} {times}" for reason, times in tally.finish_reasons.items()]
    parts += [plural(tally.refusals, "{n} refusal", "{n} refusals")] if tally.refusals else []
    return listed(parts)
