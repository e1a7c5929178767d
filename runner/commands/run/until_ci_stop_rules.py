"""Stop rules that end a run once the figures of every target are precise enough (`--until-ci`).

The bootstrap of `Precision` takes up to a second, so it runs on an executor that the caller passes: a separate thread
delays the event loop by at most 5 ms.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from statistics import median

from runner.analysis.check_results import CheckedCell, CheckTally
from runner.analysis.intervals import MIN_UNITS, median_interval
from runner.analysis.measured_targets import MeasuredTarget, TargetSplit
from runner.analysis.pass_rate import measure_pass_rate
from runner.core.conversation_state import CompletedRequestCount
from runner.core.record import Record
from runner.core.until_ci import UntilCi
from runner.engine.run_observers import StopRule
from runner.errors import CompareError, Spelling
from runner.planning.plan import Plan
from runner.storage.journal import Header


@dataclass(frozen=True, slots=True)
class RelativeHalfWidth:
    """Half the width of the 95 % interval of a target's median, as a share of the median."""

    target: str
    share: float | None
    """None while there is no interval."""
    n: int


Sample = tuple[Sequence[float], Sequence[int]]
"""TTFTs in seconds, and the round of each value."""


def relative_half_widths(samples: Mapping[str, Sample]) -> tuple[RelativeHalfWidth, ...]:
    """Return the relative width of each target's interval. This takes about 0.1 s per target."""
    return tuple(RelativeHalfWidth(target, _half_width(*sample), len(sample[0])) for target, sample in samples.items())


def _half_width(values: Sequence[float], rounds: Sequence[int]) -> float | None:
    interval = median_interval(values, rounds)
    middle = median(values) if values else 0.0
    return (interval.high - interval.low) / 2 / middle if interval is not None and middle > 0 else None


class Precision(StopRule):
    """Stops when the 95 % interval of the median TTFT is narrow enough for every target, from every vantage.

    Only complete rounds count: stopping within a round would favour the targets that answered first in it.
    Conversations continue to start while the intervals are computed.
    """

    def __init__(self, share: float, plan: Plan, executor: Executor) -> None:
        self.share = share
        self._executor = executor
        self._requests_a_round, self._completed = plan.requests_a_round, CompletedRequestCount(plan.cases)
        self._has_vantages = bool(plan.vantages)
        self._recorded: Counter[int] = Counter()
        self._open: defaultdict[int, list[tuple[str, float]]] = defaultdict(list)
        self._samples: dict[str, tuple[list[float], list[int]]] = {
            _name_sample(target.name, origin.name if origin else None): ([], [])
            for target in plan.targets
            for origin in plan.origins
        }
        self._rounds = self._measured_rounds = 0
        self._measuring: Future[tuple[RelativeHalfWidth, ...]] | None = None

    def finished(self, record: Record) -> None:
        """Add a request's TTFT if it counts, and close its round after the round's last request."""
        if record.warmup:
            return
        round_number = record.identity.block
        if record.timed and record.ttft_s is not None:
            node = record.node if self._has_vantages else None
            self._open[round_number].append((_name_sample(record.identity.target, node), record.ttft_s))
        self._recorded[round_number] += self._completed.of(record)
        if self._recorded[round_number] == self._requests_a_round:
            self._close(round_number)

    def _close(self, round_number: int) -> None:
        """Add the values of a complete round to the samples."""
        del self._recorded[round_number]
        self._rounds += 1
        for target, ttft_s in self._open.pop(round_number, ()):
            values, rounds = self._samples[target]
            values.append(ttft_s)
            rounds.append(round_number)

    def __call__(self) -> str | None:
        """Return why to stop, once every interval is narrow enough."""
        if self._measuring is None and self._rounds >= MIN_UNITS and self._rounds > self._measured_rounds:
            self._measured_rounds = self._rounds
            samples = {target: (values[:], rounds[:]) for target, (values, rounds) in self._samples.items()}
            self._measuring = self._executor.submit(relative_half_widths, samples)
        if self._measuring is None or not self._measuring.done():
            return None
        found, self._measuring = self._measuring.result(), None
        return self._decide(found)

    def _decide(self, found: Sequence[RelativeHalfWidth]) -> str | None:
        shares = [each.share for each in found if each.share is not None]
        if len(shares) < len(found) or max(shares) > self.share:
            return None
        widest = max(found, key=lambda each: each.share or 0.0)
        return (
            f"every target's median TTFT is known to ±{_percent(self.share)}, "
            f"least well {widest.target}'s, to ±{_percent(max(shares))} (n {widest.n}, {self._measured_rounds} rounds)"
        )


