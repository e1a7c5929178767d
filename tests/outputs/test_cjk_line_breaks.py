"""Line breaks on a terminal: between Chinese characters, and by the rules for punctuation."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from wcwidth import wcswidth

from runner.outputs.cjk_line_breaks import _UNIT, WrappedText, line_ends


def lines_of(text: str, columns: int) -> list[str]:
    """Return the lines that a console prints for a width in columns."""
    file = StringIO()
    Console(file=file, width=columns).print(Group(WrappedText(text)))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_chinese_sentence_after_a_word_fills_the_line() -> None:
    """It does not move to the next line as a whole, which would leave a gap."""
    text = "return x  # 很长的注释很长的注释很长的注释很长的注释很长的注释"
    first, *_ = lines_of(text, 40)
    assert wcswidth(first) >= 39


@pytest.mark.parametrize("mark", list("，。！？）》”、"))
def test_punctuation_does_not_begin_a_line(mark: str) -> None:
    """A mark that would begin a line moves there with the character before it."""
    assert lines_of(f"一二三四五六七八九十{mark}甲乙", 20)[1].startswith(f"十{mark}")


def test_an_opening_bracket_does_not_end_a_line() -> None:
    """A bracket stays on the line of the text that it opens."""
    assert lines_of("一二三四五六七八九（十）", 20) == ["一二三四五六七八九", "（十）"]


def test_words_are_not_broken_inside() -> None:
    """A word is broken only if it is longer than a line; an apostrophe is part of its word."""
    assert lines_of("see results/one.csv, results/two.md and don’t", 20) == [
        "see results/one.csv,",
        "results/two.md and",
        "don’t",
    ]
    assert lines_of("x" * 25, 20) == ["x" * 20, "x" * 5]


def test_code_keeps_its_indentation() -> None:
    """Spaces at the start of a paragraph and tabs are kept."""
    assert lines_of("def f():\n    return 1\n\tpass", 40) == ["def f():", "    return 1", "        pass"]


@given(st.text(alphabet="ab 一二，。（）“”…ー\u0301", max_size=60), st.integers(2, 20))
def test_no_line_is_wider_than_asked_and_nothing_is_lost(text: str, columns: int) -> None:
    """The lines make up the text, and each fits, apart from spaces at its end."""
    ends = line_ends(text, columns)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert "".join(pieces) == text
    assert all(pieces[1:])
    units = list(_UNIT.finditer(text))
    for start, piece in zip([0, *ends], pieces, strict=True):
        assert wcswidth(piece.rstrip()) <= columns or not piece.strip()
        inside = [unit[0].rstrip() for unit in units if unit.start() < start < unit.end()]
        assert all(wcswidth(unit) > columns for unit in inside), "a mark begins a line though its word would fit"
