"""Remarks on a run's figures: simulation, stops, mixed answers, flags, costs, how the run was made, and failures."""

from collections.abc import Collection, Iterable, Sequence

from runner.analysis.mixed_vendors import AnswerGroup, MixedAnswers
from runner.analysis.run_results import Run
from runner.analysis.summary import Failure, TargetSummary
from runner.core.failure_kinds import hint_for
from runner.core.load_profile import LoadProfile
from runner.outputs.text.caches_and_inputs import describe_caches, describe_inputs
from runner.outputs.text.connections_and_clocks import describe_clock, describe_connections, describe_workers
from runner.outputs.text.costs import describe_costs, describe_prices
from runner.outputs.text.labels import FLAGS, FLAGS_OF_REPLAY, describe_outcome, describe_partial, name_in_words
from runner.outputs.text.number_format import exact_span, percent, rate, seconds, with_interval, with_n
from runner.outputs.text.translation import _, comma_list, labelled, name_some, plural, translate


def describe_simulated(run: Run) -> str | None:
    """Return a sentence on the simulated or replayed targets, to follow "simulated"; None if all are real."""
    if not run.simulated:
        return None
    if run.header.replay_of is not None:
        return _("replies recorded in {run} were played back; no provider was asked.", run=run.header.replay_of)
    real = sorted(str(each.target) for each in run.summary if each.n and not each.simulated)
    if real:
        return _(
            "every target but {targets} is the built-in simulator; its figures say nothing about any provider.",
            targets=comma_list(real),
        )
    return _("every target is the built-in simulator; its figures say nothing about any provider.")


def describe_notices(run: Run) -> dict[str, str]:
    """Return the notices to show before a run's figures: "partial" or "simulated" -> sentence."""
    notices = {"partial": describe_partial(run), "simulated": describe_simulated(run)}
    return {word: sentence for word, sentence in notices.items() if sentence is not None}


def remarks(run: Run) -> list[str]:
    """Return remarks on how far the figures can be trusted; what several targets share is one remark."""
    return _remarks(run, how_it_was_made(run), describe_costs(run))


def brief_remarks(run: Run, known_flags: Collection[str] = ()) -> list[str]:
    """Return the remarks for a table that shows costs, without `known_flags`, which notes have explained already."""
    return _remarks(run, (), describe_prices(run), known_flags)


def _remarks(run: Run, how: Iterable[str], costs: Iterable[str], known_flags: Collection[str] = ()) -> list[str]:
    about_run = (*_describe_stop(run), *describe_unsteady(run), *how)
    about_requests = (*describe_mixed(run.mixed_answers), *describe_inputs(run), *describe_caches(run))
    about_targets = describe_targets(run.summary, known_flags, is_replay=run.header.replay_of is not None)
    return [*about_run, *about_requests, *costs, *_describe_estimates(run), *about_targets]


def how_it_was_made(run: Run) -> list[str]:
    """Return sentences on rounds, warm-ups, connections, clock and workers."""
    n = sum(each.warmups for each in run.summary)
    one, many = "{n} warm-up request left out of every figure", "{n} warm-up requests left out of every figure"
    return [
        *_describe_spread(run),
        *([plural(n, one, many)] if n else []),
        *describe_connections(run.connections),
        *describe_clock(run),
        *describe_workers(run.cluster),
    ]


def _describe_stop(run: Run) -> list[str]:
    sentences: list[str] = [translate(run.left_out)] if run.left_out else []
    if reason := run.stop_reason:
        translated = translate(reason)
        sentences.append(translated if reason.startswith("stopped") else _("stopped: {reason}", reason=translated))
    return sentences


def describe_unsteady(run: Run) -> list[str]:
    """Return a remark on targets, or levels of a sweep, of a closed loop without a request in the steady state."""
    if run.sweep:
        empty = [(f"{each.target} @ {each.concurrency}", each.left_out) for each in run.sweep if not each.n]
    else:
        left = [(str(each.target), each.timed, each.left_out) for each in run.summary]
        empty = [(target, left_out) for target, timed, left_out in left if timed == left_out]
    targets = name_some([with_n(target, n) for target, n in empty if n])
    if not any(n for _, n in empty):
        return []
    return [
        _(
            "no steady state, so no latencies: {targets}. The first and the last requests are left out, each as many "
            "as may be in flight. Ask for ten times as many with --requests, --repeat or --duration",
            targets=targets,
        )
    ]


def _describe_estimates(run: Run) -> list[str]:
    """Return the estimated token rates of targets without token counts."""
    return [
        _(
            "{target}: ~{rate} tokens/s, estimated from characters, n {n}; none were counted",
            target=each.target,
            rate=rate(each.output_tps),
            n=each.n,
        )
        for each in run.estimates
    ]


