"""How much of a board a browser can hold: repeats and cases spread evenly, long replies cut, and what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from runner.outputs.report.comparison_grid import Replies, Turn
from runner.outputs.text.figures import count

MAX_REPLIES = 2_000
"""So many open in a second or two."""

MAX_BYTES = 5_000_000
"""Of replies and reasoning; each is in the page twice, rendered and as it was written."""

MAX_CHARACTERS = 60_000
"""Of one reply."""

_ELSEWHERE = "in the run's results.csv and journal.jsonl"


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class GridSample:
    """The turns to show, and a sentence for each thing that is left out."""

    turns: tuple[Turn, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """The characters to show of each text, and a sentence on those that are longer."""

    characters: int
    left_out: tuple[str, ...]


def take_sample(turns: Sequence[Turn]) -> GridSample:
    """Take what fits: fewer repeats first, then fewer cases."""
    fewer = _fewer_repeats(turns)
    kept = _fewer_cases(fewer)
    told = (_tell_repeats(turns, fewer), _tell_cases(turns, kept))
    return GridSample(kept, tuple(sentence for sentence in told if sentence))


def cut_to_fit(replies: Replies) -> Cut:
    """Cut long texts so that all together fit; short ones stay whole."""
    texts = _texts(replies)
    characters = _characters_that_fit(texts)
    longer = sum(len(text) > characters for text in texts)
    told = f"{count(longer, 'text')} cut at {characters:,} characters; whole {_ELSEWHERE}."
    return Cut(characters, (told,) if longer else ())


def _count_replies(turns: Sequence[Turn]) -> int:
    return sum(len(cell) for turn in turns for cell in turn.cells)


def _fewer_repeats(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    cells = sum(len(turn.cells) for turn in turns)
    if _count_replies(turns) <= MAX_REPLIES:
        return tuple(turns)
    return tuple(_with_repeats(turn, max(MAX_REPLIES // cells, 1)) for turn in turns)


def _with_repeats(turn: Turn, most: int) -> Turn:
    """Keep so many repeats at most, the one that is shown first among them."""
    spread = _spread(turn.repeats, most)
    return turn.at(*(spread if turn.first in spread else [turn.first, *spread[: most - 1]]))


def _fewer_cases(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    total = _count_replies(turns)
    cases = [tuple(of_case) for _, of_case in groupby(turns, key=lambda turn: turn.case)]
    if total <= MAX_REPLIES:
        return tuple(turns)
    kept = _spread(cases, max(MAX_REPLIES * len(cases) // total, 1))
    return tuple(turn for of_case in kept for turn in of_case)


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return so many items at most, evenly spread, the first among them."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]


def _texts(replies: Replies) -> list[str]:
    rows = {id(row): row for of_column in replies for row in of_column.values()}  # columns of one run share theirs
    cells = (row[name] for row in rows.values() for name in ("reply", "reasoning", "error"))
    return [cell for cell in cells if isinstance(cell, str)]


def _characters_that_fit(texts: Sequence[str]) -> int:
    sizes = sorted((min(len(text), MAX_CHARACTERS), len(text.encode(errors="replace"))) for text in texts)
    room = MAX_BYTES
    for at, (characters, size) in enumerate(sizes):
        fair = room // (len(sizes) - at)
        if size > fair:
            return max(min(fair * characters // size, MAX_CHARACTERS), 1)
        room -= size
    return MAX_CHARACTERS


def _tell_repeats(turns: Sequence[Turn], fewer: Sequence[Turn]) -> str | None:
    most, shown = (max((len(turn.repeats) for turn in each), default=0) for each in (turns, fewer))
    if shown == most:
        return None
    return f"{shown} of up to {most:,} repeats of each turn are shown, spread evenly; all are {_ELSEWHERE}."


def _tell_cases(turns: Sequence[Turn], kept: Sequence[Turn]) -> str | None:
    every, shown = (len({turn.case for turn in each}) for each in (turns, kept))
    return None if shown == every else f"{shown:,} of {every:,} cases are shown, spread evenly; all are {_ELSEWHERE}."
