"""The columns of result tables, in order: name, kind of value, and a function that reads a cell from a record.

docs/metrics.md defines each column. This module does not import pandas, so that rows can be streamed without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runner.analysis.check_results import count_findings
from runner.analysis.cost import record_cost
from runner.checks.check_finding import CheckVerdict
from runner.core.record import Record
from runner.core.target_name import TargetName
from runner.core.tool_call import write_calls
from runner.storage.journal import Header

Cell = str | int | float | bool | None
Row = dict[str, Cell]


class Kind(StrEnum):
    """Type of a column's cells; any cell may be absent."""

    TEXT = "text"
    COUNT = "count"
    NUMBER = "number"
    TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column; `read` returns its cell, given a run's header and a record."""

    name: str
    kind: Kind
    read: Callable[[Header, Record], Cell]


def _cost(header: Header, record: Record) -> float | None:
    cost = record_cost(header, record)
    return None if cost is None else float(cost.amount)


def _currency(header: Header, record: Record) -> str | None:
    cost = record_cost(header, record)
    return None if cost is None else cost.currency


def _flags(header: Header, record: Record) -> str | None:
    bound_s = header.late_bound_s
    return ";".join(record.flags if bound_s is None else record.flags_within(bound_s)) or None


COLUMNS = (
    ResultColumn("run_id", Kind.TEXT, lambda header, _: header.run_id),
    ResultColumn("suite", Kind.TEXT, lambda header, _: header.suite),
    ResultColumn("case", Kind.TEXT, lambda _, record: record.identity.case),
    ResultColumn("turn", Kind.COUNT, lambda _, record: record.identity.turn),
    ResultColumn("repeat", Kind.COUNT, lambda _, record: record.identity.repeat),
    ResultColumn("block", Kind.COUNT, lambda _, record: record.identity.block),
    ResultColumn("provider", Kind.TEXT, lambda _, record: record.identity.provider),
    ResultColumn("model", Kind.TEXT, lambda _, record: record.identity.model),
    ResultColumn("variant", Kind.TEXT, lambda _, record: record.identity.variant),
    ResultColumn("response_model", Kind.TEXT, lambda _, record: record.response_model),
    ResultColumn("served_by", Kind.TEXT, lambda _, record: record.served_by),
    ResultColumn("system_fingerprint", Kind.TEXT, lambda _, record: record.system_fingerprint),
    ResultColumn("service_tier", Kind.TEXT, lambda _, record: record.service_tier),
    ResultColumn("simulated", Kind.TRUTH, lambda _, record: record.identity.simulated),
    ResultColumn("node", Kind.TEXT, lambda _, record: record.node),
    ResultColumn("region", Kind.TEXT, lambda _, record: record.region),
    ResultColumn("outcome", Kind.TEXT, lambda _, record: record.outcome.value),
    ResultColumn("error_type", Kind.TEXT, lambda _, record: record.error_type),
    ResultColumn("http_status", Kind.COUNT, lambda _, record: record.http_status),
    ResultColumn("finish_reason", Kind.TEXT, lambda _, record: record.finish_reason),
    ResultColumn("attempts", Kind.COUNT, lambda _, record: record.attempts),
    ResultColumn("in_flight", Kind.COUNT, lambda _, record: record.in_flight),
    ResultColumn("planned_s", Kind.NUMBER, lambda _, record: record.planned_s),
    ResultColumn("queue_s", Kind.NUMBER, lambda _, record: record.queue_s),
    ResultColumn("backoff_s", Kind.NUMBER, lambda _, record: record.backoff_s),
    ResultColumn("dns_s", Kind.NUMBER, lambda _, record: record.dns_s),
    ResultColumn("tcp_s", Kind.NUMBER, lambda _, record: record.tcp_s),
    ResultColumn("tls_s", Kind.NUMBER, lambda _, record: record.tls_s),
    ResultColumn("reused", Kind.TRUTH, lambda _, record: record.reused),
    ResultColumn("upload_s", Kind.NUMBER, lambda _, record: record.upload_s),
    ResultColumn("headers_s", Kind.NUMBER, lambda _, record: record.headers_s),
    ResultColumn("ttfc_s", Kind.NUMBER, lambda _, record: record.ttfc_s),
    ResultColumn("ttft_s", Kind.NUMBER, lambda _, record: record.ttft_s),
    ResultColumn("ttfa_s", Kind.NUMBER, lambda _, record: record.ttfa_s),
    ResultColumn("tool_call_s", Kind.NUMBER, lambda _, record: record.tool_call_s),
    ResultColumn("total_s", Kind.NUMBER, lambda _, record: record.total_s),
    ResultColumn("tpot_s", Kind.NUMBER, lambda _, record: record.tpot_s),
    ResultColumn("output_tps", Kind.NUMBER, lambda _, record: record.output_tps),
    ResultColumn("output_cps", Kind.NUMBER, lambda _, record: record.output_cps),
    ResultColumn("gap_p50_s", Kind.NUMBER, lambda _, record: record.inter_chunk_latency_s(0.5)),
    ResultColumn("gap_p99_s", Kind.NUMBER, lambda _, record: record.inter_chunk_latency_s(0.99)),
    ResultColumn("gap_max_s", Kind.NUMBER, lambda _, record: record.inter_chunk_latency_s(1.0)),
    ResultColumn("client_error_s", Kind.NUMBER, lambda _, record: record.client_error_s),
    ResultColumn("clock", Kind.TEXT, lambda _, record: record.clock),
    ResultColumn("flags", Kind.TEXT, _flags),
    ResultColumn("input_tokens", Kind.COUNT, lambda _, record: record.input_tokens),
    ResultColumn("output_tokens", Kind.COUNT, lambda _, record: record.output_tokens),
    ResultColumn("reasoning_tokens", Kind.COUNT, lambda _, record: record.reasoning_tokens),
    ResultColumn("cached_tokens", Kind.COUNT, lambda _, record: record.cached_tokens),
    ResultColumn("tokens_source", Kind.TEXT, lambda _, record: record.tokens_source),
    ResultColumn("chars", Kind.COUNT, lambda _, record: record.chars),
    ResultColumn("chunks", Kind.COUNT, lambda _, record: record.chunks),
    ResultColumn("cost", Kind.NUMBER, _cost),
    ResultColumn("currency", Kind.TEXT, _currency),
    ResultColumn(
        "checks_passed", Kind.COUNT, lambda header, record: count_findings(header, record, CheckVerdict.PASSED)
    ),
    ResultColumn(
        "checks_failed", Kind.COUNT, lambda header, record: count_findings(header, record, CheckVerdict.FAILED)
    ),
    ResultColumn("started_at", Kind.TEXT, lambda _, record: record.started_at),
    ResultColumn("request_id", Kind.TEXT, lambda _, record: record.request_id),
    ResultColumn("prompt", Kind.TEXT, lambda _, record: record.identity.prompt),
    ResultColumn("reply", Kind.TEXT, lambda _, record: record.reply),
    ResultColumn("tool_calls", Kind.TEXT, lambda _, record: write_calls(record.calls)),
    ResultColumn("reasoning", Kind.TEXT, lambda _, record: record.reasoning),
    ResultColumn("error", Kind.TEXT, lambda _, record: record.error),
)


