"""Conversion between records and a journal's lines, and between lines and bytes. Performs no I/O."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import accumulate, pairwise
from math import isfinite
from operator import itemgetter
from typing import Any

import msgspec

from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.core.tool_call import ToolCall
from runner.storage.journal.line_fields import (
    CALLS,
    IDENTITY,
    LINE_TYPES,
    NESTED,
    RECORD,
    TIMESTAMPS,
    VARIANT,
    describe_fault,
    refuse_unsound,
)

PROVIDERS_NAMES = frozenset({"usage", "rate_limits"})
"""Members whose own members have names chosen by a provider."""

_DEFAULTS = tuple(spec.default for spec in fields(Record) if spec.name not in NESTED)

_identity_in = itemgetter(*IDENTITY.names)

_NUMBERS = frozenset({"marks", "heard", "origin_us"})
"""Long members of a record's line that contain no text from outside, so no key can be in them."""

MAX_USAGE_DEPTH = 32
"""Levels of nesting of a provider's usage that are stored."""

_KIND = re.compile(rb'\{\s*"kind"\s*:\s*"(\w+)"')


def encode_record(record: Record) -> dict[str, object]:
    """Return a record's line, without the members that are absent or at their default."""
    # Not asdict, which copies deeply and takes as long as all the rest.
    line: dict[str, object] = {"kind": "record", **IDENTITY.encode(record.identity)}
    if record.identity.variant is not None:
        line[VARIANT] = record.identity.variant
    timestamps = zip(TIMESTAMPS.names, TIMESTAMPS.values_of(record.timestamps), strict=True)
    line["marks"] = {name: at for name, at in timestamps if at is not None}
    line["outcome"] = record.outcome.value
    text = record.text_events
    if text.at_us:
        line["heard"] = {"us": _differences(text.at_us), "ch": text.channels, "len": list(text.lengths)}
    if text.origin_us:
        line["origin_us"] = _differences(text.origin_us)
    for name, calls in zip(CALLS, (record.calls, record.earlier_calls), strict=True):
        if calls:
            line[name] = [_encode_call(call) for call in calls]
    for name, default, value in zip(RECORD.names, _DEFAULTS, RECORD.values_of(record), strict=True):
        if value != default:
            line[name] = _storable(value) if name == "usage" else value
    return line


def _encode_call(call: ToolCall) -> dict[str, str]:
    members = {"name": call.name, "arguments": call.arguments}
    return members if call.id is None else {**members, "id": call.id}


def _differences(times: Sequence[int]) -> list[int]:
    """Return the first time, then each as the difference to the one before."""
    return [b - a for a, b in pairwise((0, *times))]


def decode_record(line: Mapping[str, Any]) -> Record:
    """Return the record in a line; names that this version does not know are ignored.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the line is not a record.

    """
    values = RECORD.decode(line)
    if "noted" in values:
        values["noted"] = tuple(values["noted"])
    for name in (name for name in CALLS if name in line):
        values[name] = tuple(ToolCall(call["name"], call["arguments"], call.get("id")) for call in line[name])
    return Record(
        _decode_identity(line),
        Timestamps(*map(line["marks"].get, TIMESTAMPS.names)),
        Outcome(line["outcome"]),
        _decode_text_events(line),
        **values,
    )


def _decode_identity(line: Mapping[str, Any]) -> Identity:
    identity = Identity(*_identity_in(line))
    return replace(identity, variant=line[VARIANT]) if VARIANT in line else identity


def _decode_text_events(line: Mapping[str, Any]) -> TextEvents:
    columns = line.get("heard")
    if columns is None:
        return TextEvents()
    return TextEvents(
        at_us=tuple(accumulate(columns["us"])),
        channels=columns["ch"],
        lengths=tuple(columns["len"]),
        origin_us=tuple(accumulate(line.get("origin_us", ()))),
    )


def _storable(value: object, depth: int = MAX_USAGE_DEPTH) -> object:
    """Return a value with text in place of what some JSON readers refuse: 1e400, large integers, deep nesting."""
    if isinstance(value, dict | list) and not depth:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {name: _storable(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth - 1) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    return value


def to_bytes(line: Mapping[str, object], redact: Callable[[str], str]) -> bytes:
    """Return a line as JSON in UTF-8 with its newline, its texts passed through `redact`."""
    hidden = {
        name: item if name in _NUMBERS else _redact_texts(item, redact, names=name in PROVIDERS_NAMES)
        for name, item in line.items()
    }
    try:
        return msgspec.json.encode(hidden) + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate, half an emoji cut by a provider, has no UTF-8: keep its escape instead.
        return json.dumps(hidden, separators=(",", ":")).encode() + b"\n"


def _redact_texts(value: object, redact: Callable[[str], str], *, names: bool) -> object:
    """Return a value with its texts redacted; with `names`, also the names of its members. Numbers stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        hidden: dict[str, object] = {}
        for name, item in value.items():
            shown = redact(name) if names else name
            while shown in hidden:  # two keys under one mark
                shown += "'"
            hidden[shown] = _redact_texts(item, redact, names=names)
        return hidden
    if isinstance(value, list | tuple):
        return [_redact_texts(item, redact, names=names) for item in value]
    return value


def from_bytes(raw: bytes, *, whole: bool = True) -> dict[str, Any]:
    """Parse a line; of a record, only the members that this version knows unless the line is wanted `whole`.

    Raises:
        ValueError: the bytes are not a JSON object with a kind, or do not fit the type of their kind.

    """
    try:
        line = _decode_known(raw) if not whole and kind_of(raw) == "record" else _decode_whole(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ValueError(describe_fault(error)) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: its byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}, at its character {error.pos + 1}") from None
    refuse_unsound(line)
    return line


def _decode_known(raw: bytes) -> dict[str, Any]:
    """Return a record's line, checked against its type while it is parsed, without members that the type lacks."""
    try:
        line: dict[str, Any] = _RECORD_LINE.decode(raw)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        line = msgspec.convert(_parse_slowly(raw), LINE_TYPES["record"])
    return line


def _decode_whole(raw: bytes) -> dict[str, Any]:
    line = _parse(raw)
    if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
        raise ValueError("no kind")  # noqa: TRY004 -- a value from a file, not a caller's mistake
    if line["kind"] in LINE_TYPES:
        msgspec.convert(line, LINE_TYPES[line["kind"]])
    return line


def _parse(raw: bytes) -> object:
    if kind_of(raw) != "record":
        return _parse_slowly(raw)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # msgspec refuses lone surrogates and other things that the standard library accepts as JSON.
        return _parse_slowly(raw)


def _parse_slowly(raw: bytes) -> object:
    """Parse JSON, allowing lone surrogates and integers of any size; NaN and infinite numbers are refused."""
    return json.loads(raw.decode(), parse_constant=_parse_finite, parse_float=_parse_finite)


def _parse_finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:20]} is not a JSON number")
    return number


_RECORD_LINE = msgspec.json.Decoder(LINE_TYPES["record"])


def kind_of(raw: bytes) -> str | None:
    """Return a line's kind without parsing the rest of it; None if that is not possible."""
    found = _KIND.match(raw)
    return found[1].decode() if found else None
