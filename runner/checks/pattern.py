"""Regular expressions by RE2: time grows with the text alone, so that neither a pattern nor a reply can stall a reader.

RE2 knows no look-around and no back-references, which is the price of that; it refuses them when a suite is read.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """Return RE2's own compiled pattern; raise ValueError with what is wrong with it."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(reason) from None


def is_found(pattern: str, text: str) -> bool:
    """Tell whether a pattern matches anywhere in a text."""
    return compile_pattern(pattern).search(_whole_characters(text)) is not None


def named_matches(pattern: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of the group that matched and what it matched, one after another."""
    for match in compile_pattern(pattern).finditer(_whole_characters(text)):
        yield match.lastgroup, match[0]


def _whole_characters(text: str) -> str:
    """Put a question mark for half a surrogate pair, which RE2's UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()
