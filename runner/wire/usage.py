"""Token counts, wherever a provider puts them and whatever it calls them."""

from collections.abc import Mapping, Sequence

from runner.core.events import Usage
from runner.wire.json_value import as_object

Path = tuple[str, ...]

INPUT: Sequence[Path] = (("prompt_tokens",), ("input_tokens",))
OUTPUT: Sequence[Path] = (("completion_tokens",), ("output_tokens",))
TOTAL: Sequence[Path] = (("total_tokens",),)
REASONING: Sequence[Path] = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),
)
CACHED: Sequence[Path] = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("cache_read_input_tokens",),
)

LARGEST_COUNT = 2**53


def read_usage(chunk: Mapping[str, object], choice: Mapping[str, object], at_ns: int) -> Usage | None:
    """Return the counts of a chunk; None where there are none, or all are null or zero as a placeholder's are."""
    places = (chunk.get("usage"), choice.get("usage"), as_object(chunk.get("x_groq")).get("usage"))
    return next((usage for place in places if place and (usage := _read(as_object(place), at_ns))), None)


def _read(raw: Mapping[str, object], at_ns: int) -> Usage | None:
    prompt, output, total = (_count(raw, paths) for paths in (INPUT, OUTPUT, TOTAL))
    if not (prompt or output or total):
        return None
    reasoning = _count(raw, REASONING)
    if reasoning and output is not None and total == (prompt or 0) + output + reasoning:
        output += reasoning  # xAI counts reasoning beside the output; everybody else within it
    return Usage(at_ns, prompt, output, reasoning, _count(raw, CACHED), raw)


def _count(raw: Mapping[str, object], paths: Sequence[Path]) -> int | None:
    """Return the first count that is there; some gateways write it as a float."""
    for *parents, name in paths:
        value = (as_object(raw.get(parents[0])) if parents else raw).get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LARGEST_COUNT:
            return int(value)
    return None
