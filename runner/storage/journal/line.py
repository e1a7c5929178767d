"""Records <-> lines, lines <-> bytes. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import accumulate, pairwise
from math import isfinite
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from runner.core.events import Outcome
from runner.core.record import Identity, Record, TextEvents, Timestamps

_NESTED = frozenset({"identity", "timestamps", "text_events", "outcome"})
_STORED = {"custom_checks": "own_checks"}
"""A record's field -> the name of its member in the journal, where they differ."""

_PLAIN = {
    _STORED.get(spec.name, spec.name): (spec.name, spec.default) for spec in fields(Record) if spec.name not in _NESTED
}
"""Name in the journal -> the record's field and its default."""

_IDENTITY = tuple(spec.name for spec in fields(Identity))
_TIMESTAMPS = tuple(spec.name for spec in fields(Timestamps))

# One call for all the fields: a call for each takes three times as long, on the core that measures.
_plain_of = attrgetter(*(name for name, _ in _PLAIN.values()))
_identity_of = attrgetter(*_IDENTITY)
_identity_in = itemgetter(*_IDENTITY)
_timestamps_of = attrgetter(*_TIMESTAMPS)

_NUMBERS = frozenset({"marks", "heard", "origin_us"})
"""Members of a record's line that hold no text, and are long: nothing is to be hidden in them."""

DEEPEST = 32
"""Levels of a provider's usage that are kept."""

_KIND = re.compile(rb'\{\s*"kind"\s*:\s*"(\w+)"')


def _steps(times: tuple[int, ...]) -> list[int]:
    return [b - a for a, b in pairwise((0, *times))]


def encode_record(record: Record) -> dict[str, object]:
    """Turn a record into its line; what is absent or at its default is left out."""
    # Not asdict, which copies deeply and takes as long as all the rest.
    line: dict[str, object] = {"kind": "record", **dict(zip(_IDENTITY, _identity_of(record.identity), strict=True))}
    line["marks"] = {
        name: at for name, at in zip(_TIMESTAMPS, _timestamps_of(record.timestamps), strict=True) if at is not None
    }
    line["outcome"] = record.outcome.value
    heard = record.text_events
    if heard.at_us:
        line["heard"] = {"us": _steps(tuple(heard.at_us)), "ch": heard.channels, "len": list(heard.lengths)}
    if heard.origin_us:
        line["origin_us"] = _steps(tuple(heard.origin_us))
    for (name, (_, default)), value in zip(_PLAIN.items(), _plain_of(record), strict=True):
        if value != default:
            line[name] = _held_by_every_reader(value) if name == "usage" else value
    return line


def decode_record(line: Mapping[str, Any]) -> Record:
    """Turn a line back into its record; a name this version does not know is ignored."""
    values = {_PLAIN[name][0]: line[name] for name in line.keys() & _PLAIN.keys()}
    if "noted" in values:
        values["noted"] = tuple(values["noted"])
    return Record(
        Identity(*_identity_in(line)),
        Timestamps(*map(line["marks"].get, _TIMESTAMPS)),
        Outcome(line["outcome"]),
        _decode_heard(line),
        **values,
    )


def _decode_heard(line: Mapping[str, Any]) -> TextEvents:
    heard = line.get("heard")
    if heard is None:
        return TextEvents()
    return TextEvents(
        at_us=tuple(accumulate(heard["us"])),
        channels=heard["ch"],
        lengths=tuple(heard["len"]),
        origin_us=tuple(accumulate(line.get("origin_us", ()))),
    )


def _held_by_every_reader(value: object, depth: int = DEEPEST) -> object:
    """Turn what some readers of JSON cannot hold into text: the 1e400 of a careless provider, 2**64, endless lists."""
    if isinstance(value, dict | list) and not depth:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {name: _held_by_every_reader(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_held_by_every_reader(item, depth - 1) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    return value


def to_bytes(line: Mapping[str, object], redact: Callable[[str], str]) -> bytes:
    """Write a line as JSON with its newline, keys hidden, in UTF-8."""
    hidden = {name: item if name in _NUMBERS else _hide(item, redact) for name, item in line.items()}
    try:
        return msgspec.json.encode(hidden) + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate, half an emoji cut by a provider, has no UTF-8: keep its escape instead.
        return json.dumps(hidden, separators=(",", ":")).encode() + b"\n"


def _hide(value: object, redact: Callable[[str], str]) -> object:
    """Hide keys in texts only: the key of somebody's own server may look like a number, or like a name of ours."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _hide(item, redact) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(item, redact) for item in value]
    return value


def from_bytes(raw: bytes) -> dict[str, Any]:
    """Read a line.

    Raises:
        ValueError: this is not a JSON object with a kind.

    """
    # msgspec refuses half an emoji, and what else the standard library takes for JSON.
    line = _load_fast(raw) if kind_of(raw) == "record" else json.loads(raw)
    if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
        raise ValueError("no kind")  # noqa: TRY004 -- a value from a file, not a caller's mistake
    return line


def _load_fast(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return json.loads(raw)


def kind_of(raw: bytes) -> str | None:
    """Tell a line's kind without reading the rest of it; None where that takes reading."""
    found = _KIND.match(raw)
    return found[1].decode() if found else None
