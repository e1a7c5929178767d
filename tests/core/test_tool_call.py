"""Tool calls: their arguments as JSON, and when two calls are the same."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.tool_call import MAX_ARGUMENT_DEPTH, ToolCall, canonical_calls, read_calls, write_calls

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
CALLS = st.lists(st.builds(ToolCall, st.text(), st.text() | OBJECTS.map(json.dumps), st.none() | st.text()), max_size=4)


def shuffled(value: Any, random: Random) -> Any:
    """Return an equal JSON value whose objects have their names in another order."""
    match value:
        case dict():
            names = random.sample([*value], len(value))
            return {name: shuffled(value[name], random) for name in names}
        case list():
            return [shuffled(each, random) for each in value]
        case _:
            return value


@given(OBJECTS, st.randoms(use_true_random=False), st.sampled_from([None, 1, 4]), st.booleans())
def test_calls_are_the_same_however_their_json_is_written(
    arguments: dict[str, Any], random: Random, indent: int | None, is_ascii: bool
) -> None:
    """Order of names, white space, escapes and ids make no difference."""
    one = ToolCall("f", json.dumps(arguments), "call_1")
    other = ToolCall("f", json.dumps(shuffled(arguments, random), indent=indent, ensure_ascii=is_ascii))
    assert one.canonical == other.canonical
    assert one.values == other.values == arguments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"n": 1}', '{"n": true}'),
        ('{"n": 1}', '{"n": "1"}'),
        ('{"n": null}', "{}"),
        ('{"n": [1, 2]}', '{"n": [2, 1]}'),
        ('{"s": "a b"}', '{"s": "a  b"}'),
        ('{"s": "A"}', '{"s": "a"}'),
        ('{"n": 9007199254740993}', '{"n": 9007199254740992}'),
        ("Paris", '"Paris"'),
    ],
)
def test_calls_with_other_values_differ(one: str, other: str) -> None:
    """Types, the order of lists and blanks within texts count."""
    assert ToolCall("f", one).canonical != ToolCall("f", other).canonical


@pytest.mark.parametrize(
    ("one", "other"), [('{"n": 1}', '{"n": 1.0}'), ('{"n": 100}', '{"n": 1e2}'), ("", " {} "), ("[1,2]", "[1, 2]")]
)
def test_equal_values_are_the_same(one: str, other: str) -> None:
    """Numbers count by their value, and no arguments are an empty object."""
    assert ToolCall("f", one).canonical == ToolCall("f", other).canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", "Paris", '{"city": "Par', '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', "[1]", '"Paris"', "null"),
        *(
            '{"a":' * 100_000,
            f'{{"a": {"[" * MAX_ARGUMENT_DEPTH}{"]" * MAX_ARGUMENT_DEPTH}}}',
            f'{{"a": {"9" * 5000}}}',
        ),
    ],
)
def test_arguments_that_are_no_plain_object_stay_text(text: str) -> None:
    """These are cut off, repeat names, or have too large numbers or too many levels."""
    call = ToolCall("f", text)
    assert call.values is None
    assert call.plain == {"name": "f", "arguments": text}
    assert read_calls(write_calls([call])) == (call,)
    assert call.canonical == call.canonical.canonical


@given(CALLS)
def test_written_calls_are_read_back(calls: list[ToolCall]) -> None:
    """Names and arguments are equal by value and in the same order; a reply without calls has no list."""
    written = write_calls(calls)
    assert (written is None) == (not calls)
    back = read_calls(written)
    assert [call.plain for call in back] == [call.plain for call in calls]
    assert write_calls(back) == written
    assert canonical_calls(back) == canonical_calls(reversed(calls))


def test_written_calls_can_be_encoded() -> None:
    """Half a surrogate pair, which UTF-8 cannot hold, is escaped as JSON does, and read back."""
    call = ToolCall("f", "half \ud83d")
    written = write_calls([call])
    assert written == '[{"name": "f", "arguments": "half \\ud83d"}]'
    assert read_calls(written) == (call,)


@pytest.mark.parametrize(
    "text", ["{", "1", "[1]", '[{"name": "f"}]', '[{"name": 1, "arguments": ""}]', '{"name": "f"}']
)
def test_other_json_is_no_list_of_calls(text: str) -> None:
    """It is refused with an error that quotes it."""
    with pytest.raises(ValueError):  # noqa: PT011 -- of the JSON parser or of ours
        read_calls(text)
