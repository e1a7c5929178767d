"""A picture with the words that belong beneath it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SIMULATED = "Simulated: this says nothing about any provider."


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole `<svg>` element and its caption in plain text, which says what is drawn, of how many, and what is not."""

    title: str
    svg: str
    caption: str


def caption(sentences: Iterable[str | None], *, simulated: bool) -> str:
    """Join sentences, those that there are; the last one warns of simulated figures."""
    said = [*sentences, SIMULATED if simulated else None]
    return " ".join(sentence for sentence in said if sentence)


def sizes(counts: Sequence[int]) -> str:
    """Name the sizes of several samples: `n 12 each`, `n 8 to 12`."""
    fewest, most = min(counts), max(counts)
    if len(counts) == 1:
        return f"n {most:,}"
    return f"n {most:,} each" if fewest == most else f"n {fewest:,} to {most:,}"


def left_out(number: int, of: int, what: str, done: str, why: str) -> str | None:
    """Say how many of a thing were not drawn, or counted, and why; None if all were."""
    if number == 0:
        return None
    return f"{number:,} of {of:,} {what} {'is' if number == 1 else 'are'} not {done}: {why}."
