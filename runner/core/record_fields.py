"""The parts of a record: identity, timestamps, text events, and the answers of judges."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.core.target_name import TargetName


@dataclass(frozen=True, slots=True)
class Timestamps:
    """The timestamps of a request's stages, in nanoseconds since the start of the run; `marks` in the journal.

    A member is None if its stage did not take place: a reused connection has no `tcp_start`.
    """

    planned: int | None = None
    ready: int | None = None
    slot: int | None = None
    dns_start: int | None = None
    dns_end: int | None = None
    tcp_start: int | None = None
    tcp_end: int | None = None
    tls_end: int | None = None
    sent: int | None = None
    headers: int | None = None
    first_event: int | None = None
    last_event: int | None = None
    sent_by: int | None = None
    """Latest time at which the request's last byte can have left; `sent` is the earliest."""
    write_start: int | None = None
    """Time at which the request's first byte was written."""
    first_call: int | None = None
    """Time at which the first tool call was complete."""


@dataclass(frozen=True, slots=True)
class TextEvents:
    """The text events of a reply as parallel columns; `heard` in the journal.

    `at_us` and `origin_us` are in microseconds since `sent`, by this machine's clock and by the server's. `origin_us`
    is empty unless the server sent timestamps. `channels` has one letter and `lengths` the number of characters of each
    event.
    """

    at_us: Sequence[int] = ()
    channels: str = ""
    lengths: Sequence[int] = ()
    origin_us: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a request in its run. `key` is a digest of its content, for resuming and for pairing."""

    key: str
    case: str
    turn: int
    repeat: int
    block: int
    provider: str
    model: str
    prompt: str
    simulated: bool = False
    variant: str | None = None

    @property
    def target(self) -> str:
        """The target as `provider/model` or `provider/model#variant`."""
        return str(TargetName(self.provider, self.model, self.variant))


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """The answer of a judge about one reply or one pair of replies."""

    judge: str
    """Target that was asked to judge."""
    text: str | None
    """Unchanged text of its answer; None if its request failed."""
    error: str | None = None
    """Reason why its request failed; None if it did not."""
