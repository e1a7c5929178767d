"""The columns of every table of results, in order: name, kind of value, where it is read from.

What each one means is in docs/metrics.md. Knows no pandas, so that rows can be streamed without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runner.analysis.checking import count_findings
from runner.analysis.cost import record_cost, record_currency
from runner.checks.finding import Verdict
from runner.journal import Header
from runner.record import Record

Cell = str | int | float | bool | None
Row = dict[str, Cell]


class Kind(StrEnum):
    """What a column holds; any cell of any kind may be absent."""

    TEXT = "text"
    COUNT = "count"
    NUMBER = "number"
    TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, and how its cell is read off a run's header and one record."""

    name: str
    kind: Kind
    read: Callable[[Header, Record], Cell]


def _cost(header: Header, record: Record) -> float | None:
    cost = record_cost(header, record)
    return None if cost is None else float(cost)


def _flags(header: Header, record: Record) -> str | None:
    bound_s = header.late_bound_s
    return ";".join(record.flags if bound_s is None else record.flags_within(bound_s)) or None


COLUMNS = (
    Column("run_id", Kind.TEXT, lambda header, _: header.run_id),
    Column("suite", Kind.TEXT, lambda header, _: header.suite),
    Column("case", Kind.TEXT, lambda _, record: record.identity.case),
    Column("turn", Kind.COUNT, lambda _, record: record.identity.turn),
    Column("repeat", Kind.COUNT, lambda _, record: record.identity.repeat),
    Column("block", Kind.COUNT, lambda _, record: record.identity.block),
    Column("provider", Kind.TEXT, lambda _, record: record.identity.provider),
    Column("model", Kind.TEXT, lambda _, record: record.identity.model),
    Column("response_model", Kind.TEXT, lambda _, record: record.response_model),
    Column("simulated", Kind.TRUTH, lambda _, record: record.identity.simulated),
    Column("node", Kind.TEXT, lambda _, record: record.node),
    Column("region", Kind.TEXT, lambda _, record: record.region),
    Column("outcome", Kind.TEXT, lambda _, record: record.outcome.value),
    Column("error_type", Kind.TEXT, lambda _, record: record.error_type),
    Column("http_status", Kind.COUNT, lambda _, record: record.http_status),
    Column("finish_reason", Kind.TEXT, lambda _, record: record.finish_reason),
    Column("attempts", Kind.COUNT, lambda _, record: record.attempts),
    Column("in_flight", Kind.COUNT, lambda _, record: record.in_flight),
    Column("planned_s", Kind.NUMBER, lambda _, record: record.planned_s),
    Column("queue_s", Kind.NUMBER, lambda _, record: record.queue_s),
    Column("backoff_s", Kind.NUMBER, lambda _, record: record.backoff_s),
    Column("dns_s", Kind.NUMBER, lambda _, record: record.dns_s),
    Column("tcp_s", Kind.NUMBER, lambda _, record: record.tcp_s),
    Column("tls_s", Kind.NUMBER, lambda _, record: record.tls_s),
    Column("reused", Kind.TRUTH, lambda _, record: record.reused),
    Column("headers_s", Kind.NUMBER, lambda _, record: record.headers_s),
    Column("ttfc_s", Kind.NUMBER, lambda _, record: record.ttfc_s),
    Column("ttft_s", Kind.NUMBER, lambda _, record: record.ttft_s),
    Column("ttfa_s", Kind.NUMBER, lambda _, record: record.ttfa_s),
    Column("total_s", Kind.NUMBER, lambda _, record: record.total_s),
    Column("tpot_s", Kind.NUMBER, lambda _, record: record.tpot_s),
    Column("output_tps", Kind.NUMBER, lambda _, record: record.output_tps),
    Column("output_cps", Kind.NUMBER, lambda _, record: record.output_cps),
    Column("gap_p50_s", Kind.NUMBER, lambda _, record: record.gap_s(0.5)),
    Column("gap_p99_s", Kind.NUMBER, lambda _, record: record.gap_s(0.99)),
    Column("gap_max_s", Kind.NUMBER, lambda _, record: record.gap_s(1.0)),
    Column("client_error_s", Kind.NUMBER, lambda _, record: record.client_error_s),
    Column("clock", Kind.TEXT, lambda _, record: record.clock),
    Column("flags", Kind.TEXT, _flags),
    Column("input_tokens", Kind.COUNT, lambda _, record: record.input_tokens),
    Column("output_tokens", Kind.COUNT, lambda _, record: record.output_tokens),
    Column("reasoning_tokens", Kind.COUNT, lambda _, record: record.reasoning_tokens),
    Column("cached_tokens", Kind.COUNT, lambda _, record: record.cached_tokens),
    Column("tokens_source", Kind.TEXT, lambda _, record: record.tokens_source),
    Column("chars", Kind.COUNT, lambda _, record: record.chars),
    Column("chunks", Kind.COUNT, lambda _, record: record.chunks),
    Column("cost", Kind.NUMBER, _cost),
    Column("currency", Kind.TEXT, record_currency),
    Column("checks_passed", Kind.COUNT, lambda header, record: count_findings(header, record, Verdict.PASSED)),
    Column("checks_failed", Kind.COUNT, lambda header, record: count_findings(header, record, Verdict.FAILED)),
    Column("started_at", Kind.TEXT, lambda _, record: record.started_at),
    Column("request_id", Kind.TEXT, lambda _, record: record.request_id),
    Column("prompt", Kind.TEXT, lambda _, record: record.identity.prompt),
    Column("reply", Kind.TEXT, lambda _, record: record.reply),
    Column("reasoning", Kind.TEXT, lambda _, record: record.reasoning),
    Column("error", Kind.TEXT, lambda _, record: record.error),
)


def row(header: Header, record: Record, columns: Sequence[Column] = COLUMNS) -> Row:
    """Read columns off one record."""
    return {column.name: column.read(header, record) for column in columns}
