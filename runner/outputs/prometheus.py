"""Figures of a run as Prometheus metrics, in the text format that node_exporter's textfile collector reads.

Every metric is a gauge of the newest run, since the next run replaces the whole file. Times are in seconds, as
Prometheus recommends. A figure that no request has is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from runner.analysis.intervals import Interval, Statistic
from runner.analysis.run_results import Run
from runner.analysis.summary import TargetSummary
from runner.analysis.target_figures import TargetFigures, target_figures

DURATIONS = {
    "ttft": "time to first token",
    "ttfa": "time to the first text of the answer",
    "tool_call": "time until the first tool call was complete",
    "total": "total time",
}


def _describe_duration(name: str, what: str) -> dict[str, str]:
    return {
        f"{name}_seconds": f"The median {what}.",
        f"{name}_interval_seconds": "The ends of the median's 95 % interval.",
        f"{name}_requests": "Requests behind the median.",
        f"{name}_p95_seconds": f"The 95th percentile of the {what}.",
    }


GAUGES = {
    "run_started_seconds": "When the run began, in seconds since 1970.",
    "run_simulated": "1 if the simulator answered.",
    "run_complete": "1 if the run came to the end of its plan.",
    "requests": "Requests of the run by outcome.",
    "failed_requests": "Requests that the target failed.",
    **{name: text for each in DURATIONS.items() for name, text in _describe_duration(*each).items()},
    "slo_met_ratio": "The share of requests that met the SLO.",
    "slo_met_interval_ratio": "The ends of the 95 % interval of that share.",
    "slo_requests": "Requests behind that share.",
    "goodput_requests_per_second": "Requests per second that met the SLO.",
    "goodput_output_tokens_per_second": "Output tokens per second of those requests.",
    "output_tokens_per_second": "The median of output tokens per second.",
    "cost": "The known cost of the run's requests.",
    "cost_requests": "Requests whose cost is known.",
    "checks_passed": "Repeats of cases whose checks passed.",
    "checks": "Repeats of cases with checks that were decided.",
    "checks_undecided": "Repeats of which the checks decide nothing.",
    "pass_ratio": "The share of the decided repeats that passed.",
    "pass_interval_ratio": "The ends of the 95 % interval of that share, cases as clusters.",
    "pass_cases": "Cases behind that share.",
}
"""Metric, without `compare_` -> its description; in the order of the file."""

Sample = tuple[str, Mapping[str, str], float | None]
"""Metric, labels and value; a sample without a value is left out."""


def write(run: Run) -> str:
    """Return the metrics of a run as text."""
    run = run.split_by_place
    samples: dict[str, list[str]] = {name: [] for name in GAUGES}
    for name, labels, value in _samples(run):
        if value is not None:
            samples[name].append(_line(name, {"suite": run.header.suite, **labels}, float(value)))
    return "".join(
        f"# HELP compare_{name} {GAUGES[name]}\n# TYPE compare_{name} gauge\n{''.join(lines)}"
        for name, lines in samples.items()
        if lines
    )


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    label_text = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
    return f"compare_{name}{{{label_text}}} {value!r}\n"


def _escape(text: str) -> str:
    shown = text.encode("utf-8", "replace").decode()
    return shown.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _samples(run: Run) -> Iterator[Sample]:
    yield "run_started_seconds", {}, datetime.fromisoformat(run.header.started_at).timestamp()
    yield "run_simulated", {}, run.simulated
    yield "run_complete", {}, run.ended and run.stop_reason is None
    for figures in target_figures(run):
        for name, labels, value in _target_samples(figures):
            yield name, {"target": str(figures.target), **labels}, value


def _target_samples(figures: TargetFigures) -> Iterator[Sample]:
    summary = figures.summary
    for outcome, count in summary.outcomes.items():
        yield "requests", {"outcome": str(outcome)}, count
    yield "failed_requests", {}, summary.failed
    for name in DURATIONS:
        yield from _duration_samples(name, summary)
    if (goodput := summary.goodput) is not None:
        yield "slo_met_ratio", {}, goodput.share
        yield from _ends("slo_met_interval_ratio", goodput.interval)
        yield "slo_requests", {}, goodput.n
        yield "goodput_requests_per_second", {}, goodput.requests_per_s
        yield "goodput_output_tokens_per_second", {}, goodput.output_tps
    if summary.output_tps_p50 is not None:
        yield "output_tokens_per_second", {}, summary.output_tps_p50.value
    for cost in figures.costs:
        yield "cost", {"currency": cost.spent.currency}, float(cost.spent.amount)
        yield "cost_requests", {"currency": cost.spent.currency}, cost.n
    if (passed := figures.passed) is not None:
        yield "checks_passed", {}, passed.passed
        yield "checks", {}, passed.n
        yield "checks_undecided", {}, passed.undecided
        yield "pass_ratio", {}, passed.share
        yield from _ends("pass_interval_ratio", passed.interval)
        yield "pass_cases", {}, passed.cases


def _duration_samples(name: str, summary: TargetSummary) -> Iterator[Sample]:
    """Yield the median of a duration, its interval and sample size, and p95 if the sample is large enough."""
    median: Statistic | None = getattr(summary, f"{name}_p50")
    if median is not None:
        yield f"{name}_seconds", {}, median.value
        yield from _ends(f"{name}_interval_seconds", median.interval)
        yield f"{name}_requests", {}, median.n
        percentiles: Sequence[Statistic] = getattr(summary, f"{name}_percentiles", ())
        yield from ((f"{name}_p95_seconds", {}, each.value) for each in percentiles if each.name == "p95")


def _ends(name: str, interval: Interval | None) -> Iterator[Sample]:
    if interval is not None:
        yield name, {"bound": "low"}, interval.low
        yield name, {"bound": "high"}, interval.high
