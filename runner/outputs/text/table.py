"""A table of text, as the terminal, Markdown and the page show it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextTable:
    """Headings and rows of text; the columns in `wordy` hold words, all others figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wordy: frozenset[int]
