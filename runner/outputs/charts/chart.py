"""A chart with its caption, and the sentences that captions share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.outputs.text.language import _, plural
from runner.outputs.text.language import sentences as sentences_of

LOGARITHMIC = "The scale is logarithmic."
"""A sentence of captions; a page whose chart can be switched to a linear scale leaves it out."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole `<svg>` element and its caption in plain text: what is drawn, of how many requests, and what is not."""

    title: str
    svg: str
    caption: str
    readings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Series of marks -> the text of each mark, in the order of the path with that `data-series`."""


def describe_chart(title: str, descriptions: str) -> str:
    """Return what a chart shows, in words: its title, then each target's figures."""
    return _("{title}. {descriptions}.", title=_(title), descriptions=descriptions)


def join_sentences(sentences: Iterable[str | None], *, simulated: bool) -> str:
    """Return a caption of the sentences that are not None, with a warning at its end if figures are simulated."""
    warned = [*sentences, _("Simulated: this says nothing about any provider.") if simulated else None]
    return sentences_of(sentence for sentence in warned if sentence)


def sizes(counts: Sequence[int]) -> str:
    """Format the sizes of several samples: `n 12 each`, `n 8 to 12`."""
    fewest, most = min(counts), max(counts)
    if len(counts) == 1:
        return f"n {most:,}"
    if fewest == most:
        return _("n {n} each", n=f"{most:,}")
    return _("n {fewest} to {most}", fewest=f"{fewest:,}", most=f"{most:,}")


def left_out(number: int, of: int, what: str, why: str) -> str | None:
    """Return a sentence on how many of a thing are not drawn, and why; None if all are."""
    if number == 0:
        return None
    return plural(
        number,
        "{n} of {of} {what} is not drawn: {why}.",
        "{n} of {of} {what} are not drawn: {why}.",
        of=f"{of:,}",
        what=_(what),
        why=why,
    )
