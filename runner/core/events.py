"""The events of a response stream, one type for each, independent of the vendor and its wire format.

Every event has `at_ns`, the `time.perf_counter_ns` of the socket read that completed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from runner.core.tool_call import ToolCall


class Channel(StrEnum):
    """The channel of a text; its value is the letter that the journal stores."""

    REASONING = "r"
    ANSWER = "a"
    TOOL = "t"


ANSWER, REASONING = Channel.ANSWER, Channel.REASONING
"""Members of the enumeration, whose look-up is too slow to repeat for each piece of a stream."""


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
    TOO_LARGE = "too_large"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


TIMED = frozenset({Outcome.OK, Outcome.LENGTH})
UNTRIED = frozenset({Outcome.CANCELLED, Outcome.SKIPPED})
"""Outcomes that say nothing about a target: the run was stopped, or an earlier turn failed and is already counted."""


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """The head of a response: its status, and the id by which the provider can find the request.

    `received_ns` is the time at which the request's last byte arrived, by the server's own clock, if the server
    reports it. `simulated` is whether the server reports that it is a simulator. `rate_limits` holds its rate-limit
    headers. `served_by` is the vendor behind a router, as the headers name it.
    """

    at_ns: int
    status: int
    request_id: str | None
    received_ns: int | None = None
    simulated: bool = False
    rate_limits: Mapping[str, str] | None = None
    served_by: str | None = None


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """Who answered, as one part of the body says: the vendor behind a router, its build, and the service tier.

    A member is None if the part does not name it.
    """

    at_ns: int
    served_by: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class EmptyChunk:
    """An SSE event with data but without text: a role-only chunk, filter results, padding."""

    at_ns: int
    response_model: str | None = None


@dataclass(frozen=True, slots=True)
class WholeMessage:
    """The whole reply so far, sent again after its pieces: the text of each channel in the message, and its calls.

    `alone` is whether all earlier text came in such messages too; then the messages may themselves be the pieces.
    `calls` are the tool calls, which `texts` does not include.
    """

    at_ns: int
    texts: Mapping[Channel, str]
    alone: bool = False
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceChanged:
    """The choice number changed: the text that follows belongs to another choice than the text before."""

    at_ns: int
    choice: str


@dataclass(frozen=True, slots=True)
class ChoiceKept:
    """The finding that the choice numbers belong to several replies: only the text of this choice is kept."""

    at_ns: int
    choice: str


@dataclass(frozen=True, slots=True)
class AnswerWasReasoning:
    """The finding that all answer text so far is reasoning: a closing think tag came without an opening one."""

    at_ns: int


class Text(NamedTuple):
    """Non-empty text on one channel. `origin_ns` is the server's own timestamp, if it sent one.

    It is a tuple because there is one for each token, and creating a frozen dataclass takes three times as long.
    """

    at_ns: int
    channel: Channel
    text: str
    origin_ns: int | None = None
    response_model: str | None = None


class CallPiece(NamedTuple):
    """A non-empty piece of a tool call: of its name, its arguments, or both. Pieces of several calls may alternate.

    `call` only distinguishes the calls of one reply. `id` is the provider's id of the call, on the piece that brought
    it. `by_provider` is whether the provider runs the tool itself, such as a search; the caller must not run it.
    """

    at_ns: int
    call: str
    name: str = ""
    arguments: str = ""
    id: str | None = None
    by_provider: bool = False
    origin_ns: int | None = None
    response_model: str | None = None

    @property
    def text(self) -> Text:
        """The piece as text on the channel of tool calls."""
        said = self.name + self.arguments
        return Text(self.at_ns, Channel.TOOL, said, self.origin_ns, self.response_model)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider reported them; None for those it did not report. The last event counts.

    `inferred` is whether the output tokens were computed from the total. `in_doubt` is whether the counts contradict
    each other.
    """

    at_ns: int
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    raw: Mapping[str, object]
    inferred: bool = False
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """A finish_reason, in the provider's own spelling."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class SignedThinking:
    """A block of the model's thinking with the provider's signature, which a later turn sends back unchanged."""

    at_ns: int
    block: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StreamDone:
    """The `[DONE]` sentinel."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Flagged:
    """An irregularity that is not a failure: `invalid_utf8`, `not_streamed`, `skipped_data`, `compressed` ..."""

    at_ns: int
    flag: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The failure of a request, with the provider's own message if there is one.

    `retry_after_s` is the wait that the provider asked for. `worth_repeating` is False for exhausted balances, invalid
    keys and invalid requests.
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
    """The regular end of the body: the last byte that HTTP framing announced has arrived."""

    at_ns: int


Revision = WholeMessage | ChoiceChanged | ChoiceKept | AnswerWasReasoning
"""Events that change the meaning of text that has already arrived."""

Notice = Usage | Finished | SignedThinking | StreamDone | Flagged
"""Events that describe the reply without carrying a part of it."""

Event = ResponseStarted | AnsweredBy | EmptyChunk | Text | CallPiece | Revision | Notice | Failed | Ended
