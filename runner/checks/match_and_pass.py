"""Parse a suite's `match`, how a reply is compared with a snapshot, and `pass`, how many repeats must pass."""

import re
from dataclasses import dataclass
from typing import Literal

Way = Literal["exact", "normalized", "similar", "checks-only"]

SIMILAR_ENOUGH = 0.8
"""The least similarity for `similar` without a number, from 0 to 1."""

SHARE_PATTERN = r"^(all|[1-9][0-9]{0,5} of [1-9][0-9]{0,5})$"
MATCH_PATTERN = r"^(exact|normalized|checks-only|similar( (0\.[0-9]+|1(\.0+)?))?)$"


@dataclass(frozen=True, slots=True)
class Matching:
    """A way to compare texts; `least_ratio` applies to `similar` only."""

    way: Way
    least_ratio: float = SIMILAR_ENOUGH


def read_matching(text: str) -> Matching:
    """Parse `exact`, `normalized`, `similar`, `similar 0.9` or `checks-only`.

    Raises:
        ValueError: the text is anything else.

    """
    if not re.fullmatch(MATCH_PATTERN, text):
        raise ValueError(
            f"`{text}` is not a way to compare. Write exact, normalized, similar, similar 0.9 or checks-only"
        )
    way, _, ratio = text.partition(" ")
    return Matching(way, float(ratio) if ratio else SIMILAR_ENOUGH)  # type: ignore[arg-type]


def read_share(text: str) -> tuple[int, int] | None:
    """Parse `2 of 3` to (2, 3) and `all` to None.

    Raises:
        ValueError: the text is anything else, or the first number is larger than the second.

    """
    if not re.fullmatch(SHARE_PATTERN, text):
        raise ValueError(f"`{text}` is not a share of the repeats. Write all, or a share such as 2 of 3")
    if text == "all":
        return None
    needed, of = map(int, text.split(" of "))
    if needed > of:
        raise ValueError(f"{needed} is more than {of}. Write all, or a share such as 2 of 3")
    return needed, of
