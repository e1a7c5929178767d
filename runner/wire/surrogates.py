"""Halves of surrogate pairs: joins a character that is written as two JSON escapes and cut between chunks."""

import re

from runner.core.events import CallPiece, Channel, Event, Flagged, Text

HALF = re.compile("[\ud800-\udfff]")
HIGH = re.compile("[\ud800-\udbff]$")


def replace_halves(text: str) -> tuple[str, bool]:
    """Return a text with pairs joined and lone halves replaced by U+FFFD, and whether there were lone halves."""
    if text.isascii() or HALF.search(text) is None:
        return text, False
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, "\ufffd" in joined and joined.count("\ufffd") > text.count("\ufffd")


def rest_of(whole: str, received: str) -> str | None:
    """Return what follows a received text in a whole one; None if the whole text does not begin with it.

    The received text may hold the two halves of a character apart, or end with the first half of one: then the rest
    begins with the second half. A lone half may be U+FFFD in the whole text.
    """
    if whole.startswith(received):
        return whole[len(received) :]
    if received.isascii() or HALF.search(received) is None:
        return None
    units, begun = (text.encode("utf-16-le", "surrogatepass") for text in (whole, received))
    if units.startswith(begun):
        return units[len(begun) :].decode("utf-16-le", "surrogatepass")
    replaced, _ = replace_halves(received)
    return whole[len(replaced) :] if whole.startswith(replaced) else None


class SurrogateJoiner:
    """Joins the halves at the ends of successive texts of a channel, or pieces of a call; replaces lone halves."""

    def __init__(self) -> None:
        self._held: dict[Channel, Text] = {}
        self._held_calls: dict[str, CallPiece] = {}
        """Call -> piece that holds the half at the end of its arguments so far."""

    @property
    def settled(self) -> bool:
        """Whether no half of a text is held back."""
        return not self._held

    def join(self, text: Text) -> list[Event]:
        """Return a text without lone halves; a half at its end is held back until the next text of its channel."""
        held = self._held.pop(text.channel, None) if self._held else None
        whole = text.text if held is None else held.text + text.text
        if held is None and (whole.isascii() or HALF.search(whole) is None):
            return [text]
        if HIGH.search(whole):
            self._held[text.channel] = text._replace(text=whole[-1])
            whole = whole[:-1]
        return _replaced(text._replace(text=whole)) if whole else []

    def join_call(self, piece: CallPiece) -> list[Event]:
        """Return a piece of a tool call without lone halves; a half at its end is held back until the next piece."""
        held = self._held_calls.pop(piece.call, None)
        if held is not None:
            piece = piece._replace(arguments=held.arguments + piece.arguments, id=held.id or piece.id)
        if HIGH.search(piece.arguments) is None:
            return _replaced_in_call(piece)
        rest, half = (
            piece._replace(arguments=piece.arguments[:-1]),
            piece._replace(name="", arguments=piece.arguments[-1]),
        )
        is_split = bool(rest.name or rest.arguments)
        self._held_calls[piece.call] = half._replace(id=None) if is_split else half
        return _replaced_in_call(rest) if is_split else []

    def flush(self) -> list[Event]:
        """Return the halves that are held back, replaced by U+FFFD."""
        held, self._held = self._held, {}
        calls, self._held_calls = self._held_calls, {}
        halves = [event for text in held.values() for event in _replaced(text)]
        return [*halves, *(event for piece in calls.values() for event in _replaced_in_call(piece))]


def _replaced(text: Text) -> list[Event]:
    joined, replaced = replace_halves(text.text)
    events: list[Event] = [text._replace(text=joined)]
    return [*events, Flagged(text.at_ns, "invalid_utf8")] if replaced else events


def _replaced_in_call(piece: CallPiece) -> list[Event]:
    (name, in_name), (arguments, in_arguments) = replace_halves(piece.name), replace_halves(piece.arguments)
    own_id = None if piece.id is None else replace_halves(piece.id)[0]
    events: list[Event] = [piece._replace(name=name, arguments=arguments, id=own_id)]
    return [*events, Flagged(piece.at_ns, "invalid_utf8")] if in_name or in_arguments else events
