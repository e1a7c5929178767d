"""Token counts: the usage that a reply sends in one part or several, merged count by count.

A count of zero or null never replaces a known one, and counts are never added up, except where a provider counts
something beside the output that everybody else counts within it: thinking that only the total holds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.events import Usage
from runner.wire.json_value import as_object

Path = tuple[str, ...]

INPUT: Sequence[Path] = (("prompt_tokens",), ("input_tokens",))
OUTPUT: Sequence[Path] = (("completion_tokens",), ("output_tokens",))
TOTAL: Sequence[Path] = (("total_tokens",),)
REASONING: Sequence[Path] = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "thinking_tokens"),
    ("reasoning_tokens",),
)
CACHED: Sequence[Path] = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("cache_read_input_tokens",),
)
CACHE_WRITE: Sequence[Path] = (
    ("cache_creation_input_tokens",),
    ("prompt_tokens_details", "cache_write_tokens"),
    ("input_tokens_details", "cache_write_tokens"),
)

LARGEST_COUNT = 2**53
DIGITS = re.compile(r"[0-9]{1,16}")

PARTS_ALIKE = 3
"""Parts, each behind more text, from which on a count that stays the same cannot be that of all text so far."""


def find_usage(chunk: Mapping[str, object], choices: Sequence[Mapping[str, object]]) -> Mapping[str, object] | None:
    """Return the token counts of a chunk as they were sent; None if all are null or zero, as in a placeholder."""
    places = [chunk.get("usage"), *(choice.get("usage") for choice in choices)]
    places.append(as_object(chunk.get("x_groq")).get("usage"))
    places += [as_object(choice.get(part)).get("usage") for choice in choices for part in ("delta", "message")]
    return next((raw for place in places if place and counts_something(raw := as_object(place))), None)


def counts_something(raw: Mapping[str, object], *further: Sequence[Path]) -> bool:
    """Return whether a usage has a count of input, output, both or `further` paths that is not null or zero."""
    return any(_count(raw, paths) for paths in (INPUT, OUTPUT, TOTAL, *further))


def _count(raw: Mapping[str, object], paths: Sequence[Path]) -> int | None:
    """Return the first count that is present and no zero, else zero, None if none is present."""
    found = None
    for path in paths:
        count = _count_at(raw, path)
        if count:
            return count
        found = found if count is None else 0
    return found


def _count_at(raw: Mapping[str, object], path: Path) -> int | None:
    """Return the count at a path; some gateways write it as a float or as text. None if it is no number of tokens."""
    value = raw.get(path[0])
    for name in path[1:]:
        value = as_object(value).get(name)
    if value is None or (type(value) is int and 0 <= value < LARGEST_COUNT):
        return value
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST_COUNT:
        return None
    return int(value) if value == int(value) else None


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
    _alike: int = 1
    """How many parts in succession, each behind more text, had the same output."""
    _shrank: bool = False

    def add(self, part: Mapping[str, object], at_ns: int, *, behind_text: bool = False) -> Usage:
        """Merge one more part, and return the counts as they are by now."""
        own_input, own_output, own_total = (_count(part, paths) for paths in (INPUT, OUTPUT, TOTAL))
        self._compare(own_input, own_output, behind_text=behind_text)
        self.input = _better(self.input, own_input)
        self.output = _better(self.output, own_output)
        self.reasoning = _better(self.reasoning, _count(part, REASONING))
        self.cached = _better(self.cached, _count(part, CACHED))
        self.cache_write = _better(self.cache_write, _count(part, CACHE_WRITE))
        if own_total:
            is_of_part = not own_input and own_total == (own_output or 0)
            is_of_part = is_of_part or (not own_output and own_total == (own_input or 0))
            self.total = None if is_of_part else own_total
        elif own_input or own_output:
            self.total = None  # an earlier total counts less than what is known by now
        self.raw = _merge(self.raw, part)
        return self._usage(at_ns)

    def _compare(self, own_input: int | None, own_output: int | None, *, behind_text: bool) -> None:
        """Note whether a part can count all so far: a relay may count each chunk by itself."""
        pairs = ((self.input, own_input), (self.output, own_output))
        self._shrank = self._shrank or any(known and own and own < known for known, own in pairs)
        if own_output and behind_text:
            self._alike = self._alike + 1 if own_output == self.output else 1

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
                tokens_in, tokens_out, reasoning, inferred = self._share(rest, tokens_in, tokens_out)
        in_doubt = self._shrank or self._alike >= PARTS_ALIKE or (rest is not None and rest < 0)
        return Usage(at_ns, tokens_in, tokens_out, reasoning, self.cached, self.raw, inferred, in_doubt)

    def _share(self, rest: int, tokens_in: int, tokens_out: int) -> tuple[int, int, int | None, bool]:
        """Return input, output and reasoning with what only the total holds, and whether that is not certain."""
        beside = {self.cached or 0, self.cache_write or 0, (self.cached or 0) + (self.cache_write or 0)} - {0}
        if rest == self.reasoning:
            return tokens_in, tokens_out + rest, self.reasoning, False  # xAI counts reasoning beside the output
        if rest in beside:
            return tokens_in + rest, tokens_out, self.reasoning, False  # Anthropic counts the cache beside the input
        return tokens_in, tokens_out + rest, self.reasoning or rest, True


def _better(known: int | None, new: int | None) -> int | None:
    return known if new is None or (new == 0 and known is not None) else new


def _merge(known: Mapping[str, object], part: Mapping[str, object]) -> dict[str, object]:
    """Return two parts as one: a null or a zero replaces nothing."""
    merged = dict(known)
    for name, value in part.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merge(before, value)
        elif name not in merged or (value not in (None, 0)):
            merged[name] = value
    return merged
