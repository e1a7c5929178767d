"""The summary of a run that is stored beside its journal, from which lists of runs and histories are made.

It is computed in one pass over a run's records, without a table, which would take ten times as long; thousands of runs
are summarized when they are first listed. The medians are those of `summary.py`, and the levels those that
`comparison_arms.py` compares.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import compress
from math import fsum, isnan, nan
from os import stat_result
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.analysis.check_results import CheckedCell, CheckTally
from runner.analysis.cost import record_cost
from runner.analysis.damaged_journal_header import without_damage
from runner.analysis.diff_measures import TIMED_MEASURES, take_logs
from runner.analysis.intervals import median
from runner.analysis.judge import judged_pairs
from runner.analysis.judge_costs import JudgeCost, rubric_costs
from runner.analysis.measured_targets import MeasuredTarget, TargetSplit
from runner.analysis.pass_rate import measure_pass_rate
from runner.analysis.timestamp_errors import ClockError
from runner.core.answered_by import ANSWERED_BY_COLUMNS
from runner.core.record import Record
from runner.storage.journal import Header, Journal
from runner.storage.stored_summary import StoredFigure, StoredJudge, StoredSummary, StoredTarget

if TYPE_CHECKING:
    from runner.analysis.run_results import Run

MEDIANS = ("ttft_s", "ttfa_s", "tool_call_s", "total_s", "output_tps")
"""Columns whose medians are in a summary."""

LEVELS = tuple(measure.name for measure in TIMED_MEASURES)
"""Columns whose levels are in a summary."""

Floats = NDArray[np.float64]


def summarize_journal(journal: Journal, found: stat_result, version: str) -> StoredSummary:
    """Return the summary of a run's journal.

    Args:
        journal: the journal.
        found: size and modification time of its file before it was read.
        version: version of this tool.

    Raises:
        JournalError: the journal cannot be read.

    """
    header, _ = without_damage(journal.header)
    tally, end = _RunTally(header, journal), journal.end
    return tally.summarize(
        version,
        found,
        ended=end is not None and not journal.count_missing(end, tally.n),
        stop_reason=str(end["reason"]) if end and "reason" in end else None,
        judges=(*rubric_costs(journal), *(judged.cost for judged in judged_pairs(journal))),
    )


def summarize_run(run: "Run", version: str) -> StoredSummary:
    """Return the summary of a run in memory. It cannot be stored, since it does not identify a journal."""
    return _RunTally(run.header, run).summarize(
        version,
        ended=run.ended,
        stop_reason=run.stop_reason,
        judges=(*run.judge_costs, *(judged.cost for judged in run.judged)),
    )


class _RunTally:
    """Counts the statistics of a run over its records."""

    def __init__(self, header: Header, source: "Journal | Run") -> None:
        self._header, self._split = header, TargetSplit.by_place(header.vantages)
        self._checks, self._simulated = CheckTally(header, self._split), header.simulated
        self._targets: defaultdict[MeasuredTarget, _TargetTally] = defaultdict(_TargetTally)
        left_out = _find_left_out(header, source)
        for position, record in enumerate(source.records):
            self._targets[self._split.target_of(record)].add(header, record, is_steady=position not in left_out)
            self._simulated |= record.identity.simulated
            self._checks.add(record)

    @property
    def n(self) -> int:
        """The number of requests to all targets, without warm-ups."""
        return sum(target.n for target in self._targets.values())

    def summarize(
        self,
        version: str,
        journal: stat_result | None = None,
        *,
        ended: bool,
        stop_reason: str | None,
        judges: Iterable[JudgeCost],
    ) -> StoredSummary:
        header, cells = self._header, self._checks.cells
        calibration = ClockError.from_plain(header.calibration or {})
        return StoredSummary(
            version=version,
            journal_size=journal.st_size if journal else 0,
            journal_mtime_ns=journal.st_mtime_ns if journal else 0,
            run_id=header.run_id,
            started_at=header.started_at,
            suite=header.suite,
            digest=header.digest,
            case_patterns=tuple(header.case_patterns),
            simulated=self._simulated,
            ended=ended,
            stop_reason=stop_reason,
            planned_requests=header.planned_requests,
            replay_of=header.replay_of,
            platform=header.platform,
            clock=header.clock,
            clock_error_s=calibration.ttft_p99_s if calibration else None,
            client_versions=header.versions,
            order=header.order,
            concurrency=header.concurrency,
            load=header.load,
            targets=tuple(
                self._targets[target].summarize(
                    target, header.variants.get(target.name, {}), [cell for cell in cells if cell.target == target]
                )
                for target in self._list_targets()
            ),
            judges=tuple(map(_summarize_judge, judges)),
        )

    def _list_targets(self) -> list[MeasuredTarget]:
        """Return the targets of the header in their order, then the others by name."""
        known = self._split.list_targets(self._header.targets)
        return [*known, *sorted(self._targets.keys() - {*known}, key=str)]


def _find_left_out(header: Header, source: "Journal | Run") -> frozenset[int]:
    """Return the positions of the records outside a closed loop's steady state; see `steady_state.py`."""
    if not header.load:  # true for nearly all runs, which then need no table
        return frozenset()
    from runner.analysis.dataframe import FIGURE_COLUMNS, frame_of_records, steady_rows  # noqa: PLC0415 -- brings pandas
    from runner.analysis.steady_state import has_steady_state, mark_left_out, read_level_entries  # noqa: PLC0415

    if not has_steady_state(header):
        return frozenset()
    entries = read_level_entries(source.lines("level")) if isinstance(source, Journal) else source.entries
    table = mark_left_out(header, frame_of_records(header, source.records, FIGURE_COLUMNS), entries)
    return frozenset(table.index.difference(steady_rows(table).index).tolist())


