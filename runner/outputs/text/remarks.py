"""Sentences beside a run's figures: what is simulated or unfinished, costs, clock errors, workers and failures."""

from collections.abc import Collection, Iterable, Sequence

from runner.analysis.calibration import ClockError
from runner.analysis.cost import TargetCost, price_of
from runner.analysis.run_results import Run
from runner.analysis.summary import ConnectionSummary, Failure, TargetSummary
from runner.analysis.workers import ClusterSummary, WorkerSummary
from runner.core.hints import hint_for
from runner.outputs.text.answered_by import describe_mixed
from runner.outputs.text.figures import count, milliseconds, percent, rate, seconds, with_interval, with_sample
from runner.outputs.text.labels import FLAGS, describe_outcome
from runner.pricing.money import add_up

MAX_NAMED = 6
"""Of more targets than this that a sentence applies to, the others are counted."""

MAX_WORKERS_LISTED = 8
"""Of more workers than this, the range of their clock errors is given instead of each one's."""


def describe_simulated(run: Run) -> str | None:
    """Return which targets are simulated, to follow the word "simulated"; None if all are real."""
    if not run.simulated:
        return None
    if run.header.replay_of is not None:
        return f"replies recorded in {run.header.replay_of} were played back; no provider was asked."
    real = sorted(str(each.target) for each in run.summary if each.n and not each.simulated)
    subject = f"every target but {', '.join(real)} is" if real else "every target is"
    return f"{subject} the built-in simulator; its figures say nothing about any provider."


def describe_partial(run: Run) -> str | None:
    """Return how much of an unfinished run there is, to follow the word "partial"; None if the run was finished."""
    if run.ended:
        return None
    if run.missing:
        have = "has" if run.missing == 1 else "have"
        return (
            f"of {run.header.planned} planned requests {run.missing:,} {have} no record, though the run came to its "
            "end: lines of its journal are lost or damaged. Take the journal from a backup, or go on with the run"
        )
    return f"the run is unfinished: {count(len(run.measured), 'request')} of {run.header.planned} planned"


def remarks(run: Run) -> list[str]:
    """Return what to know before trusting the figures; what several targets share is one sentence."""
    mixed = describe_mixed(run.mixed_answers)
    about_figures = (*mixed, *describe_costs(run), *describe_estimates(run), *describe_targets(run.summary))
    return [*_describe_stop(run), *how_it_was_made(run), *about_figures]


def brief_remarks(run: Run, told: Collection[str] = ()) -> list[str]:
    """Return the remarks beside a table with the targets' costs, without the flags that the user was told of before."""
    targets = describe_targets(run.summary, told)
    mixed = describe_mixed(run.mixed_answers)
    return [*_describe_stop(run), *mixed, *describe_prices(run), *describe_estimates(run), *targets]


def how_it_was_made(run: Run) -> list[str]:
    """Return what was done beside the requests that count, and by what they were measured."""
    warmups = sum(each.warmups for each in run.summary)
    return [
        *([f"{count(warmups, 'warm-up request')} left out of every figure"] if warmups else []),
        *_describe_connections(run.connections),
        *_describe_clock(run),
        *describe_workers(run.cluster),
    ]


def _describe_stop(run: Run) -> list[str]:
    sentences = [run.left_out] if run.left_out else []
    if reason := run.stop_reason:
        sentences.append(reason if reason.startswith("stopped") else f"stopped: {reason}")
    return sentences


def describe_estimates(run: Run) -> list[str]:
    """Return the estimated token rates of targets whose tokens nobody counted."""
    return [
        f"{each.target}: ~{rate(each.output_tps)} tokens/s, estimated from characters, n {each.n}; none were counted"
        for each in run.estimates
    ]


def describe_slow(run: Run) -> str | None:
    """Return each target's share of slow requests, for where a table has no column of it; None if none was slow."""
    if not any(each.slow and each.slow.value for each in run.summary):
        return None
    shares = [
        with_sample(
            f"{each.target} {with_interval(percent(each.slow.value), each.slow.interval, percent)}", each.slow, 0
        )
        for each in run.summary
        if each.slow
    ]
    return f"requests that took more than twice the median of their question, over all targets: {', '.join(shares)}"


