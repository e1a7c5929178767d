"""Halves of surrogate pairs: a character written as two JSON escapes and cut between chunks is joined again."""

import re

from runner.core.events import Channel, Event, Flagged, Text

HALF = re.compile("[\ud800-\udfff]")
HIGH = re.compile("[\ud800-\udbff]$")


def replace_halves(text: str) -> tuple[str, bool]:
    """Return a text with pairs joined and lone halves replaced, and whether there were lone ones."""
    if text.isascii() or HALF.search(text) is None:
        return text, False
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, "\ufffd" in joined and joined.count("\ufffd") > text.count("\ufffd")


class SurrogateJoiner:
    """Joins halves that two texts of one channel share, and replaces those that stay alone."""

    def __init__(self) -> None:
        self._held: dict[Channel, Text] = {}

    @property
    def settled(self) -> bool:
        """Whether no half is held back."""
        return not self._held

    def join(self, text: Text) -> list[Event]:
        """Return a text without lone halves; one at its end is held back until the next text of its channel."""
        held = self._held.pop(text.channel, None) if self._held else None
        whole = text.text if held is None else held.text + text.text
        if held is None and (whole.isascii() or HALF.search(whole) is None):
            return [text]
        if HIGH.search(whole):
            self._held[text.channel] = text._replace(text=whole[-1])
            whole = whole[:-1]
        return _replaced(text._replace(text=whole)) if whole else []

    def flush(self) -> list[Event]:
        """Return the halves that are held back, replaced."""
        held, self._held = self._held, {}
        return [event for text in held.values() for event in _replaced(text)]


def _replaced(text: Text) -> list[Event]:
    joined, replaced = replace_halves(text.text)
    events: list[Event] = [text._replace(text=joined)]
    return [*events, Flagged(text.at_ns, "invalid_utf8")] if replaced else events
