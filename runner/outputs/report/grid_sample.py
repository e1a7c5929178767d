"""The part of a comparison grid that a browser can hold: sampled repeats and cases, long replies cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from runner.outputs.report.comparison_grid import GridTurn, Replies
from runner.outputs.text.language import _, plural

MAX_REPLIES = 2_000
"""A page of this many opens in a second or two."""

MAX_BYTES = 5_000_000
"""The bytes of replies and reasoning; each is in the page twice, rendered and as it was written."""

MAX_CHARACTERS = 60_000
"""The characters of one reply."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class GridSample:
    """The turns to show, and sentences on what is left out."""

    turns: tuple[GridTurn, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextCut:
    """The number of characters to show of each text, and a sentence on longer texts."""

    characters: int
    left_out: tuple[str, ...]


def sample_turns(turns: Sequence[GridTurn]) -> GridSample:
    """Return the turns that fit: with fewer repeats first, then of fewer cases, both spread evenly."""
    fewer = _fewer_repeats(turns)
    kept = _fewer_cases(fewer)
    sentences = (_describe_repeats(turns, fewer), _describe_cases(turns, kept))
    return GridSample(kept, tuple(sentence for sentence in sentences if sentence))


def cut_to_fit(replies: Replies) -> TextCut:
    """Return the length at which long texts are cut so that all fit together."""
    texts = _reply_texts(replies)
    characters = _characters_that_fit(texts)
    longer = sum(len(text) > characters for text in texts)
    sentence = plural(
        longer,
        "{n} text cut at {characters} characters; whole in the run's results.csv and journal.jsonl.",
        "{n} texts cut at {characters} characters; whole in the run's results.csv and journal.jsonl.",
        characters=f"{characters:,}",
    )
    return TextCut(characters, (sentence,) if longer else ())


def _count_replies(turns: Sequence[GridTurn]) -> int:
    return sum(len(cell) for turn in turns for cell in turn.cells)


def _fewer_repeats(turns: Sequence[GridTurn]) -> tuple[GridTurn, ...]:
    cells = sum(len(turn.cells) for turn in turns)
    if _count_replies(turns) <= MAX_REPLIES:
        return tuple(turns)
    return tuple(_with_repeats(turn, max(MAX_REPLIES // cells, 1)) for turn in turns)


def _with_repeats(turn: GridTurn, most: int) -> GridTurn:
    """Return the turn with at most this many repeats, among them the one that is shown first."""
    spread = _spread(turn.repeats, most)
    return turn.only_repeats(*(spread if turn.first in spread else [turn.first, *spread[: most - 1]]))


def _fewer_cases(turns: Sequence[GridTurn]) -> tuple[GridTurn, ...]:
    total = _count_replies(turns)
    cases = [tuple(of_case) for _, of_case in groupby(turns, key=lambda turn: turn.case)]
    if total <= MAX_REPLIES:
        return tuple(turns)
    kept = _spread(cases, max(MAX_REPLIES * len(cases) // total, 1))
    return tuple(turn for of_case in kept for turn in of_case)


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most this many items, evenly spread, with the first."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]


def _reply_texts(replies: Replies) -> list[str]:
    rows = {id(row): row for of_column in replies for row in of_column.values()}  # columns of one run share rows
    cells = (row[name] for row in rows.values() for name in ("reply", "tool_calls", "reasoning", "error"))
    return [cell for cell in cells if isinstance(cell, str)]


def _characters_that_fit(texts: Sequence[str]) -> int:
    """Return the length at which texts are cut: each gets an equal share of the room that shorter ones leave."""
    sizes = sorted((min(len(text), MAX_CHARACTERS), len(text.encode(errors="replace"))) for text in texts)
    room = MAX_BYTES
    for at, (characters, size) in enumerate(sizes):
        share = room // (len(sizes) - at)
        if size > share:
            return max(min(share * characters // size, MAX_CHARACTERS), 1)
        room -= size
    return MAX_CHARACTERS


def _describe_repeats(turns: Sequence[GridTurn], fewer: Sequence[GridTurn]) -> str | None:
    most, shown = (max((len(turn.repeats) for turn in each), default=0) for each in (turns, fewer))
    if shown == most:
        return None
    return _(
        "{shown} of up to {most} repeats of each turn are shown, spread evenly; all are in the run's results.csv and "
        "journal.jsonl.",
        shown=shown,
        most=f"{most:,}",
    )


def _describe_cases(turns: Sequence[GridTurn], kept: Sequence[GridTurn]) -> str | None:
    every, shown = (len({turn.case for turn in each}) for each in (turns, kept))
    if shown == every:
        return None
    return _(
        "{shown} of {all} cases are shown, spread evenly; all are in the run's results.csv and journal.jsonl.",
        shown=f"{shown:,}",
        all=f"{every:,}",
    )
