"""A case's matrix: every combination of its values, and a readable name for each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod

MAX_COMBINATIONS = 10_000
MAX_LABEL = 24


def combination_count(matrix: Mapping[str, Sequence[str]]) -> int:
    """Return how many cases a matrix makes of one."""
    return prod(map(len, matrix.values()))


def combinations(matrix: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each combination's suffix for the case's id, such as `-paris-2`, and its values by name."""
    labels = [_labels(values) for values in matrix.values()]
    for chosen in product(*(range(len(values)) for values in matrix.values())):
        suffix = "".join(f"-{names[index]}" for names, index in zip(labels, chosen, strict=True))
        yield suffix, {name: matrix[name][index] for name, index in zip(matrix, chosen, strict=True)}


def _labels(values: Sequence[str]) -> Sequence[str]:
    """Name values by their own words; by their numbers, where words are too long or do not tell them apart."""
    words = [re.sub(r"[^\w.]+", "-", value).strip("-") for value in values]
    telling = all(0 < len(word) <= MAX_LABEL for word in words) and len(set(words)) == len(words)
    return words if telling else [str(number) for number in range(1, len(values) + 1)]