def describe_slow(run: Run) -> str | None:
    """Return a sentence on the share of slow requests of each target that has any; None if no target has."""
    shares = [
        with_n(f"{each.target} {with_interval(percent(each.slow.value), each.slow.interval, percent)}", each.slow.n)
        for each in run.summary
        if each.slow and each.slow.value
    ]
    if not shares:
        return None
    return _(
        "requests that took more than twice the median of their question, over all targets: {shares}",
        shares=name_some(shares),
    )


# Targets


def describe_targets(
    summaries: Sequence[TargetSummary], known_flags: Collection[str] = (), *, is_replay: bool = False
) -> list[str]:
    """Return a sentence for each kind of remark, with the targets and counts: cut replies, flags, adjusted TTFT."""
    cut = [f"{each.target} {each.timed - each.ok:,}" for each in summaries if each.timed > each.ok]
    sentences: list[str] = []
    if cut:
        sentences.append(_("cut at the length limit, timed like the others: {targets}", targets=name_some(cut)))
    explanations = FLAGS | FLAGS_OF_REPLAY if is_replay else FLAGS
    for flag in sorted({flag for each in summaries for flag in each.flags} - {*known_flags}):
        rows = [f"{each.target} {each.flags[flag]:,}" for each in summaries if flag in each.flags]
        counted = _("{flag} ({targets})", flag=flag, targets=name_some(rows))
        sentences.append(labelled(counted, _(explanations[flag])) if flag in explanations else counted)
    adjusted = [_describe_adjusted(each) for each in summaries if each.ttft_adjusted]
    if adjusted:
        named = name_some(adjusted, _("; "))
        sentences.append(_("counting failures as never answered, TTFT: {targets}", targets=named))
    return sentences


def _describe_adjusted(summary: TargetSummary) -> str:
    """Return the percentiles of TTFT if failures count as never answered."""
    ranks = summary.ttft_adjusted
    figures = [
        _("{name} never", name=each.name) if each.value is None else f"{each.name} {seconds(each.value)}"
        for each in ranks
    ]
    return with_n(f"{summary.target} " + comma_list(figures), ranks[0].n)


def _describe_spread(run: Run) -> list[str]:
    """Return a sentence on the time span and rounds that a spread run covers; empty for other runs."""
    span_s = LoadProfile.from_plain(run.header.load).spread_s
    if span_s is None:
        return []
    rounds = run.measured["block"].nunique()
    span = exact_span(span_s)
    if rounds == run.header.repeat:
        return [
            plural(
                rounds,
                "figures and intervals speak of {span}: {n} round, at a random moment of its own part of it",
                "figures and intervals speak of {span}: {n} rounds, each at a random moment of its own part of it",
                span=span,
            )
        ]
    return [
        _(
            "figures and intervals speak of {span}: {n} of {planned} rounds, each at a random moment of its own part",
            span=span,
            n=rounds,
            planned=run.header.repeat,
        )
    ]


# Mixed answers


_MIXED = {
    "served_by": "{target}: {number} vendors answered, and its figures mix them: {groups}; --by served_by splits them",
    "system_fingerprint": (
        "{target}: replies have {number} system fingerprints, and its figures mix them: {groups}; "
        "--by system_fingerprint splits them"
    ),
    "service_tier": (
        "{target}: replies came from {number} service tiers, and its figures mix them: {groups}; "
        "--by service_tier splits them"
    ),
}


def describe_mixed(found: Sequence[MixedAnswers]) -> list[str]:
    """Return a sentence for each target whose figures mix vendors, fingerprints or service tiers."""
    return [
        _(
            _MIXED[each.column],
            target=name_in_words(each.target),
            number=len(each.groups),
            groups=_list_groups(each),
        )
        for each in found
    ]


def _list_groups(mixed: MixedAnswers) -> str:
    unknown = [_("not known of {n}", n=f"{mixed.unknown:,}")] if mixed.unknown else []
    return comma_list([name_some([*map(_describe_group, mixed.groups)]), *unknown])


def _describe_group(group: AnswerGroup) -> str:
    requests = plural(group.n, "{n} request", "{n} requests")
    if group.ttft_p50 is None:
        return _("{name} {requests}", name=group.name, requests=requests)
    ttft, n = seconds(group.ttft_p50.value), f"{group.ttft_p50.n:,}"
    return _("{name} {requests} (median TTFT {ttft}, n {n})", name=group.name, requests=requests, ttft=ttft, n=n)


# Failures


def describe_failure(failure: Failure) -> str:
    """Return the target, number and outcome of a failure. Callers add and escape the provider's own message."""
    outcome = describe_outcome(failure.outcome, failure.error_type, failure.http_status)
    return _("{target}: {n} × {outcome}", target=name_in_words(failure.target), n=failure.count, outcome=outcome)


def advise_on(failure: Failure) -> str | None:
    """Return a hint on how to avoid a failure; None if there is none."""
    hint = hint_for(failure.target.provider, failure.outcome, failure.error_type, attempts=failure.attempts)
    return None if hint is None else translate(hint)
