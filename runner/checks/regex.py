"""Regular expressions by RE2, whose time is linear in the text: no pattern and no reply can take forever.

RE2 has no look-around and no back-references; patterns with them are refused when a suite is read.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from runner.checks.check_finding import WorkExceeded

MAX_WORK = 300_000_000
"""Instructions of compiled patterns times characters of a text: at worst, RE2 needs 7 ns for each."""


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """Return RE2's compiled pattern.

    Raises:
        ValueError: the pattern is not valid in RE2's syntax.

    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(reason) from None


def limit_work(patterns: Iterable[str], text: str) -> None:
    """Refuse patterns that may take too long on a text, since linear time is long for a huge pattern.

    Raises:
        WorkExceeded: the instructions of the patterns times the characters exceed `MAX_WORK`.

    """
    if sum(compile_pattern(pattern).programsize for pattern in patterns) * len(text) > MAX_WORK:
        raise WorkExceeded


def is_found(pattern: str, text: str) -> bool:
    """Return whether a pattern matches anywhere in a text."""
    return compile_pattern(pattern).search(_whole_characters(text)) is not None


def named_matches(pattern: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield, for each match, the name of the group that matched and the matched text."""
    for match in compile_pattern(pattern).finditer(_whole_characters(text)):
        yield match.lastgroup, match[0]


def _whole_characters(text: str) -> str:
    """Return a text with a question mark for half a surrogate pair, which UTF-8 cannot encode."""
    return text.encode(errors="replace").decode()
