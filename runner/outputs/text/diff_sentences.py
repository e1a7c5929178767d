"""Sentences on a comparison, shared by the formats that people read."""

from collections import Counter

from runner.analysis.diff import Difference, RunHistory, Side
from runner.analysis.diff_measures import PASSES, SLO_MET, Measure
from runner.analysis.diff_verdict import Verdict
from runner.analysis.reply_diff import ReplyChange, ReplySimilarity, ReplyTally
from runner.outputs.text.diff_cells import name_verdict
from runner.outputs.text.labels import SIMULATED, name_question
from runner.outputs.text.number_format import exact_span
from runner.outputs.text.translation import BilingualText, _, capitalized, clauses, comma_list, join, plural

CAPTION = (
    "base and new are geometric means, new/base is their ratio with its 95 % interval; failures, pass rates and slow "
    "requests are shares, with the difference in points. A slow request took more than twice the median of its "
    "question. A pass rate is the share of repeats whose checks passed; every case counts the same. n counts rounds "
    "(of the smaller run), for failures requests, for pass rates cases. p is adjusted for all tests. Read the interval "
    "first: a change that a small sample just detects is usually smaller than it looks."
)

HISTORY_CAPTION = (
    "base is the geometric mean of the earlier runs, each counted once; new/base is the ratio to it with its 95 % "
    "interval, which includes the variation between runs. Failures and pass rates are mean shares, with the difference "
    "in points. n counts the runs since the last change of the figure, 60 at most. p is adjusted for all tests."
)


def caption(difference: Difference) -> BilingualText:
    """Return the sentences that explain the columns of the findings."""
    return _(CAPTION) if difference.history is None else _(HISTORY_CAPTION)


def headline(difference: Difference) -> str:
    """Return the overall verdict with the number of rows for each verdict."""
    rows = len(difference.findings)
    order = {verdict: at for at, verdict in enumerate(Verdict)}
    sorted_findings = sorted(difference.findings, key=lambda finding: order[finding.verdict])
    counts = Counter(name_verdict(finding, paired=difference.paired) for finding in sorted_findings)
    worst = next(finding for finding in difference.findings if finding.verdict is difference.verdict)
    verdict = name_verdict(worst, paired=difference.paired)
    if len(counts) == 1:
        return plural(rows, "{verdict} ({n} row)", "{verdict} (all {n} rows)", verdict=verdict)
    parts = comma_list(_("{n} {verdict}", n=n, verdict=word) for word, n in counts.items())
    one, many = "{verdict}: {parts} ({n} row)", "{verdict}: {parts} ({n} rows)"
    return plural(rows, one, many, verdict=verdict, parts=parts)


def describe_simulated(difference: Difference) -> str | None:
    """Return a warning of simulated figures, to follow the word "simulated"; None if the figures are real."""
    return _(SIMULATED) if difference.simulated else None


def describe_sides(difference: Difference) -> tuple[str, str]:
    """Return a line each on base and new: run, suite, time, and target or place."""
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
        reasons = comma_list(
            _("{n} {verdict}", n=f"{n:,}", verdict=_(reason)) for reason, n in history.left_out.items()
        )
        parts.append(_("left out: {runs}", runs=reasons))
    return clauses(parts)


def _describe_side(side: Side) -> str:
    run = _("run {run}, suite {suite}, {started}", run=side.run_id, suite=side.suite, started=side.started_at)
    if side.spread_s is not None:
        rounds = plural(side.rounds or 0, "{n} round", "{n} rounds")
        run = _("{run}, {rounds} over {span}", run=run, rounds=rounds, span=exact_span(side.spread_s))
    if side.place:
        return _("from {place}, in {run}", place=side.place, run=run)
    return _("{target} in {run}", target=side.target, run=run) if side.target else run


def describe_pairing(difference: Difference) -> str:
    """Return a sentence on the kind of comparison: pairs within one run, two runs, or one run with a history."""
    if difference.history is not None:
        return _("with earlier runs: a change must exceed the usual variation between runs; each run counts once")
    base, new = (_span(side) for side in (difference.base, difference.new))
    if difference.paired:
        return _describe_pairs(new)
    if base is None and new is None:
        return _("across two runs, the weaker comparison: drift between them cannot be distinguished from a change")
    return _describe_spans(base, new)


def _span(side: Side) -> str | None:
    return None if side.spread_s is None else exact_span(side.spread_s)


def _describe_pairs(span: str | None) -> BilingualText:
    if span is None:
        return _("within one run, in pairs of one round, so that drift affects both alike")
    return _(
        "within one run over {span}, in pairs of one round, so that drift affects both alike; rounds are the unit, so "
        "intervals and verdicts apply to the whole span",
        span=span,
    )


def _describe_spans(base: str | None, new: str | None) -> BilingualText:
    """Return a sentence on the time spans that a comparison covers if one or both runs are spread."""
    if base is None:
        return _(
            "across two runs, of which only new is spread, over {span}: it is compared with a single time, that of "
            "base; a change cannot be distinguished from the variation between times",
            span=new,
        )
    if new is None:
        return _(
            "across two runs, of which only base is spread, over {span}: it is compared with a single time, that of "
            "new; a change cannot be distinguished from the variation between times",
            span=base,
        )
    if base == new:
        return _(
            "across two runs, each over {span}: rounds are the unit, so intervals and verdicts apply to spans like "
            "these; a change cannot be distinguished from the usual variation between spans",
            span=base,
        )
    return _(
        "across two runs, over {base} and over {new}: rounds are the unit, so intervals and verdicts apply to these "
        "spans; a change cannot be distinguished from the variation between times of day or between spans",
        base=base,
        new=new,
    )


def describe_rule(difference: Difference) -> str:
    """Return a sentence on the conditions under which a change is reported."""
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
        "a change is reported only if it is significant at {alpha} %{holm}, its whole interval is beyond {effect} % "
        "(as measured: failures {failures} points, slow requests {slow}), and it exceeds the clock error",
        alpha=f"{100 * rule.alpha:g}",
        holm=holm,
        effect=f"{100 * rule.min_effect:g}",
        failures=f"{100 * rule.min_failure_rise:g}",
        slow=join("", [f"{100 * rule.min_slow_rise:g}", *more]),
    )


def _compares(difference: Difference, measure: Measure) -> bool:
    return any(finding.measure is measure for finding in difference.findings)


def full_caption(difference: Difference) -> str:
    """Return the sentences that explain the columns of the findings and the rule of the verdicts."""
    return _("{caption} {rule}.", caption=caption(difference), rule=capitalized(describe_rule(difference)))


def targets(difference: Difference) -> tuple[str, ...]:
    """Return the compared targets in order; for a comparison within one run, the new target."""
    found = [*(each.target for each in difference.findings), *(each.target for each in difference.replies)]
    return tuple(dict.fromkeys(found))


def count_replies(difference: Difference) -> str:
    """Return counts of questions by the similarity of their replies: `replies: 3 same, 1 changed`."""
    if difference.history is not None:
        return _("replies: not compared with those of many runs")
    counts = Counter(change.similarity for change in difference.replies)
    parts = [_("{n} {verdict}", n=counts[each], verdict=_(each.value)) for each in ReplySimilarity if counts[each]]
    return _("replies: {counts}", counts=comma_list(parts) if parts else _("none"))


def question_label(change: ReplyChange) -> str:
    """Return a question's name: its case, with turn and step if these are not the first."""
    return name_question(change.case, change.turn, change.steps)


def describe_reply_change(change: ReplyChange) -> str:
    """Return a description of a change of replies: similarity, and the figures of base and new."""
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
    return comma_list(parts)
