"""Sentences beside a run's figures: what is simulated or unfinished, costs, clock errors, workers and failures."""

from collections.abc import Collection, Iterable, Sequence

from runner.analysis.calibration import ClockError
from runner.analysis.cost import TargetCost, price_of
from runner.analysis.run_results import Run
from runner.analysis.summary import ConnectionSummary, Failure, TargetSummary
from runner.analysis.worker_clocks import ClusterSummary, LostWorker, WorkerSummary
from runner.core.failure_hints import hint_for
from runner.outputs.text.caches import describe_caches, describe_inputs
from runner.outputs.text.figures import milliseconds, percent, rate, seconds, with_interval, with_sample
from runner.outputs.text.judge import describe_judge_cost
from runner.outputs.text.labels import FLAGS, describe_outcome, name_in_words
from runner.outputs.text.language import BilingualText, _, clauses, labelled, listed, name_some, plural, said
from runner.outputs.text.mixed_answers import describe_mixed
from runner.outputs.text.spread_rounds import describe_spread
from runner.pricing.money import add_up

MAX_WORKERS_LISTED = 8
"""Of more workers than this, the range of their clock errors is given instead of each one's."""


def describe_simulated(run: Run) -> str | None:
    """Return which targets are simulated, to follow the word "simulated"; None if all are real."""
    if not run.simulated:
        return None
    if run.header.replay_of is not None:
        return _("replies recorded in {run} were played back; no provider was asked.", run=run.header.replay_of)
    real = sorted(str(each.target) for each in run.summary if each.n and not each.simulated)
    if real:
        return _(
            "every target but {targets} is the built-in simulator; its figures say nothing about any provider.",
            targets=listed(real),
        )
    return _("every target is the built-in simulator; its figures say nothing about any provider.")


def remarks(run: Run) -> list[str]:
    """Return what to know before trusting the figures; what several targets share is one sentence."""
    mixed = describe_mixed(run.mixed_answers)
    about_requests = (*describe_inputs(run), *describe_caches(run))
    about_figures = (*mixed, *about_requests, *describe_costs(run), *describe_estimates(run))
    about_run = (*_describe_stop(run), *describe_unsteady(run), *how_it_was_made(run))
    return [*about_run, *about_figures, *describe_targets(run.summary)]


def brief_remarks(run: Run, told: Collection[str] = ()) -> list[str]:
    """Return the remarks beside a table with the targets' costs, without the flags that the user was told of before."""
    targets = describe_targets(run.summary, told)
    about_requests = (*describe_mixed(run.mixed_answers), *describe_inputs(run), *describe_caches(run))
    stop = [*_describe_stop(run), *describe_unsteady(run), *describe_spread(run)]
    return [*stop, *about_requests, *describe_prices(run), *describe_estimates(run), *targets]


def how_it_was_made(run: Run) -> list[str]:
    """Return what was done beside the requests that count, and by what they were measured."""
    warmups = sum(each.warmups for each in run.summary)
    return [
        *describe_spread(run),
        *([_describe_warmups(warmups)] if warmups else []),
        *_describe_connections(run.connections),
        *_describe_clock(run),
        *describe_workers(run.cluster),
    ]


def _describe_warmups(number: int) -> str:
    return plural(
        number,
        "{n} warm-up request left out of every figure",
        "{n} warm-up requests left out of every figure",
    )


def _describe_stop(run: Run) -> list[str]:
    sentences: list[str] = [said(run.left_out)] if run.left_out else []
    if reason := run.stop_reason:
        told = said(reason)
        sentences.append(told if reason.startswith("stopped") else _("stopped: {reason}", reason=told))
    return sentences


def describe_unsteady(run: Run) -> list[str]:
    """Return where every request of a closed loop was sent before its steady state or ended, perhaps, after it."""
    if run.sweep:
        empty = [(f"{each.target} @ {each.concurrency}", each.left_out) for each in run.sweep if not each.n]
    else:
        left = [(str(each.target), each.timed, each.left_out) for each in run.summary]
        empty = [(target, left_out) for target, timed, left_out in left if timed == left_out]
    targets = name_some([_("{target} (n {n})", target=target, n=n) for target, n in empty if n])
    if not any(n for _, n in empty):
        return []
    return [
        _(
            "no steady state, so no latencies: {targets}. The first and the last requests are left out, each as many "
            "as may be in flight. Ask for ten times as many with --requests, --repeat or --duration",
            targets=targets,
        )
    ]


