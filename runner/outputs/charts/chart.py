"""A chart with its caption, and the sentences that captions share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SIMULATED = "Simulated: this says nothing about any provider."


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole `<svg>` element and its caption in plain text: what is drawn, of how many requests, and what is not."""

    title: str
    svg: str
    caption: str
    readings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Series of marks -> the text of each mark, in the order of the path with that `data-series`."""


def join_sentences(sentences: Iterable[str | None], *, simulated: bool) -> str:
    """Return a caption of the sentences that are not None, with a warning at its end if figures are simulated."""
    warned = [*sentences, SIMULATED if simulated else None]
    return " ".join(sentence for sentence in warned if sentence)


def sizes(counts: Sequence[int]) -> str:
    """Format the sizes of several samples: `n 12 each`, `n 8 to 12`."""
    fewest, most = min(counts), max(counts)
    if len(counts) == 1:
        return f"n {most:,}"
    return f"n {most:,} each" if fewest == most else f"n {fewest:,} to {most:,}"


def left_out(number: int, of: int, what: str, done: str, why: str) -> str | None:
    """Return a sentence on how many of a thing are not drawn, or counted, and why; None if all are."""
    if number == 0:
        return None
    return f"{number:,} of {of:,} {what} {'is' if number == 1 else 'are'} not {done}: {why}."
