"""What a reply's stream can tell, one type each. Knows no bytes, no vendor and no clock but the stamp.

Every event carries `at_ns`, the `time.perf_counter_ns` of the socket read that completed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Channel(StrEnum):
    """Where heard text belongs; the value is the letter the journal stores."""

    REASONING = "r"
    ANSWER = "a"
    TOOL = "t"


class Outcome(StrEnum):
    """How a request ended. Only `ok` and `length` enter timing statistics."""

    OK = "ok"
    LENGTH = "length"
    FILTERED = "filtered"
    TRUNCATED = "truncated"
    BAD_STREAM = "bad_stream"
    PROVIDER_ERROR = "provider_error"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


TIMED = frozenset({Outcome.OK, Outcome.LENGTH})


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """The response's head: status and the ids by which a provider can find the request again.

    `received_ns` is when the request's last byte arrived, by the sender's own clock, where it says so.
    `simulated` is whether the sender says that no model stands behind it.
    """

    at_ns: int
    status: int
    request_id: str | None
    received_ns: int | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class EmptyChunk:
    """An SSE event that carried data but no text: role-only chunks, filter results, padding."""

    at_ns: int
    response_model: str | None = None


class Text(NamedTuple):
    """Non-empty text on one channel. `origin_ns` is the sender's own clock, where it sent one.

    A tuple, because there is one for every token, and a frozen dataclass takes three times as long to make.
    """

    at_ns: int
    channel: Channel
    text: str
    origin_ns: int | None = None
    response_model: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider reported them; None where it said nothing. The last one wins."""

    at_ns: int
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    raw: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Finished:
    """A finish_reason, in the provider's own spelling."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamDone:
    """The `[DONE]` sentinel."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Flagged:
    """Something odd that is no failure: `invalid_utf8`, `not_streamed`, `skipped_data`, `compressed` ..."""

    at_ns: int
    flag: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed, in the provider's own words where it gave any.

    `retry_after_s` is what the provider asked for; `worth_repeating` is false for spent balances,
    bad keys and bad requests.
    """

    at_ns: int
    outcome: Outcome
    message: str
    error_type: str | None = None
    http_status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    worth_repeating: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The body ended cleanly: the last byte HTTP framing promised has arrived."""

    at_ns: int


Event = ResponseStarted | EmptyChunk | Text | Usage | Finished | StreamDone | Flagged | Failed | Ended
