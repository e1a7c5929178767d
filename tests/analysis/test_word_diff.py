"""Words of two texts: split, compared and counted without losing text."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.word_diff import MAX_WORDS, DiffPiece, WordChange, share_of_words, similarity, tokenize, word_diff

TEXTS = st.text(st.sampled_from("ab c\n.我是'é🙂हि"), max_size=40) | st.text(max_size=40)


@given(TEXTS)
def test_joined_tokens_are_the_text(text: str) -> None:
    """This holds for any text."""
    assert "".join(tokenize(text)) == text


def test_a_word_is_a_run_of_letters_and_a_chinese_character_is_one_by_itself() -> None:
    """Latin words, numbers and Hindi stay whole; Chinese and Japanese are split by character; signs stand alone."""
    assert tokenize("GPT4 是 模型, café!") == ["GPT4", " ", "是", " ", "模", "型", ",", " ", "café", "!"]
    assert tokenize("हिन्दी かな 한국어") == ["हिन्दी", " ", "か", "な", " ", "한국어"]
    assert tokenize("") == []


@given(TEXTS, TEXTS)
def test_word_diff_holds_both_texts(old: str, new: str) -> None:
    """Without added pieces it is the old text, without removed ones the new text; neighbours differ in kind."""
    pieces = word_diff(old, new)
    assert "".join(piece.text for piece in pieces if piece.change is not WordChange.ADDED) == old
    assert "".join(piece.text for piece in pieces if piece.change is not WordChange.REMOVED) == new
    assert all(piece.text for piece in pieces)
    assert all(a.change is not b.change for a, b in pairwise(pieces))


def test_changes_with_a_blank_between_are_one() -> None:
    """The blank belongs to the change."""
    pieces = [(piece.change.value, piece.text) for piece in word_diff("a quick brown fox", "a slow red fox")]
    assert pieces == [("same", "a "), ("removed", "quick brown"), ("added", "slow red"), ("same", " fox")]


def test_chinese_is_compared_by_character() -> None:
    """One changed character is one change, not the whole sentence."""
    pieces = [(piece.change.value, piece.text) for piece in word_diff("我是模型", "我是人")]
    assert pieces == [("same", "我是"), ("removed", "模型"), ("added", "人")]


def test_long_texts_are_compared_by_line() -> None:
    """A text too long for a comparison by words still shows the changed line."""
    lines = [f"line {number}\n" for number in range(MAX_WORDS // 3)]
    changed = [*lines[:5], "other words\n", *lines[6:]]
    pieces = word_diff("".join(lines), "".join(changed))
    assert [(piece.change.value, piece.text) for piece in pieces[1:3]] == [
        ("removed", lines[5]),
        ("added", "other words\n"),
    ]


def test_texts_of_too_many_lines_are_not_compared() -> None:
    """The time would grow with the square of their number, or faster where lines repeat."""
    old, new = "a\n\n" * MAX_WORDS, "b\n\n" * MAX_WORDS
    assert word_diff(old, new) == (DiffPiece(WordChange.REMOVED, old), DiffPiece(WordChange.ADDED, new))


@given(TEXTS, TEXTS)
def test_similarity_is_a_share(one: str, other: str) -> None:
    """It is between 0 and 1; a text is entirely similar to itself."""
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one) == 1


def test_similarity_counts_chinese_characters_as_words() -> None:
    """One of four characters differs."""
    assert similarity("今天下雨", "今天下雪") == 0.75


def test_similarity_of_long_texts_does_not_depend_on_the_order_of_words() -> None:
    """Comparing 60,000 words in order, of which a few repeat, would take hours."""
    words = 30_000
    assert similarity("yes no " * words, "no yes " * words) == 1
    assert similarity("yes no " * words, "no maybe " * words) == 0.5


@given(TEXTS, TEXTS)
def test_share_of_words_is_symmetric(old: str, new: str) -> None:
    """It is between 0 and 1; a text shares all words with itself."""
    assert 0 <= share_of_words(old, new) == share_of_words(new, old) <= 1
    assert share_of_words(old, old) == 1


def test_share_of_words_counts_words() -> None:
    """Three common words of four are a share of three quarters; white space does not count."""
    assert share_of_words("one two three four", "one  two three\nfive") == 0.75
    assert share_of_words("yes", "no") == 0
