"""Fields keep their stored names in files when they are renamed in the code."""

from dataclasses import dataclass

import pytest

from runner.storage.stored_field_names import StoredNames


@dataclass
class Point:
    """A dataclass whose field `x` was called `left` when its first file was written."""

    x: int
    y: int = 0


def test_a_renamed_field_keeps_its_stored_name() -> None:
    """The file says `left`, the code says `x`, and names of a later version are ignored."""
    names = StoredNames(Point, "y", left="x")
    assert names.names == ("left", "y")
    assert names.encode(Point(1, 2)) == {"left": 1, "y": 2}
    assert Point(**names.decode({"left": 1, "later": 3})) == Point(1)


@pytest.mark.parametrize(
    ("names", "renamed"), [(("x",), {}), (("x", "y", "z"), {}), (("left", "y"), {}), (("x", "y"), {"left": "x"})]
)
def test_each_field_needs_one_stored_name(names: tuple[str, ...], renamed: dict[str, str]) -> None:
    """A field without a stored name is an error at import, and not in a user's file."""
    with pytest.raises(TypeError, match="Point: give each field one stored name"):
        StoredNames(Point, *names, **renamed)
