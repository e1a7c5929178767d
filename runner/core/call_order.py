"""The order of tool calls: which call each stretch of their text belongs to, since pieces of several may alternate."""

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(slots=True)
class CallOrder:
    """The calls of one reply, by where the text of each goes on."""

    _stretches: list[tuple[int, str]] = field(default_factory=list)
    """(characters of tool calls before, call)."""

    @property
    def has_several(self) -> bool:
        """Whether the call has changed since the first."""
        return len(self._stretches) > 1

    def change(self, before: int, call: str) -> None:
        """Note that the text behind so many characters belongs to this call."""
        self._stretches.append((before, call))

    def arrange(self, text: str) -> str:
        """Return the text of all calls with the pieces of each together, in the order in which the calls began."""
        if not self.has_several:
            return text
        by_call: dict[str, list[str]] = {"": [text[: self._stretches[0][0]]]}
        for (start, call), (end, _) in pairwise([*self._stretches, (len(text), "")]):
            by_call.setdefault(call, []).append(text[start:end])
        return "".join(piece for pieces in by_call.values() for piece in pieces)
