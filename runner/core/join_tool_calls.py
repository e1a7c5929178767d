"""Join the tool calls of a reply from the pieces in which they arrive."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO

from runner.core.events import CallPiece
from runner.core.tool_call import ToolCall


@dataclass(slots=True)
class _PartialToolCall:
    """One call, built from the pieces that have arrived."""

    last_ns: int
    id: str | None
    by_provider: bool
    name: StringIO = field(default_factory=StringIO)
    arguments: StringIO = field(default_factory=StringIO)

    def add(self, piece: CallPiece) -> None:
        """Add a piece."""
        self.name.write(piece.name)
        self.arguments.write(piece.arguments)
        self.last_ns = piece.at_ns
        self.id = self.id or piece.id

    def remainder(self, whole: ToolCall) -> tuple[str, str] | None:
        """Return the name and arguments that the whole call adds to the pieces; None if it differs from them."""
        if len(whole.name) < self.name.tell() or len(whole.arguments) < self.arguments.tell():
            return None  # the lengths are compared first: `value` would copy the text for each of a million messages
        received = self.value
        if not (whole.name.startswith(received.name) and whole.arguments.startswith(received.arguments)):
            return None
        return whole.name[len(received.name) :], whole.arguments[len(received.arguments) :]

    @property
    def value(self) -> ToolCall:
        """The call as a value."""
        return ToolCall(self.name.getvalue(), self.arguments.getvalue(), self.id)


@dataclass(slots=True)
class PartialToolCalls:
    """The tool calls of one reply, whose pieces may alternate, in the order in which the calls began."""

    _pieces: list[tuple[int, CallPiece]] = field(default_factory=list)
    """Pairs of the number of text events before a piece, and the piece."""
    _calls: dict[str, _PartialToolCall] = field(default_factory=dict)

    def add(self, place: int, piece: CallPiece) -> None:
        """Add a piece, the text event with this index."""
        self._pieces.append((place, piece))
        call = self._calls.get(piece.call)
        if call is None:
            call = self._calls[piece.call] = _PartialToolCall(piece.at_ns, piece.id, piece.by_provider)
        call.add(piece)

    def keep(self, is_kept: Callable[[int], bool]) -> "PartialToolCalls":
        """Return the calls made of the pieces whose index is kept."""
        kept = PartialToolCalls()
        for place, piece in self._pieces:
            if is_kept(place):
                kept.add(place, piece)
        return kept

    @property
    def text(self) -> str:
        """The names and arguments of all calls, call by call, including those that the provider runs itself."""
        return "".join(call.name.getvalue() + call.arguments.getvalue() for call in self._calls.values())

    @property
    def values(self) -> tuple[ToolCall, ...]:
        """The calls that the caller has to run."""
        return tuple(call.value for call in self._own())

    def first_complete_ns(self, *, was_cut: bool) -> int | None:
        """Return when the first call was complete, in `perf_counter_ns`; None if none was.

        Args:
            was_cut: whether the reply broke off, so that only a call whose arguments are JSON is complete.

        """
        ended = [call.last_ns for call in self._own() if not was_cut or _is_json(call.arguments.getvalue())]
        return min(ended, default=None)

    def rest_of(self, whole: Sequence[ToolCall], at_ns: int) -> tuple[list[CallPiece], bool]:
        """Return the pieces that calls, sent again as a whole, add to those so far, and whether one call differs."""
        own = ((key, call) for key, call in self._calls.items() if not call.by_provider)
        rest: list[CallPiece] = []
        differs = False
        for place, call in enumerate(whole):
            key, received = next(own, (f"whole {place}", None))
            added = (call.name, call.arguments) if received is None else received.remainder(call)
            differs = differs or added is None
            rest += [CallPiece(at_ns, key, *added, call.id)] if added is not None and any(added) else []
        return rest, differs

    def _own(self) -> Iterator[_PartialToolCall]:
        return (call for call in self._calls.values() if not call.by_provider)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True
