"""Texts of a requested number of tokens: excerpts for a probe, and the cut that follows from its result."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.sized_input import (
    EXCERPTS,
    MAX_CHARACTERS_PER_TOKEN,
    PROBE_CHARACTERS,
    InputProbe,
    SizedInput,
    cut_text,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)
TOKENS = st.integers(1, 5_000)


@given(TEXTS, TOKENS, st.integers(0, 3_000))
def test_the_beginning_of_a_text_repeats_it_where_it_is_too_short(text: str, tokens: int, characters: int) -> None:
    """A longer text than the source repeats the source from its beginning."""
    found = SizedInput.of(tokens, text, "t").first(characters)
    assert len(found) == characters
    assert all(found[at] == text[at % len(text)] for at in range(characters))


@given(TEXTS, TOKENS)
def test_excerpts_are_pieces_of_the_text(text: str, tokens: int) -> None:
    """They have at most the characters of a probe, and each piece occurs in the text."""
    long = text * 60
    found = SizedInput.of(tokens, long, "t").excerpts
    assert len(found) <= PROBE_CHARACTERS + EXCERPTS - 1
    size = PROBE_CHARACTERS // EXCERPTS
    assert found in long or all(found[at : at + size] in long for at in range(0, len(found), size + 1))


def test_excerpts_come_from_the_whole_of_what_is_sent() -> None:
    """The beginning is no sample of a text whose parts differ."""
    text = "".join(letter * 20_000 for letter in "abcd")
    assert set(SizedInput.of(20_000, text, "t").excerpts) == {*"abcd", "\n"}
    assert set(SizedInput.of(5_000, text, "t").excerpts) == {"a", "\n"}


@given(st.integers(100, 200_000), st.integers(1, 8), st.integers(0, 300))
def test_a_text_of_even_tokens_is_cut_to_the_wanted_number(tokens: int, per_token: int, beside: int) -> None:
    """If all tokens are equally long, the text and the rest of the request have the wanted number of tokens."""
    sized = SizedInput.of(tokens, "x" * 1_000, "t")
    cut = cut_text(sized, InputProbe(8_000, 8_000 // per_token), beside)
    assert (len(cut) + beside) / per_token == pytest.approx(max(tokens, beside / per_token), abs=0.01 * tokens + 1)


@given(TEXTS, TOKENS, st.integers(1, 100_000), st.none() | st.integers(0, 100_000), st.integers(0, 500))
def test_the_bound_of_a_plan_holds_for_any_probe(
    text: str, tokens: int, characters: int, reported: int | None, beside: int
) -> None:
    """No cut has more bytes, or more characters per token, than the bound."""
    sized = SizedInput.of(tokens, text, "t")
    cut = cut_text(sized, InputProbe(characters, reported), beside)
    assert len(cut.encode()) <= sized.most_bytes
    assert len(cut) <= tokens * MAX_CHARACTERS_PER_TOKEN + 1


def test_without_a_count_the_script_of_the_text_gives_an_estimate() -> None:
    """Four characters of English are a token, and so is one and a half of Chinese."""
    english, chinese = SizedInput.of(100, "word " * 200, "t"), SizedInput.of(100, "一二三四五" * 200, "t")
    assert {len(cut_text(english, probe, 0)) for probe in (None, InputProbe(8_000, None))} == {400}
    assert len(cut_text(chinese, None, 0)) == 150
    assert not InputProbe(8_000, None).is_known
    assert not InputProbe(8_000, 0).is_known
