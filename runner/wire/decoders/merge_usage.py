"""Token counts: the usage that a reply sends in one or several parts, merged count by count.

A count of zero or null never replaces a known one. Counts are never added up, except if only the total includes tokens
that most providers count within the input or the output, such as thinking or the cache.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.events import Usage
from runner.core.usage_fields import CACHE_WRITE, CACHED, INPUT, OUTPUT, REASONING, TOTAL, Path, count_in
from runner.wire.decoders.lenient_json import as_object

PARTS_ALIKE = 3
"""Number of successive parts, each after more text, with the same count from which it cannot be that of all text."""


def find_usage(chunk: Mapping[str, object], choices: Sequence[Mapping[str, object]]) -> Mapping[str, object] | None:
    """Return the token counts of a chunk as they were sent; None if all are null or zero, as in a placeholder."""
    places = [chunk.get("usage"), *(choice.get("usage") for choice in choices)]
    places.append(as_object(chunk.get("x_groq")).get("usage"))
    places += [as_object(choice.get(part)).get("usage") for choice in choices for part in ("delta", "message")]
    return next((raw for place in places if place and counts_something(raw := as_object(place))), None)


def counts_something(raw: Mapping[str, object], *further: Sequence[Path]) -> bool:
    """Return whether a usage has a count of input, output, both or `further` paths that is not null or zero."""
    return any(count_in(raw, paths) for paths in (INPUT, OUTPUT, TOTAL, *further))


@dataclass(slots=True)
class UsageCounts:
    """The counts of one reply so far."""

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    total: int | None = None
    raw: Mapping[str, object] = field(default_factory=dict)
    _equal_parts: int = 1
    """Number of successive parts, each after more text, with the same output count."""
    _shrank: bool = False

    def add(self, part: Mapping[str, object], at_ns: int, *, behind_text: bool = False) -> Usage:
        """Merge another part, and return the counts so far."""
        own_input, own_output, own_total = (count_in(part, paths) for paths in (INPUT, OUTPUT, TOTAL))
        self._compare(own_input, own_output, behind_text=behind_text)
        self.input = _merge_count(self.input, own_input)
        self.output = _merge_count(self.output, own_output)
        self.reasoning = _merge_count(self.reasoning, count_in(part, REASONING))
        self.cached = _merge_count(self.cached, count_in(part, CACHED))
        self.cache_write = _merge_count(self.cache_write, count_in(part, CACHE_WRITE))
        if own_total:
            is_of_part = not own_input and own_total == (own_output or 0)
            is_of_part = is_of_part or (not own_output and own_total == (own_input or 0))
            self.total = None if is_of_part else own_total
        elif own_input or own_output:
            self.total = None  # an earlier total counts less than what is known by now
        self.raw = _merge(self.raw, part)
        return self._usage(at_ns)

    def _compare(self, own_input: int | None, own_output: int | None, *, behind_text: bool) -> None:
        """Record whether parts can be counts of the reply so far, since some relays count each chunk by itself."""
        pairs = ((self.input, own_input), (self.output, own_output))
        self._shrank = self._shrank or any(known and own and own < known for known, own in pairs)
        if own_output and behind_text:
            self._equal_parts = self._equal_parts + 1 if own_output == self.output else 1

    def _usage(self, at_ns: int) -> Usage:
        tokens_in, tokens_out, reasoning = self.input, self.output, self.reasoning
        inferred = False
        rest = None if self.total is None else self.total - (tokens_in or 0) - (tokens_out or 0)
        if rest is not None and rest > 0:
            if tokens_in and not tokens_out:
                tokens_out = rest
            elif tokens_out and not tokens_in:
                tokens_in = rest
            elif tokens_in and tokens_out:
                tokens_in, tokens_out, reasoning, inferred = self._add_rest(rest, tokens_in, tokens_out)
        in_doubt = self._shrank or self._equal_parts >= PARTS_ALIKE or (rest is not None and rest < 0)
        return Usage(at_ns, tokens_in, tokens_out, reasoning, self.cached, self.raw, inferred, in_doubt)

    def _add_rest(self, rest: int, tokens_in: int, tokens_out: int) -> tuple[int, int, int | None, bool]:
        """Return input, output and reasoning with `rest`, which only the total counts, and whether this is a guess."""
        beside = {self.cached or 0, self.cache_write or 0, (self.cached or 0) + (self.cache_write or 0)} - {0}
        if rest == self.reasoning:
            return tokens_in, tokens_out + rest, self.reasoning, False  # xAI counts reasoning beside the output
        if rest in beside:
            return tokens_in + rest, tokens_out, self.reasoning, False  # Anthropic counts the cache beside the input
        return tokens_in, tokens_out + rest, self.reasoning or rest, True


def _merge_count(known: int | None, new: int | None) -> int | None:
    return known if new is None or (new == 0 and known is not None) else new


def _merge(known: Mapping[str, object], part: Mapping[str, object]) -> dict[str, object]:
    """Return two parts merged; a null or a zero does not replace a value."""
    merged = dict(known)
    for name, value in part.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merge(before, value)
        elif name not in merged or (value not in (None, 0)):
            merged[name] = value
    return merged
