"""The fields of a provider's usage that hold token counts. Pure."""

import re
from collections.abc import Mapping, Sequence

Path = tuple[str, ...]
"""Names of the members that lead to a count."""

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


def count_in(raw: Mapping[str, object], paths: Sequence[Path]) -> int | None:
    """Return the first count that is not zero, else zero; None if no count is present."""
    found = None
    for path in paths:
        count = _count_at(raw, path)
        if count:
            return count
        found = found if count is None else 0
    return found


def _count_at(raw: Mapping[str, object], path: Path) -> int | None:
    """Return the count at a path, which some gateways send as a float or a text; None if it is not a valid count."""
    value = raw.get(path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or (type(value) is int and 0 <= value < LARGEST_COUNT):
        return value
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST_COUNT:
        return None
    return int(value) if value == int(value) else None