ADDED_COLUMNS = frozenset(
    {"variant", "served_by", "system_fingerprint", "service_tier", "upload_s", "tool_call_s", "tool_calls"}
)
"""Columns that files of earlier versions lack; their cells are absent."""


def _sent_s(_: Header, record: Record) -> float | None:
    sent_ns = record.timestamps.sent
    return None if sent_ns is None else sent_ns / 1e9


SENT = ResultColumn("sent_s", Kind.NUMBER, _sent_s)
"""Time at which a request was sent, in seconds since the start of the run. It is not a result column."""


def target_of_row(cells: Row) -> TargetName:
    """Return the target of a row."""
    variant = cells.get("variant")
    return TargetName(str(cells["provider"]), str(cells["model"]), None if variant is None else str(variant))


def row(header: Header, record: Record, columns: Sequence[ResultColumn] = COLUMNS) -> Row:
    """Return the cells of one record by column name.

    Raises:
        JournalError: the price in the header is damaged.

    """
    return {column.name: column.read(header, record) for column in columns}


def whole_row(header: Header, record: Record, known: Row) -> Row:
    """Return the cells of one record in all result columns; only those that are not in `known` are read from it."""
    return {
        column.name: known[column.name] if column.name in known else column.read(header, record) for column in COLUMNS
    }
