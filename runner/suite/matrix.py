"""A case's matrix: every combination of its values, and a readable name for each."""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

MAX_COMBINATIONS = 10_000
MAX_SUFFIX = 80


def combination_count(matrix: Mapping[str, Sequence[str]]) -> int:
    """Return how many cases a matrix makes of one."""
    return prod(map(len, matrix.values()))


def combinations(matrix: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
    """Return each combination's suffix for the case's id, such as `-paris-2`, and its values by name.

    Suffixes are made of the values' words, or of their numbers where words are long or do not tell them apart.
    """
    values = [dict(zip(matrix, chosen, strict=True)) for chosen in product(*matrix.values())]
    suffixes = _join([[_word(value) for value in column] for column in matrix.values()])
    if matrix and (
        len(set(suffixes)) < len(suffixes) or not all(2 <= len(suffix) <= MAX_SUFFIX for suffix in suffixes)
    ):
        suffixes = _join([[str(number) for number in range(1, len(column) + 1)] for column in matrix.values()])
    return list(zip(suffixes, values, strict=True))


def _join(columns: Sequence[Sequence[str]]) -> list[str]:
    return ["".join(f"-{label}" for label in chosen) for chosen in product(*columns)]


def _word(value: str) -> str:
    return re.sub(r"[^\w.]+", "-", value).strip("-")