# Targets


def describe_targets(summaries: Sequence[TargetSummary], told: Collection[str] = ()) -> list[str]:
    """Return what the requests of some targets have in common, with how many of each: cut replies, flags, failures."""
    cut = [f"{each.target} {each.timed - each.ok:,}" for each in summaries if each.timed > each.ok]
    sentences = [f"cut at the length limit, timed like the others: {name_some(cut)}"] if cut else []
    for flag in sorted({flag for each in summaries for flag in each.flags} - {*told}):
        rows = [f"{each.target} {each.flags[flag]:,}" for each in summaries if flag in each.flags]
        meaning = f": {FLAGS[flag]}" if flag in FLAGS else ""
        sentences.append(f"{flag} ({name_some(rows)}){meaning}")
    adjusted = [_describe_adjusted(each) for each in summaries if each.ttft_adjusted]
    return sentences + ([f"counting failures as never answered, TTFT: {name_some(adjusted, '; ')}"] if adjusted else [])


def _describe_adjusted(summary: TargetSummary) -> str:
    """Describe TTFT with failures counted as never answered."""
    ranks = summary.ttft_adjusted
    figures = [f"{each.name} {'never' if each.value is None else seconds(each.value)}" for each in ranks]
    return f"{summary.target} {', '.join(figures)} (n {ranks[0].n})"


def name_some(parts: Sequence[str], separator: str = ", ") -> str:
    """Join parts, and count those beyond the first ones."""
    more = len(parts) - MAX_NAMED
    return separator.join([*parts[:MAX_NAMED], *([f"{more} more"] if more > 0 else [])])


# Connections


def _describe_connections(opened: Sequence[ConnectionSummary]) -> list[str]:
    """Return one sentence on all connections opened; the phases of several providers are ranges of their medians."""
    if not opened:
        return []
    connections = f"{count(sum(each.n for each in opened), 'connection')} opened before the first request"
    names = list(dict.fromkeys(phase for each in opened for phase in each.phases_s))
    phases = [f"{name} {_range(each.phases_s[name] for each in opened if name in each.phases_s)}" for name in names]
    who = opened[0].provider if len(opened) == 1 else f"{len(opened)} providers"
    of = "medians" if len(opened) == 1 else "medians of the fastest to the slowest provider"
    return [f"{who}: {connections}" + (f" ({', '.join(phases)}, {of})" if phases else "")]


# Costs


def describe_costs(run: Run) -> list[str]:
    """Return each target's cost and, of several, their sum; empty where no cost is known."""
    return [*(_describe_cost(run, each) for each in run.costs), *_describe_sum(run)]


def describe_prices(run: Run) -> list[str]:
    """Return what a table of costs leaves out: the sum of several targets, and where their prices come from."""
    if len(run.costs) < 2:
        return describe_costs(run)
    targets: dict[str, list[str]] = {}
    for each in run.costs:
        targets.setdefault(_describe_origin(run, each), []).append(str(each.target))
    return [*_describe_sum(run), *(f"{origin} ({name_some(names)})" for origin, names in targets.items() if origin)]


def _describe_sum(run: Run) -> list[str]:
    if len(run.costs) < 2:
        return []
    sums = add_up(each.spent for each in run.costs)
    unconverted = "; currencies are not converted" if len(sums) > 1 else ""
    total_n = sum(each.n for each in run.costs)
    unknown = _describe_unknown(int((run.table["attempts"] > 0).sum()) - total_n)
    return [f"cost of all: {' + '.join(map(str, sums))}, n {total_n:,}{unknown}{unconverted}"]


def _describe_cost(run: Run, each: TargetCost) -> str:
    origin = _describe_origin(run, each)
    unknown = _describe_unknown(each.sent - each.n)
    return f"cost of {each.target}: {each.spent}, n {each.n:,}{unknown}" + (f"; {origin}" if origin else "")


def _describe_origin(run: Run, each: TargetCost) -> str:
    """Return where a target's costs come from: its provider, a source of prices, or both."""
    price = price_of(run.header, each.target.name)
    by_price, origins = each.n - each.charged, []
    if each.charged:
        origins.append(f"{each.charged:,} as the provider charged" if by_price else "as the provider charged")
    if price is not None and (by_price or not each.n):
        origins.append(f"prices: {price.origin}")
    return ", ".join(origins)


