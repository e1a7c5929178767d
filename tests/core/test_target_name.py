"""Names of targets: the last `#` starts a variant only if a variant of that name exists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.target_name import TargetName

NAMES = st.from_regex(r"[A-Za-z0-9._=+-]{1,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("model", "known", "divided"),
    [
        ("glm-5.3#fast", ["fast"], ("glm-5.3", "fast")),
        ("glm-5.3#fast", ["deep"], ("glm-5.3#fast", None)),
        ("ft#2#fast", ["fast", "2#fast"], ("ft#2", "fast")),
        ("ft#2", ["fast"], ("ft#2", None)),
        ("#fast", ["fast"], ("#fast", None)),
        ("vendor/glm#a=1+b", ["a=1+b"], ("vendor/glm", "a=1+b")),
        ("glm-5.3", ["glm-5.3"], ("glm-5.3", None)),
    ],
)
def test_the_last_mark_divides_only_where_the_variant_exists(
    model: str, known: list[str], divided: tuple[str, str | None]
) -> None:
    """Otherwise the text after a `#` is a part of the model's name."""
    assert TargetName("p", model).divided(known) == TargetName("p", *divided)


@given(model=st.text(min_size=1), variant=NAMES, others=st.lists(NAMES))
def test_a_written_name_is_parsed_to_the_same_value(model: str, variant: str, others: list[str]) -> None:
    """This requires that its variant exists."""
    name = TargetName("p", model, variant)
    whole = TargetName("p", name.model_and_variant)
    assert str(whole) == str(name) == f"p/{model}#{variant}"
    assert whole.divided([variant, *others]) == name
