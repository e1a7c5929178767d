"""Figures of a run as Prometheus metrics, in the text format that node_exporter's textfile collector reads.

Every metric is a gauge of the newest run, since the next run replaces the whole file. Times are in seconds, as
Prometheus recommends. A figure that no request has is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runner.analysis.intervals import Interval, Statistic
from runner.analysis.run_results import Run
from runner.analysis.target_figures import TargetFigures, target_figures

DURATIONS = {
    "ttft": "time to first token",
    "ttfa": "time to the first text of the answer",
    "tool_call": "time until the first tool call was complete",
    "total": "total time",
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric with its samples, each a pair of labels and value."""

    name: str
    description: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add_ends(self, labels: Mapping[str, str], interval: Interval | None) -> None:
        """Add a sample for each end of an interval; none if the interval is None."""
        if interval is not None:
            ends = {"low": interval.low, "high": interval.high}
            self.samples.extend(({**labels, "bound": bound}, value) for bound, value in ends.items())

    def lines(self) -> Iterator[str]:
        """Yield the metric's lines; none if it has no sample."""
        if self.samples:
            yield f"# HELP {self.name} {self.description}"
            yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            label_text = ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items())
            yield f"{self.name}{{{label_text}}} {value!r}"


def _escape(text: str) -> str:
    shown = text.encode("utf-8", "replace").decode()
    return shown.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def write(run: Run) -> str:
    """Return the metrics of a run as text."""
    run = run.split_by_place
    header, figures = run.header, target_figures(run)
    started = datetime.fromisoformat(header.started_at).timestamp()
    common = {"suite": header.suite}
    gauges = (
        Gauge("compare_run_started_seconds", "When the run began, in seconds since 1970.", [(common, started)]),
        Gauge("compare_run_simulated", "1 if the simulator answered.", [(common, float(run.simulated))]),
        Gauge("compare_run_complete", "1 if the run came to the end of its plan.", [(common, float(_is_whole(run)))]),
        *_request_gauges(common, figures),
        *(gauge for name in DURATIONS for gauge in _duration_gauges(name, common, figures)),
        *_goodput_gauges(common, figures),
        *_cost_and_check_gauges(common, figures),
    )
    return "".join(f"{line}\n" for gauge in gauges for line in gauge.lines())


def _is_whole(run: Run) -> bool:
    return run.ended and run.stop_reason is None


def _request_gauges(common: Mapping[str, str], figures: tuple[TargetFigures, ...]) -> Iterator[Gauge]:
    requests = Gauge("compare_requests", "Requests of the run by outcome.")
    failed = Gauge("compare_failed_requests", "Requests that the target failed.")
    for each in figures:
        labels = {**common, "target": str(each.target)}
        requests.samples.extend(
            ({**labels, "outcome": str(outcome)}, float(count)) for outcome, count in each.summary.outcomes.items()
        )
        failed.samples.append((labels, float(each.summary.failed)))
    yield from (requests, failed)


def _duration_gauges(name: str, common: Mapping[str, str], figures: tuple[TargetFigures, ...]) -> Iterator[Gauge]:
    """Yield gauges of a duration: median, its interval and sample size, and p95 if the sample is large enough."""
    median = Gauge(f"compare_{name}_seconds", f"The median {DURATIONS[name]}.")
    bounds = Gauge(f"compare_{name}_interval_seconds", "The ends of the median's 95 % interval.")
    counts = Gauge(f"compare_{name}_requests", "Requests behind the median.")
    p95 = Gauge(f"compare_{name}_p95_seconds", f"The 95th percentile of the {DURATIONS[name]}.")
    for each in figures:
        labels = {**common, "target": str(each.target)}
        found: Statistic | None = getattr(each.summary, f"{name}_p50")
        if found is None:
            continue
        median.samples.append((labels, found.value))
        counts.samples.append((labels, float(found.n)))
        bounds.add_ends(labels, found.interval)
        percentiles: tuple[Statistic, ...] = getattr(each.summary, f"{name}_percentiles", ())
        p95.samples.extend((labels, one.value) for one in percentiles if one.name == "p95")
    yield from (median, bounds, counts, p95)


def _goodput_gauges(common: Mapping[str, str], figures: tuple[TargetFigures, ...]) -> Iterator[Gauge]:
    """Yield gauges of the share of requests that met the SLO, its interval and sample size, and of goodput."""
    share = Gauge("compare_slo_met_ratio", "The share of requests that met the SLO.")
    bounds = Gauge("compare_slo_met_interval_ratio", "The ends of the 95 % interval of that share.")
    counts = Gauge("compare_slo_requests", "Requests behind that share.")
    requests = Gauge("compare_goodput_requests_per_second", "Requests per second that met the SLO.")
    tokens = Gauge("compare_goodput_output_tokens_per_second", "Output tokens per second of those requests.")
    for each in figures:
        labels, goodput = {**common, "target": str(each.target)}, each.summary.goodput
        if goodput is None:
            continue
        share.samples.append((labels, goodput.share))
        counts.samples.append((labels, float(goodput.n)))
        bounds.add_ends(labels, goodput.interval)
        for gauge, value in ((requests, goodput.requests_per_s), (tokens, goodput.output_tps)):
            gauge.samples.extend([] if value is None else [(labels, value)])
    yield from (share, bounds, counts, requests, tokens)


def _cost_and_check_gauges(common: Mapping[str, str], figures: tuple[TargetFigures, ...]) -> Iterator[Gauge]:
    """Yield gauges of tokens per second, costs and checks."""
    rate = Gauge("compare_output_tokens_per_second", "The median of output tokens per second.")
    cost = Gauge("compare_cost", "The known cost of the run's requests.")
    known = Gauge("compare_cost_requests", "Requests whose cost is known.")
    passed = Gauge("compare_checks_passed", "Repeats of cases whose checks passed.")
    checked = Gauge("compare_checks", "Repeats of cases with checks that were decided.")
    undecided = Gauge("compare_checks_undecided", "Repeats of which the checks decide nothing.")
    share = Gauge("compare_pass_ratio", "The share of the decided repeats that passed.")
    bounds = Gauge("compare_pass_interval_ratio", "The ends of the 95 % interval of that share, cases as clusters.")
    cases = Gauge("compare_pass_cases", "Cases behind that share.")
    for each in figures:
        labels = {**common, "target": str(each.target)}
        if each.summary.output_tps_p50 is not None:
            rate.samples.append((labels, each.summary.output_tps_p50.value))
        for one in each.costs:
            in_currency = {**labels, "currency": one.spent.currency}
            cost.samples.append((in_currency, float(one.spent.amount)))
            known.samples.append((in_currency, float(one.n)))
        if each.passed is not None:
            passed.samples.append((labels, float(each.passed.passed)))
            checked.samples.append((labels, float(each.passed.n)))
            undecided.samples.append((labels, float(each.passed.undecided)))
            share.samples.append((labels, each.passed.share))
            bounds.add_ends(labels, each.passed.interval)
            cases.samples.append((labels, float(each.passed.cases)))
    yield from (rate, cost, known, passed, checked, undecided, share, bounds, cases)
