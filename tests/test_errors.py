"""The words that messages share: a number with its noun, a shortened list, the word that was meant."""

from runner.errors import Problem, counted, did_you_mean, list_first


def test_a_number_has_its_noun_in_the_singular_or_the_plural() -> None:
    """An irregular plural is given with the noun."""
    assert [counted(n, "request") for n in (0, 1, 2_000)] == ["0 requests", "1 request", "2,000 requests"]
    assert [counted(n, "query", "queries") for n in (1, 2)] == ["1 query", "2 queries"]


def test_names_beyond_a_number_are_counted() -> None:
    """Names up to that number are listed, and the others are counted."""
    assert [list_first(["a", "b", "c"][:n], 2) for n in (0, 1, 2, 3)] == ["", "a", "a, b", "a, b and 1 more"]


def test_a_similar_word_is_proposed() -> None:
    """If no known word is similar, the other hint is given."""
    assert did_you_mean("promt", ["system", "prompt"], "Remove it") == "Did you mean `prompt`?"
    assert did_you_mean("xyz", ["system", "prompt"], "Remove it") == "Remove it"


def test_a_problem_ends_with_one_mark() -> None:
    """A hint that is a question gets no full stop."""
    hints = ("Did you mean `prompt`?", "Remove it")
    problems = [str(Problem("s.yaml", 1, 2, "unknown key `promt`", hint)) for hint in hints]
    assert [each.partition("`. ")[2] for each in problems] == ["Did you mean `prompt`?", "Remove it."]