def describe_estimates(run: Run) -> list[str]:
    """Return the estimated token rates of targets whose tokens nobody counted."""
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
    """Return the share of slow requests of each target that has any, for where no table has it; None if none has."""
    shares = [
        with_sample(
            f"{each.target} {with_interval(percent(each.slow.value), each.slow.interval, percent)}", each.slow, 0
        )
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


def describe_targets(summaries: Sequence[TargetSummary], told: Collection[str] = ()) -> list[str]:
    """Return what the requests of some targets have in common, with how many of each: cut replies, flags, failures."""
    cut = [f"{each.target} {each.timed - each.ok:,}" for each in summaries if each.timed > each.ok]
    sentences: list[str] = []
    if cut:
        sentences.append(_("cut at the length limit, timed like the others: {targets}", targets=name_some(cut)))
    for flag in sorted({flag for each in summaries for flag in each.flags} - {*told}):
        rows = [f"{each.target} {each.flags[flag]:,}" for each in summaries if flag in each.flags]
        counted = _("{flag} ({targets})", flag=flag, targets=name_some(rows))
        sentences.append(labelled(counted, _(FLAGS[flag])) if flag in FLAGS else counted)
    adjusted = [_describe_adjusted(each) for each in summaries if each.ttft_adjusted]
    if adjusted:
        named = name_some(adjusted, _("; "))
        sentences.append(_("counting failures as never answered, TTFT: {targets}", targets=named))
    return sentences


def _describe_adjusted(summary: TargetSummary) -> str:
    """Describe TTFT with failures counted as never answered."""
    ranks = summary.ttft_adjusted
    figures = [
        _("{name} never", name=each.name) if each.value is None else f"{each.name} {seconds(each.value)}"
        for each in ranks
    ]
    return _("{target} {figures} (n {n})", target=summary.target, figures=listed(figures), n=ranks[0].n)


# Connections


def _describe_connections(opened: Sequence[ConnectionSummary]) -> list[str]:
    """Return one sentence on all connections opened; the phases of several providers are ranges of their medians."""
    if not opened:
        return []
    n = sum(each.n for each in opened)
    connections = plural(
        n, "{n} connection opened before the first request", "{n} connections opened before the first request"
    )
    names = list(dict.fromkeys(phase for each in opened for phase in each.phases_s))
    phases = [f"{name} " + _range(each.phases_s[name] for each in opened if name in each.phases_s) for name in names]
    who = opened[0].provider if len(opened) == 1 else _("{n} providers", n=len(opened))
    of = _("medians") if len(opened) == 1 else _("medians of the fastest to the slowest provider")
    if not phases:
        return [labelled(who, connections)]
    return [labelled(who, _("{connections} ({phases}, {of})", connections=connections, phases=listed(phases), of=of))]


# Costs


def describe_costs(run: Run) -> list[str]:
    """Return each target's cost and, of several, their sum; empty where no cost is known."""
    return [
        *(_describe_cost(run, each) for each in run.costs),
        *map(describe_judge_cost, run.judge_costs),
        *_describe_sum(run),
    ]


def describe_prices(run: Run) -> list[str]:
    """Return what a table of costs leaves out: the sum of several targets, and where their prices come from."""
    if len(run.costs) < 2:
        return describe_costs(run)
    targets: dict[str, list[str]] = {}
    for each in run.costs:
        targets.setdefault(_describe_origin(run, each), []).append(str(each.target))
    return [
        *map(describe_judge_cost, run.judge_costs),
        *_describe_sum(run),
        *(
            _("{what} ({targets})", what=origin, targets=name_some(names))
            for origin, names in targets.items()
            if origin
        ),
    ]


def _describe_sum(run: Run) -> list[str]:
    judges = [each for each in (*run.judge_costs, *(judged.cost for judged in run.judged)) if each.spent]
    if len(run.costs) + len(judges) < 2:
        return []
    sums = add_up([each.spent for each in run.costs] + [money for each in judges for money in each.spent])
    of_judges = sum(each.priced for each in judges)
    total_n = sum(each.n for each in run.costs) + of_judges
    sent = int((run.table["attempts"] > 0).sum()) + sum(each.requests for each in judges)
    unknown = _describe_unknown(sent - total_n)
    with_judges = [_("{n} of them requests to judges", n=f"{of_judges:,}")] if of_judges else []
    unconverted = [_("currencies are not converted")] if len(sums) > 1 else []
    cost = _("cost of all: {sums}, n {n}", sums=" + ".join(map(str, sums)), n=f"{total_n:,}")
    return [clauses([cost, *with_judges, *unknown, *unconverted])]


def _describe_cost(run: Run, each: TargetCost) -> str:
    origin = _describe_origin(run, each)
    unknown = _describe_unknown(each.sent - each.n)
    cost = _("cost of {target}: {sum}, n {n}", target=each.target, sum=each.spent, n=f"{each.n:,}")
    return clauses([cost, *unknown, *([origin] if origin else [])])


def _describe_origin(run: Run, each: TargetCost) -> str:
    """Return where a target's costs come from: its provider, a source of prices, or both."""
    price = price_of(run.header, each.target.name)
    by_price = each.n - each.charged
    origins: list[str] = []
    if each.charged:
        charged = _("{n} as the provider charged", n=f"{each.charged:,}") if by_price else _("as the provider charged")
        origins.append(charged)
    if price is not None and (by_price or not each.n):
        origins.append(_("prices: {origin}", origin=said(price.origin)))
    return listed(origins)


def _describe_unknown(unknown: int) -> list[str]:
    """Return how many requests have no known cost; empty if none."""
    one, many = "the cost of {n} more request is not known", "the cost of {n} more requests is not known"
    return [plural(unknown, one, many)] if unknown else []


# Clock errors and workers


def _describe_clock(run: Run) -> list[str]:
    """Describe this machine's clock error as of its last calibration; empty if there was none."""
    error = run.clock_error
    if error is None:
        return []
    return [
        _(
            "this machine's clock error: TTFT off by {error}, n {n}, {concurrency} at a time, calibrated on {date}",
            error=describe_clock_error(error),
            n=error.n,
            concurrency=error.concurrency,
            date=error.calibrated_at[:10],
        )
    ]


def describe_clock_error(error: ClockError) -> str:
    """Return by how much TTFT was off: `0.08 ms (p50) to 0.61 ms (p99)`."""
    return _("{p50} (p50) to {p99} (p99)", p50=milliseconds(error.ttft_p50_s), p99=milliseconds(error.ttft_p99_s))


def describe_workers(cluster: ClusterSummary) -> list[str]:
    """Return which workers measured a run on a cluster, their clock errors, and which were lost; empty without any."""
    if not cluster.workers:
        return []
    nodes = listed(f"{node} {workers}" for node, workers in sorted(cluster.nodes.items()))
    workers = _("{workers} on {nodes}", workers=_count_workers(len(cluster.workers)), nodes=_count_nodes(cluster))
    sentences: list[str] = [_("measured by {workers}: {nodes}", workers=workers, nodes=nodes)]
    sentences += describe_worker_clocks(cluster)
    sentences += [_describe_late_worker(worker) for worker in cluster.workers if not worker.within_bound]
    if cluster.lost:
        one, many = (
            "lost: {names}; {n} request sent again by other workers",
            "lost: {names}; {n} requests sent again by other workers",
        )
        sentences.append(plural(cluster.repeated, one, many, names=listed(map(name_worker, cluster.lost))))
    return sentences


def _count_workers(number: int) -> BilingualText:
    return plural(number, "{n} worker", "{n} workers")


def _count_nodes(cluster: ClusterSummary) -> BilingualText:
    return plural(len(cluster.nodes), "{n} node", "{n} nodes")


def describe_worker_clocks(cluster: ClusterSummary) -> list[str]:
    """Return the workers' clock errors as of their calibration at the start; empty where none was calibrated."""
    errors = [worker.error for worker in cluster.workers if worker.error is not None]
    if not errors:
        return []
    concurrency = errors[0].concurrency
    if len(cluster.workers) <= MAX_WORKERS_LISTED:
        return [
            _(
                "clock error (TTFT) of each worker at the start, {concurrency} requests at a time: {errors}",
                concurrency=concurrency,
                errors=_list_errors(cluster.workers),
            )
        ]
    return [
        _(
            "clock error (TTFT) of {workers} at the start, {concurrency} requests at a time: {errors}",
            workers=_count_workers(len(errors)),
            concurrency=concurrency,
            errors=_error_range(errors),
        )
    ]


def _list_errors(workers: Sequence[WorkerSummary]) -> str:
    return clauses(
        _("{worker} unknown", worker=name_worker(worker))
        if worker.error is None
        else _(
            "{worker} {error}, n {n}",
            worker=name_worker(worker),
            error=describe_clock_error(worker.error),
            n=worker.error.n,
        )
        for worker in workers
    )


def _error_range(errors: Sequence[ClockError]) -> str:
    p50 = _range(error.ttft_p50_s for error in errors)
    p99 = _range(error.ttft_p99_s for error in errors)
    smallest_n = min(error.n for error in errors)
    return _(
        "{p50} (p50), {p99} (p99), from the best worker to the worst, n at least {n} each",
        p50=p50,
        p99=p99,
        n=smallest_n,
    )


def _range(values: Iterable[float]) -> str:
    ascending = sorted(values)
    low, high = milliseconds(ascending[0]), milliseconds(ascending[-1])
    return low if low == high else _("{low} to {high}", low=low, high=high)


def _describe_late_worker(worker: WorkerSummary) -> str:
    error = worker.error
    if error is None:
        return _("{worker}: its clock error could not be found", worker=name_worker(worker))
    return _(
        "{worker} may be late: TTFT off by {error} at the start, n {n}, which is above the bound",
        worker=name_worker(worker),
        error=describe_clock_error(error),
        n=error.n,
    )


def name_worker(worker: WorkerSummary | LostWorker) -> BilingualText:
    """Return the name of a worker with its node."""
    return _("{worker} on {node}", worker=worker.name, node=worker.node)


# Failures


def describe_failure(failure: Failure) -> str:
    """Return which target failed, how often and how. The provider's own message is not in it: callers escape that."""
    outcome = describe_outcome(failure.outcome, failure.error_type, failure.http_status)
    return _("{target}: {n} × {outcome}", target=name_in_words(failure.target), n=failure.count, outcome=outcome)


def advise_on(failure: Failure) -> str | None:
    """Return what may help against a failure; None where nothing is known to."""
    hint = hint_for(failure.target.provider, failure.outcome, failure.error_type, attempts=failure.attempts)
    return None if hint is None else said(hint)
