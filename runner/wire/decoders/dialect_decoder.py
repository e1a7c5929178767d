"""The protocol of a decoder: it turns the JSON values of one response, in one API, into events."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from runner.core.events import Event, Text


class DialectDecoder(Protocol):
    """The decoder of one API dialect: turns the JSON values of one response into events."""

    reply_name: ClassVar[str]
    """The dialect's name for a reply, used in messages."""

    @property
    def settled(self) -> bool:
        """Whether `decode_plain` may be called: no text is held back."""

    def decode_plain(self, objects: Sequence[bytes], times_ns: Sequence[int]) -> list[Text]:
        """Return the texts of the first JSON objects that add one piece of text each and nothing else.

        It is tried first, since nearly all events are of this kind; `decode` returns the same for them.
        """

    def decode_common(self, data: bytes, at_ns: int) -> list[Event] | None:
        """Return the events of a JSON object of a common kind; None for any other. `decode` returns the same for it.

        A final `AnsweredBy` has the names in the object, whether or not they are new.
        """

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of a JSON object; a final `StreamDone` or `Failed` ends the response."""

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return the object within a JSON value that reports an error; None if there is none."""

    def holds_reply(self, value: object) -> bool:
        """Return whether a JSON value is a reply or a part of one, with or without an error."""

    def is_ping(self, value: object) -> bool:
        """Return whether a JSON value only keeps the connection alive."""

    def is_foreign(self, value: object) -> bool:
        """Return whether a JSON value has content that this dialect does not know."""

    def flush(self) -> list[Event]:
        """Return the text that is held back, and flags on it."""
