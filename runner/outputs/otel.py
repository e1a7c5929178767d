"""OpenTelemetry spans of a run's requests in OTLP's JSON encoding, one line for each request.

Collectors read files in this form. Attributes have the names of the GenAI semantic conventions as of November 2026,
which are still in development; a column without such a name becomes `compare.COLUMN`. Prompts, replies and error
messages are left out by default. A span starts with the first attempt and ends with the last event of the reply.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from runner.analysis.check_results import steps_in
from runner.analysis.result_columns import Cell, Row
from runner.analysis.run_results import Run
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.surrogates import escape_surrogates
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import divide_results
from runner.errors import counted
from runner.outputs import Export

NAMES = MappingProxyType(
    {
        "model": "gen_ai.request.model",
        "response_model": "gen_ai.response.model",
        "ttfc_s": "gen_ai.response.time_to_first_chunk",
        "input_tokens": "gen_ai.usage.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
        "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
        "http_status": "http.response.status_code",
    }
)
"""Column -> its attribute in the conventions."""

ELSEWHERE = frozenset(
    {"provider", "finish_reason", "started_at", "prompt", "reply", "tool_calls", "reasoning", "error"}
)
"""Columns without an attribute of their own: they are left out, or stored in another part of the span."""

PROVIDERS = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "gemini": "gcp.gemini",
        "mistral": "mistral_ai",
        "moonshot": "moonshot_ai",
        "xai": "x_ai",
    }
)
"""Provider id -> its name in the conventions, where the two differ. Providers not in the conventions keep their id."""

CLIENT, ERROR = 3, 2
"""OTLP's numbers for the kind of span and for the status."""


def write(run: Run, *, with_content: bool = False) -> Export:
    """Return a line for each request. Requests that were never sent have no times; a note counts them as left out."""
    lines, unsent = [], 0
    for record, row in run.records_with_rows:
        if record.started_at is None or _origin_ns(record) is None:
            unsent += 1
        else:
            lines.append(json.dumps(_message(run, record, row, with_content=with_content), ensure_ascii=False) + "\n")
    note = f"left out: {counted(unsent, 'request that was', 'requests that were')} never sent"
    return Export(escape_surrogates("".join(lines)), (note,) if unsent else ())


def _message(run: Run, record: Record, row: Row, *, with_content: bool) -> dict[str, Any]:
    version = run.header.versions.get("compare")
    resource = {"service.name": "compare", "service.version": version, "service.instance.id": run.header.run_id}
    scope = {"name": "compare"} | ({} if version is None else {"version": version})
    spans = [_span(run, record, row, with_content=with_content)]
    resource_spans = {
        "resource": {"attributes": _attributes(resource)},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }
    return {"resourceSpans": [resource_spans]}


def _span(run: Run, record: Record, row: Row, *, with_content: bool) -> dict[str, Any]:
    start_ns, end_ns = _span_ns(record)
    digest = sha256(f"{run.header.run_id}/{record.identity.key}".encode()).hexdigest()
    attributes = {**_convention_attributes(record), **_column_attributes(row)}
    if with_content:
        _, step = steps_in(run.header.checks, record.identity.case).turn_and_step(record.identity.turn)
        attributes |= _content_attributes(record, step)
    return {
        "traceId": digest[:32],
        "spanId": digest[32:48],
        "name": f"chat {record.identity.model}",
        "kind": CLIENT,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(end_ns),
        "attributes": _attributes(attributes),
        "status": _status(record, with_content=with_content),
    }


def _span_ns(record: Record) -> tuple[int, int]:
    """Return a span's start and end in nanoseconds since the epoch.

    The start is the wall-clock time of the first attempt; the duration is measured with the run's monotonic clock.
    """
    assert record.started_at is not None
    started = datetime.fromisoformat(record.started_at)
    # `started_at` is in milliseconds. A float of seconds since 1970 is not precise to nanoseconds.
    start_ns = round(started.timestamp() * 1000) * 1_000_000
    origin_ns = _origin_ns(record)
    assert origin_ns is not None
    last_ns = max(at_ns for at_ns in (*_later_timestamps(record), origin_ns) if at_ns is not None)
    return start_ns, start_ns + last_ns - origin_ns


def _origin_ns(record: Record) -> int | None:
    return record.timestamps.sent if record.timestamps.slot is None else record.timestamps.slot


def _later_timestamps(record: Record) -> Iterator[int | None]:
    at = record.timestamps
    yield from (at.dns_end, at.tcp_end, at.tls_end, at.sent, at.headers, at.last_event)


def _convention_attributes(record: Record) -> dict[str, Any]:
    """Return the attributes of the conventions that are in no column."""
    provider, reason = record.identity.provider, _finish_reason(record)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(provider, provider),
        "gen_ai.request.stream": True if record.ttfc_s is not None else None,
        "gen_ai.response.finish_reasons": [reason] if reason else None,
        "error.type": None if record.outcome in TIMED else record.outcome.value,
    }


def _finish_reason(record: Record) -> str | None:
    """Return a reply's finish reason, or `error`, as the conventions require, if the reply broke off."""
    broken_off = record.text_events.at_us and record.outcome not in TIMED
    return record.finish_reason or ("error" if broken_off else None)


def _column_attributes(cells: Row) -> dict[str, Cell]:
    return {NAMES.get(name, f"compare.{name}"): cell for name, cell in cells.items() if name not in ELSEWHERE}


def _content_attributes(record: Record, step: int) -> dict[str, str]:
    """Return the prompt and the reply as JSON that follows the conventions' JSON Schemas."""
    asked = {"role": "user", "parts": [{"type": "text", "content": record.identity.prompt}]}
    prompt = [_tool_results_message(record) if step > 1 else asked]
    texts = (("reasoning", record.reasoning), ("text", record.reply))
    parts: list[dict[str, Any]] = [{"type": kind, "content": text} for kind, text in texts if text]
    parts += [{"type": "tool_call", **_id_of(call), **call.plain} for call in record.calls]
    answer = {"role": "assistant", "parts": parts, "finish_reason": _finish_reason(record) or "unknown"}
    messages = {"gen_ai.input.messages": prompt} | ({"gen_ai.output.messages": [answer]} if parts else {})
    return {name: json.dumps(value, ensure_ascii=False) for name, value in messages.items()}


def _tool_results_message(record: Record) -> dict[str, Any]:
    """Return the message of a turn's later step: the results of the tools called by the reply before it."""
    prompt = record.identity.prompt
    parts = [
        {"type": "tool_call_response", **_id_of(call), "response": result}
        for call, result in divide_results(prompt, record.earlier_calls)
    ]
    return {"role": "tool", "parts": parts or [{"type": "tool_call_response", "response": prompt}]}


def _id_of(call: ToolCall) -> dict[str, str]:
    return {} if call.id is None else {"id": call.id}


def _status(record: Record, *, with_content: bool) -> dict[str, Any]:
    if record.outcome in TIMED:
        return {}
    message = {"message": record.error} if with_content and record.error else {}
    return {"code": ERROR, **message}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}  # protobuf's JSON writes 64-bit integers as strings
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": value}
