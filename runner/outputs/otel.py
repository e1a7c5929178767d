"""A run's requests as OpenTelemetry spans in OTLP's JSON encoding, one line a request, as collectors read files.

Attributes have the names of the GenAI semantic conventions as of November 2026, where they are still in development; a
column of ours that has no such name is `compare.COLUMN`. What was asked, answered, and said of a failure goes in only
where somebody wants it. A span begins with the first attempt and ends with the last that was heard of the reply.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from runner.analysis.columns import Cell, Row, row
from runner.analysis.run import Run
from runner.core.events import TIMED
from runner.core.record import Record
from runner.outputs.export import Export, counted
from runner.outputs.text.printable import escape_surrogates

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
"""Column -> the conventions' name for what it holds."""

ELSEWHERE = frozenset({"provider", "finish_reason", "started_at", "prompt", "reply", "reasoning", "error"})
"""Columns that become something else than an attribute of their own, or nothing."""

PROVIDERS = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "gemini": "gcp.gemini",
        "mistral": "mistral_ai",
        "moonshot": "moonshot_ai",
        "xai": "x_ai",
    }
)
"""Our id -> the conventions' own, where theirs differs; providers they do not know keep ours."""

CLIENT, ERROR = 3, 2
"""OTLP's numbers of a span's kind and of its status."""


def write(run: Run, *, with_content: bool = False) -> Export:
    """Write a line a request; those that were never sent have no time, and no line."""
    lines, unsent = [], 0
    for record in run.records:
        if record.started_at is None or _origin_ns(record) is None:
            unsent += 1
        else:
            lines.append(json.dumps(_message(run, record, with_content=with_content), ensure_ascii=False) + "\n")
    left = f"left out: {counted(unsent, 'request that was', 'requests that were')} never sent"
    return Export(escape_surrogates("".join(lines)), (left,) if unsent else ())


def _message(run: Run, record: Record, *, with_content: bool) -> dict[str, Any]:
    version = run.header.versions.get("compare")
    resource = {"service.name": "compare", "service.version": version, "service.instance.id": run.header.run_id}
    scope = {"name": "compare"} | ({} if version is None else {"version": version})
    spans = [_span(run, record, with_content=with_content)]
    resource_spans = {
        "resource": {"attributes": _attributes(resource)},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }
    return {"resourceSpans": [resource_spans]}


def _span(run: Run, record: Record, *, with_content: bool) -> dict[str, Any]:
    start_ns, end_ns = _span_ns(record)
    digest = sha256(f"{run.header.run_id}/{record.identity.key}".encode()).hexdigest()
    attributes = {**_described(record), **_measured(row(run.header, record))}
    if with_content:
        attributes |= _content(record)
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
    """Return when the first attempt began, by the wall clock, and when the last was heard, by the run's own."""
    assert record.started_at is not None
    started = datetime.fromisoformat(record.started_at)
    start_ns = (
        round(started.timestamp() * 1000) * 1_000_000
    )  # the stamp has milliseconds; a float has not all its digits
    origin_ns = _origin_ns(record)
    assert origin_ns is not None
    last_ns = max(mark for mark in (*_heard_marks(record), origin_ns) if mark is not None)
    return start_ns, start_ns + last_ns - origin_ns


def _origin_ns(record: Record) -> int | None:
    return record.timestamps.sent if record.timestamps.slot is None else record.timestamps.slot


def _heard_marks(record: Record) -> Iterator[int | None]:
    marks = record.timestamps
    yield from (marks.dns_end, marks.tcp_end, marks.tls_end, marks.sent, marks.headers, marks.last_event)


def _described(record: Record) -> dict[str, Any]:
    """Return what the conventions ask for and no column holds as such."""
    provider, reason = record.identity.provider, _finish_reason(record)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(provider, provider),
        "gen_ai.request.stream": True if record.ttfc_s is not None else None,
        "gen_ai.response.finish_reasons": [reason] if reason else None,
        "error.type": None if record.outcome in TIMED else record.outcome.value,
    }


def _finish_reason(record: Record) -> str | None:
    """Return why a reply finished: `error`, as the conventions want it, where it began and broke off."""
    broken_off = record.text_events.at_us and record.outcome not in TIMED
    return record.finish_reason or ("error" if broken_off else None)


def _measured(cells: Row) -> dict[str, Cell]:
    return {NAMES.get(name, f"compare.{name}"): cell for name, cell in cells.items() if name not in ELSEWHERE}


def _content(record: Record) -> dict[str, str]:
    """Return what was asked and answered, in the form of the conventions' JSON Schemas, as JSON."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": record.identity.prompt}]}]
    said = (("reasoning", record.reasoning), ("text", record.reply))
    parts = [{"type": kind, "content": text} for kind, text in said if text]
    answer = {"role": "assistant", "parts": parts, "finish_reason": _finish_reason(record) or "unknown"}
    messages = {"gen_ai.input.messages": asked} | ({"gen_ai.output.messages": [answer]} if parts else {})
    return {name: json.dumps(value, ensure_ascii=False) for name, value in messages.items()}


def _status(record: Record, *, with_content: bool) -> dict[str, Any]:
    if record.outcome in TIMED:
        return {}
    said = {"message": record.error} if with_content and record.error else {}
    return {"code": ERROR, **said}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}  # a string, as protobuf's JSON writes 64 bits
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": value}
