"""One attempt at a request: the request, its dialect and limits, and what has been received so far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.events import Event, Failed
from runner.core.record_from_events import Fold
from runner.core.suite import DEFAULT_API, REPLY_LIMIT, Api, Timeouts
from runner.providers.request_body import BUILDERS
from runner.wire.decoders.lenient_json import encode_json
from runner.wire.response_body import ResponseBody
from runner.wire.response_recording import RecordingBuffer

Watch = Callable[[Event], None]
"""Callback for each event soon after it arrived, for a live view."""


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """The request of an attempt: the model, the messages, all other fields of the JSON body, and the reply's limits."""

    model: str
    messages: Sequence[Mapping[str, object]]
    parameters: Mapping[str, object]
    timeouts: Timeouts = field(default_factory=Timeouts)
    reply_limit: int = REPLY_LIMIT
    api: Api = DEFAULT_API

    def encode(self) -> bytes:
        """Return the JSON body."""
        return encode_json(BUILDERS[self.api].with_messages({"model": self.model, **self.parameters}, self.messages))


@dataclass(slots=True)
class Attempt:
    """One attempt at a request, with what it has received so far or until its cancellation."""

    body: ResponseBody = field(default_factory=ResponseBody)
    fold: Fold = field(default_factory=Fold)
    recording: RecordingBuffer | None = None
    """Buffer of the reads, if the run is recorded."""
    shared_ns: set[int] = field(default_factory=set)
    """Timestamps of reads that held more than one event or piece of text."""
    closed_ns: int | None = None
    """Time at which reading the body ended, in `perf_counter_ns`."""
    ended_by: Failed | None = None
    """Timeout or connection failure that ended it early; None if none did."""
