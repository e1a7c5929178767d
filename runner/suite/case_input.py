"""The `input` of a case: a text that is cut to a number of tokens, or to each of several numbers."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from runner.core.sized_input import SizedInput
from runner.document import Route
from runner.suite.faults import UnusableFile
from runner.suite.locate_file import read_named_text
from runner.suite.schema import CaseSchema

AXIS = "input.tokens"
"""Name of the list of sizes among a case's lists of values; no variable can have this name."""

MOST_TOKENS = 10_000_000
BUILT_IN_NAME = "Alice's Adventures in Wonderland"
_BUILT_IN = "filler_text.txt"
_SIZE = re.compile(r"([0-9]{1,3}(?:[_,]?[0-9]{3})*|[0-9]+)(k|M|)")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}


def parse_tokens(text: str) -> int:
    """Parse a number of tokens, such as `10000`, `10_000` or `10k`.

    Raises:
        ValueError: the text is not a number of tokens, or the number is out of range.

    """
    found = _SIZE.fullmatch(text.strip())
    tokens = int(re.sub("[_,]", "", found[1])) * _UNITS[found[2]] if found else 0
    if not 1 <= tokens <= MOST_TOKENS:
        raise ValueError(f"`{text[:40]}` is no number of tokens from 1 to {MOST_TOKENS:,}")
    return tokens


def sizes_axis(case: CaseSchema) -> Mapping[str, tuple[str, ...]]:
    """Return the list of sizes of a case's input as an axis of its matrix; empty if it has one size or no input."""
    tokens = case.input.tokens if case.input else None
    return {AXIS: tokens} if isinstance(tokens, tuple) else {}


def size_text(case: CaseSchema) -> Iterator[tuple[Route, str]]:
    """Yield the text of a single size, which may be a template."""
    if case.input is not None and isinstance(case.input.tokens, str):
        yield ("input", "tokens"), case.input.tokens


def read_input_text(case: CaseSchema, folder: Path) -> tuple[str, str]:
    """Return the text of a case's input and its name in results.

    Raises:
        UnusableFile: its file cannot be used.

    """
    assert case.input is not None
    if case.input.text is None:
        return files("runner.suite").joinpath(_BUILT_IN).read_text(encoding="utf-8"), BUILT_IN_NAME
    text = read_named_text(folder, case.input.text)
    if not text.strip():
        raise UnusableFile(f"`{case.input.text}` is empty", "Name a file with some text")
    return text, case.input.text


def sized_input(size: str, text: tuple[str, str]) -> SizedInput:
    """Return an input with a text and a size.

    Raises:
        ValueError: the size is not a number of tokens, or is out of range.

    """
    return SizedInput.of(parse_tokens(size), *text)
