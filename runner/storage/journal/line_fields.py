"""The members and types of each kind of line, and the reasons to refuse a line. Performs no I/O."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict, get_type_hints

import msgspec

from runner.core.events import Channel, Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.errors import did_you_mean
from runner.storage.stored_field_names import StoredNames

IDENTITY = StoredNames(
    Identity,
    *("key", "case", "turn", "repeat", "block", "provider", "model", "prompt", "simulated"),
    without={"variant"},
)
VARIANT = "variant"
"""Member of a record's line that only the record of a variant has."""

TIMESTAMPS = StoredNames(
    Timestamps,
    *("planned", "ready", "slot", "dns_start", "dns_end", "tcp_start", "tcp_end", "tls_end", "sent", "headers"),
    *("first_event", "last_event", "sent_by", "write_start", "first_call"),
)
CALLS = ("calls", "earlier_calls")
NESTED = frozenset({"identity", "timestamps", "outcome", "text_events", *CALLS, "judgements"})
"""Fields of a record that are stored in another form."""

RECORD = StoredNames(
    Record,
    *("reply", "reasoning", "tool_calls", "response_model", "finish_reason", "error_type", "error", "error_code"),
    *("http_status", "request_id", "input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "usage"),
    *("reused", "attempts", "backoff_ns", "in_flight", "received_us", "late_ns", "clock", "noted", "started_at"),
    *("node", "region", "warmup", "rate_limits", "api", "served_by", "system_fingerprint", "service_tier"),
    "signed_thinking",
    without=NESTED,
    own_checks="custom_checks",
)

Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that fits into a column of a table."""

Length = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Channels = Annotated[str, msgspec.Meta(pattern=f"^[{''.join(Channel)}]*$")]

_TYPES: Mapping[Any, Any] = {
    int: Integer,
    int | None: Integer | None,
    tuple[str, ...]: list[str],
}
"""Type of a field in the code -> its type in a line, where that is stricter or written in another way."""


class _TextColumns(TypedDict):
    us: list[Integer]
    ch: Channels
    len: list[Length]


class _CallMembers(TypedDict):
    name: str
    arguments: str
    id: NotRequired[str]


class _ConnectionLine(TypedDict):
    kind: Literal["connection"]
    provider: str
    marks: dict[str, Integer]


class _AttemptLine(TypedDict):
    kind: Literal["attempt"]
    key: str
    attempt: Integer
    at_ns: Integer
    error_type: str | None


class _CheckLine(TypedDict):
    kind: Literal["check"]
    key: str
    said: dict[str, str | None]


class _JudgeLine(TypedDict):
    kind: Literal["judge"]
    id: str
    target: str
    settings: dict[str, Any]
    price: dict[str, Any] | None
    criteria: str | None
    prompt_version: Integer
    at: str


class _JudgementLine(TypedDict):
    kind: Literal["judgement"]
    key: str
    rubric: str
    by: str


class _PreferenceLine(TypedDict):
    kind: Literal["preference"]
    judge: str
    first: str
    second: str
    by: str | None


class _WorkerLine(TypedDict):
    kind: Literal["worker"]
    name: str
    node: str
    region: str | None
    calibration: dict[str, Any] | None
    within_bound: bool


class _LostWorkerLine(TypedDict):
    kind: Literal["worker_lost"]
    name: str
    node: str
    under_way: Integer


class _LevelLine(TypedDict):
    kind: Literal["level"]
    provider: str
    model: NotRequired[str]
    concurrency: Integer
    at_ns: Integer
    open_ns: Integer


class _InputProbeLine(TypedDict):
    kind: Literal["input_probe"]
    target: str
    text: str
    characters: Integer
    tokens: Integer | None


class _AttachedLine(TypedDict):
    kind: Literal["attached"]
    case: str
    turns: list[list[dict[str, Any]]]


class _ResumeLine(TypedDict):
    kind: Literal["resume"]
    changes: dict[str, Any]
    redone: list[str]
    dropped: list[str]


class _EndLine(TypedDict):
    kind: Literal["end"]
    reason: NotRequired[str]


def _record_type(kind: str) -> Any:
    """Return the type of a line with a record, made from the code's fields and their stored names."""
    members: dict[str, Any] = {"kind": Literal[kind], "outcome": Literal[tuple(each.value for each in Outcome)]}
    of_identity, of_record = get_type_hints(Identity), get_type_hints(Record)
    members |= {name: _TYPES.get(of_identity[field], of_identity[field]) for name, field in IDENTITY.fields.items()}
    members[VARIANT] = NotRequired[of_identity[VARIANT]]
    members["marks"] = _typed_dict("_Marks", dict.fromkeys(TIMESTAMPS.names, NotRequired[Integer | None]))
    members["heard"] = NotRequired[_TextColumns]
    members["origin_us"] = NotRequired[list[Integer]]
    members |= dict.fromkeys(CALLS, NotRequired[list[_CallMembers]])
    for name, field in RECORD.fields.items():
        members[name] = NotRequired[_TYPES.get(of_record[field], of_record[field])]
    return _typed_dict("_RecordLine", members)


def _typed_dict(name: str, members: Mapping[str, Any]) -> Any:
    """Return a `TypedDict` whose members are only known when this runs."""
    make: Any = TypedDict
    return make(name, members)


LINE_TYPES: Mapping[str, Any] = {
    "header": dict[str, Any],  # checked member by member
    "record": _record_type("record"),
    "connection": _ConnectionLine,
    "attempt": _AttemptLine,
    "limit": dict[str, Any],  # no code reads it
    "check": _CheckLine,
    "judge": _JudgeLine,
    "judge_record": _record_type("judge_record"),
    "judge_connection": dict[str, Any],  # no code reads these four
    "judge_attempt": dict[str, Any],
    "judge_limit": dict[str, Any],
    "judge_end": dict[str, Any],
    "judgement": _JudgementLine,
    "preference": _PreferenceLine,
    "worker": _WorkerLine,
    "worker_lost": _LostWorkerLine,
    "level": _LevelLine,
    "input_probe": _InputProbeLine,
    "attached": _AttachedLine,
    "resume": _ResumeLine,
    "end": _EndLine,
}
"""The kinds of lines that this version knows. Members beyond these are ignored."""

_PLACE = re.compile(r"(?P<what>.*?) - at `\$\.?(?P<where>.*)`", re.DOTALL)


def describe_fault(error: msgspec.ValidationError) -> str:
    """Return what is wrong with a line: ``heard.us: expected `array`, got `int` ``."""
    found = _PLACE.fullmatch(str(error))
    what, where = (found["what"], found["where"]) if found else (str(error), "")
    what = f"{what[0].lower()}{what[1:]}"
    return f"{where}: {what}" if where else what


def refuse_unsound(line: Mapping[str, Any]) -> None:
    """Refuse a line whose members have the right types but are inconsistent.

    Raises:
        ValueError: the line is not a sound line of its kind.

    """
    kind = line["kind"]
    if kind in {"record", "judge_record"}:
        _refuse_unsound_record(line)
    elif {"marks", "outcome", "prompt"} <= line.keys():
        raise ValueError(f"it has the members of a record, and its kind is `{kind[:40]}`")
    elif kind not in LINE_TYPES and (hint := did_you_mean(kind, tuple(LINE_TYPES))):
        raise ValueError(f"there is no kind `{kind[:40]}`. {hint}")


def _refuse_unsound_record(line: Mapping[str, Any]) -> None:
    if "heard" in line:
        columns = line["heard"]
        lengths = {len(columns["us"]), len(columns["ch"]), len(columns["len"])}
        if len(lengths) > 1 or (line.get("origin_us") and len(line["origin_us"]) not in lengths):
            raise ValueError("heard: its columns have different lengths")
    if line.get("started_at") is not None:
        datetime.fromisoformat(line["started_at"])