def _describe_unknown(unknown: int) -> str:
    """Return how many requests have no known cost; empty if none."""
    return f"; the cost of {count(unknown, 'more request')} is not known" if unknown else ""


# Clock errors and workers


def _describe_clock(run: Run) -> list[str]:
    """Describe this machine's clock error as of its last calibration; empty if there was none."""
    error = run.clock_error
    if error is None:
        return []
    sample = f"n {error.n}, {error.concurrency} at a time"
    calibrated = f"calibrated on {error.calibrated_at[:10]}"
    return [f"this machine's clock error: TTFT off by {describe_clock_error(error)}, {sample}, {calibrated}"]


def describe_clock_error(error: ClockError) -> str:
    """Return by how much TTFT was off: `0.08 ms (p50) to 0.61 ms (p99)`."""
    return f"{milliseconds(error.ttft_p50_s)} (p50) to {milliseconds(error.ttft_p99_s)} (p99)"


def describe_workers(cluster: ClusterSummary) -> list[str]:
    """Return which workers measured a run on a cluster, their clock errors, and which were lost; empty without any."""
    if not cluster.workers:
        return []
    nodes = ", ".join(f"{node} {workers}" for node, workers in sorted(cluster.nodes.items()))
    workers = f"{count(len(cluster.workers), 'worker')} on {count(len(cluster.nodes), 'node')}"
    sentences = [f"measured by {workers}: {nodes}"]
    sentences += describe_worker_clocks(cluster)
    sentences += [_describe_late_worker(worker) for worker in cluster.workers if not worker.within_bound]
    if cluster.lost:
        names = ", ".join(map(str, cluster.lost))
        sentences.append(f"lost: {names}; {count(cluster.repeated, 'request')} sent again by other workers")
    return sentences


def describe_worker_clocks(cluster: ClusterSummary) -> list[str]:
    """Return the workers' clock errors as of their calibration at the start; empty where none was calibrated."""
    errors = [worker.error for worker in cluster.workers if worker.error is not None]
    if not errors:
        return []
    how = f"at the start, {errors[0].concurrency} requests at a time"
    if len(cluster.workers) <= MAX_WORKERS_LISTED:
        return [f"clock error (TTFT) of each worker {how}: {_list_errors(cluster.workers)}"]
    return [f"clock error (TTFT) of {count(len(errors), 'worker')} {how}: {_error_range(errors)}"]


def _list_errors(workers: Sequence[WorkerSummary]) -> str:
    return "; ".join(
        f"{worker} "
        + ("unknown" if worker.error is None else f"{describe_clock_error(worker.error)}, n {worker.error.n}")
        for worker in workers
    )


def _error_range(errors: Sequence[ClockError]) -> str:
    p50 = _range(error.ttft_p50_s for error in errors)
    p99 = _range(error.ttft_p99_s for error in errors)
    smallest_n = min(error.n for error in errors)
    return f"{p50} (p50), {p99} (p99), from the best worker to the worst, n at least {smallest_n} each"


def _range(values: Iterable[float]) -> str:
    ascending = sorted(values)
    low, high = milliseconds(ascending[0]), milliseconds(ascending[-1])
    return low if low == high else f"{low} to {high}"


def _describe_late_worker(worker: WorkerSummary) -> str:
    error = worker.error
    if error is None:
        return f"{worker}: its clock error could not be found"
    spread = describe_clock_error(error)
    return f"{worker} may be late: TTFT off by {spread} at the start, n {error.n}, which is above the bound"


# Failures


def describe_failure(failure: Failure) -> str:
    """Return which target failed, how often and how. The provider's own message is not in it: callers escape that."""
    outcome = describe_outcome(failure.outcome, failure.error_type, failure.http_status)
    return f"{failure.target}: {failure.count} × {outcome}"


def advise_on(failure: Failure) -> str | None:
    """Return what may help against a failure; None where nothing is known to."""
    return hint_for(failure.target.provider, failure.outcome, failure.error_type, attempts=failure.attempts)