class PassPrecision(StopRule):
    """Stops when the 95 % interval of the pass rate is narrow enough for every target, from every vantage.

    Only complete rounds count, as for `Precision`. The first round is enough for an interval, since the cases are the
    sample. The replies of each complete round are checked on the executor.
    """

    def __init__(self, share: float, plan: Plan, executor: Executor, header: Header) -> None:
        self.share = share
        self._executor = executor
        self._requests_a_round = plan.requests_a_round
        self._targets = len(plan.targets) * len(plan.origins)
        self._open: defaultdict[int, list[Record]] = defaultdict(list)
        self._tally = CheckTally(header, TargetSplit({name: name for name in header.vantages}))
        self._rounds = 0
        self._checking: Future[str | None] | None = None

    def finished(self, record: Record) -> None:
        """Add a request if it counts, and start checking its round after the round's last request."""
        if record.warmup:
            return
        of_round = self._open[record.identity.block]
        of_round.append(record)
        if len(of_round) == self._requests_a_round:
            del self._open[record.identity.block]
            self._rounds += 1
            self._checking = self._executor.submit(self._decide, of_round, self._rounds)

    def __call__(self) -> str | None:
        """Return why to stop, once every interval is narrow enough."""
        return self._checking.result() if self._checking is not None and self._checking.done() else None

    def _decide(self, records: Sequence[Record], rounds: int) -> str | None:
        """Check the replies of a complete round; return why to stop after it, None to go on."""
        for record in records:
            self._tally.add(record)
        cells = defaultdict[str, list[CheckedCell]](list)
        for cell in self._tally.cells:
            cells[str(cell.target)].append(cell)
        rates = {target: rate for target, of_target in cells.items() if (rate := measure_pass_rate(of_target))}
        halves = {target: (each.interval.high - each.interval.low) / 2 for target, each in rates.items()}
        if len(halves) < self._targets or max(halves.values()) > self.share:
            return None
        widest = max(halves, key=lambda target: halves[target])
        return (
            f"every target's pass rate is known to ±{_points(self.share)}, least well {widest}'s, to "
            f"±{_points(halves[widest])} (n {rates[widest].n} repeats of {rates[widest].cases} cases, {rounds} rounds)"
        )


def _points(share: float) -> str:
    return f"{100 * share:.2g} points"


def _name_sample(target: str, node: str | None) -> str:
    """Return the target's name, with the node's name if each node sends everything."""
    return str(MeasuredTarget(target, node))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def precision_rules(
    until_ci: UntilCi, plan: Plan, executor: Executor, header: Header | None, spell: Spelling
) -> Iterator[StopRule]:
    """Yield a rule for each figure with a required precision.

    Raises:
        CompareError: see `stop_rule`.

    """
    if until_ci.ttft is not None:
        _refuse_untimed(plan, spell)
        yield Precision(until_ci.ttft, plan, executor)
    if until_ci.passes is not None:
        assert header is not None
        if not CheckTally(header).has_checks:
            raise CompareError(
                f"{spell('until_ci', 'passes=...')} waits for the pass rate, and no case has checks. "
                "Add `checks:` to the suite."
            )
        if any(case.rubrics for case in plan.cases):
            raise CompareError(
                f"{spell('until_ci', 'passes=...')} waits for the pass rate, and a judge decides on `rubric` after the "
                f"run. Give a number of repeats instead: {spell('repeat', 'N')}."
            )
        yield PassPrecision(until_ci.passes, plan, executor, header)


def _refuse_untimed(plan: Plan, spell: Spelling) -> None:
    untimed = [target.name for target in plan.targets if not target.parameters.stream]
    if untimed:
        raise CompareError(
            f"{spell('until_ci')} waits for the TTFT of {', '.join(untimed)}, which is not measured without streaming. "
            f"Remove `stream: false`, or {spell('until_ci')}."
        )
