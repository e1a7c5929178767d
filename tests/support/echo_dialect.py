"""A dialect that no provider speaks, for tests of what dialects share."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from runner.core.events import (
    Channel,
    Event,
    Finished,
    StreamDone,
    Text,
)
from runner.wire.decoders.error_body import find_error


class EchoDialect:
    """The decoder of an invented dialect: `say` adds text, `stop` ends the response."""

    reply_name: ClassVar[str] = "echo"
    settled = True

    def __init__(self, status: int) -> None:
        self.status = status

    def decode_plain(self, objects: Sequence[bytes], times_ns: Sequence[int]) -> list[Text]:  # noqa: ARG002
        """Leave every event to `decode`."""
        return []

    def decode_common(self, data: bytes, at_ns: int) -> list[Event] | None:
        """Leave every event to `decode`."""

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the text of an event, or the end."""
        if value.get("stop"):
            return [Finished(at_ns, "stop"), StreamDone(at_ns)]
        return [Text(at_ns, Channel.ANSWER, str(value["say"]))] if "say" in value else []

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return an `error` object."""
        return find_error(value)

    def holds_reply(self, value: object) -> bool:
        """Return whether a value is a text or the end."""
        return isinstance(value, dict) and bool(value.keys() & {"say", "stop"})

    def is_ping(self, value: object) -> bool:
        """Return whether a value is an empty object."""
        return value == {}

    def is_foreign(self, value: object) -> bool:
        """Return whether a value is neither a text nor the end."""
        return not self.holds_reply(value)

    def flush(self) -> list[Event]:
        """Return nothing: no text is held back."""
        return []
