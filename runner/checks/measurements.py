"""Checks of measurements: times, token rate, cost and finish reason. Without a measurement they do not decide."""

from runner.checks.answer_text import as_tuple, quoted_alternatives
from runner.checks.check_finding import PASSED, CheckFinding, failed, undecided
from runner.core.record import Record


def finish_reason(record: Record, wanted: object) -> CheckFinding:
    """Pass if the finish reason is one of those wanted, in the provider's own spelling."""
    if record.finish_reason is None:
        return undecided("no finish_reason was sent")
    reasons = as_tuple(wanted)
    if record.finish_reason in reasons:
        return PASSED
    return failed(f"`{record.finish_reason}`, not {quoted_alternatives(reasons)}")


def max_ttft_s(record: Record, most_s: float) -> CheckFinding:
    """Pass if the time to first text is within `most_s` seconds."""
    return _at_most(record.ttft_s, most_s, "s", "there is no time to first text")


def max_total_s(record: Record, most_s: float) -> CheckFinding:
    """Pass if the total time is within `most_s` seconds."""
    return _at_most(record.total_s, most_s, "s", "there is no total time")


def min_output_tps(record: Record, least: float) -> CheckFinding:
    """Pass if the output rate is at least `least` tokens per second."""
    tps = record.output_tps
    if tps is None:
        return undecided("no speed in tokens is known")
    return PASSED if tps >= least else failed(f"{tps:.4g} tokens/s, less than {least:g}")


def max_cost(cost: float | None, most: float) -> CheckFinding:
    """Pass if a request cost at most `most`; both are in the currency of the target's prices."""
    return _at_most(cost, most, "", "the cost is not known")


def _at_most(value: float | None, most: float, unit: str, absent: str) -> CheckFinding:
    if value is None:
        return undecided(absent)
    return PASSED if value <= most else failed(f"{value:.4g} {unit}".rstrip() + f", more than {most:g}")