def _summarize_judge(cost: JudgeCost) -> StoredJudge:
    spent = {money.currency: str(money.amount) for money in cost.spent}
    return StoredJudge(cost.target, spent, cost_n=cost.priced, sent=cost.requests)


@dataclass(slots=True)
class _TargetTally:
    """Counts the requests of one target. Arrays have an element for each timed request, NaN if a value is absent."""

    n: int = 0
    failed: int = 0
    sent: int = 0
    questions: dict[tuple[str, int], int] = field(default_factory=dict)
    """Number of each question, in the order of appearance."""
    costs: dict[str, list[float]] = field(default_factory=dict)
    """Known costs of requests that were sent, including warm-ups, by currency."""
    answered_by: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ANSWERED_BY_COLUMNS}
    )
    question: "array[int]" = field(default_factory=lambda: array("q"))
    block: "array[int]" = field(default_factory=lambda: array("q"))
    is_steady: "array[int]" = field(default_factory=lambda: array("b"))
    figures: dict[str, "array[float]"] = field(
        default_factory=lambda: {name: array("d") for name in dict.fromkeys([*MEDIANS, *LEVELS])}
    )

    def add(self, header: Header, record: Record, *, is_steady: bool) -> None:
        """Add a request."""
        cost = record_cost(header, record)
        amount = None if cost is None else float(cost.amount)
        self.sent += record.attempts > 0
        if cost is not None and record.attempts > 0:
            self.costs.setdefault(cost.currency, []).append(float(cost.amount))
        self.n += not record.warmup
        self.failed += record.failed
        if record.timed and not header.is_repeated(record.identity.turn):
            self._add_timed(record, amount, is_steady=is_steady)

    def _add_timed(self, record: Record, cost: float | None, *, is_steady: bool) -> None:
        question = record.identity.case, record.identity.turn
        self.question.append(self.questions.setdefault(question, len(self.questions)))
        self.block.append(record.identity.block)
        self.is_steady.append(is_steady)
        for name, values in self.figures.items():
            value = cost if name == "cost" else getattr(record, name)
            values.append(nan if value is None else value)
        for name, counts in self.answered_by.items():
            if (value := getattr(record, name)) is not None:
                counts[str(value)] += 1

    def summarize(self, target: MeasuredTarget, settings: Mapping[str, Any], cells: list[CheckedCell]) -> StoredTarget:
        """Return the summary of the target, given the settings of its variant and its checked cases."""
        rate = measure_pass_rate(cells)
        return StoredTarget(
            target=str(target),
            settings=settings,
            n=self.n,
            failed=self.failed,
            questions=len(np.unique(np.array(self.question)[self._compared])),
            passed=rate.passed if rate else 0,
            checked=rate.n if rate else 0,
            checked_cases=rate.cases if rate else 0,
            undecided=sum(cell.undecided for cell in cells),
            pass_rate=StoredFigure(rate.share, rate.n, rate.interval.low, rate.interval.high) if rate else None,
            costs={currency: str(Decimal(repr(fsum(costs)))) for currency, costs in self.costs.items()},
            cost_n=sum(map(len, self.costs.values())),
            sent=self.sent,
            medians=dict(self._medians()),
            levels=self._levels(),
            answered_by={name: dict(counts.most_common()) for name, counts in self.answered_by.items()},
        )

    def _medians(self) -> Iterator[tuple[str, StoredFigure]]:
        """Yield each column with its median over the steady state, except columns without values."""
        for name in MEDIANS:
            values = self.figures[name]
            known = [each and not isnan(value) for each, value in zip(self.is_steady, values, strict=True)]
            found, rounds = list(compress(values, known)), list(compress(self.block, known))
            if (figure := median(found, rounds)) is not None:
                ends = (figure.interval.low, figure.interval.high) if figure.interval else ()
                yield name, StoredFigure(figure.value, figure.n, *ends)

    @property
    def _compared(self) -> NDArray[np.bool_]:
        """The mask of the timed requests that enter levels: those of the steady state, or all if there are none."""
        is_steady = np.array(self.is_steady, dtype=np.bool_)
        return is_steady if is_steady.any() else ~is_steady

    def _levels(self) -> dict[str, float]:
        """Return the geometric mean of each column over the questions, with equal weights.

        The value of a question is the geometric mean over its rounds, with equal weights.
        """
        if not self.question:
            return {}
        kept = self._compared
        question, block = np.array(self.question)[kept], np.array(self.block)[kept]
        pairs, of_row = np.unique(np.column_stack([question, block]), axis=0, return_inverse=True)
        logs = {name: take_logs(np.array(self.figures[name])[kept], name) for name in LEVELS}
        rounds = {name: _group_means(values, of_row.ravel(), len(pairs)) for name, values in logs.items()}
        means = {name: _group_means(values, pairs[:, 0], len(self.questions)) for name, values in rounds.items()}
        known = {name: values[~np.isnan(values)] for name, values in means.items()}
        return {name: float(np.exp(values.mean())) for name, values in known.items() if len(values)}


def _group_means(values: Floats, groups: NDArray[np.intp], count: int) -> Floats:
    """Return the mean of each group's known values, NaN without any; shape (count,)."""
    known = ~np.isnan(values)
    sizes = np.bincount(groups[known], minlength=count)
    sums = np.bincount(groups[known], weights=values[known], minlength=count)
    means: Floats = np.divide(sums, sizes, out=np.full(count, np.nan), where=sizes > 0)
    return means
