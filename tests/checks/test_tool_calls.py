"""The checks of tool calls: `calls`, `no_calls`, `calls_at_most`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.checks.apply_checks import apply_checks
from runner.checks.check_finding import CheckVerdict
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.core.tool_call import ToolCall

IDENTITY = Identity("k", "c", 1, 1, 1, "p", "m", "Hello?")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(max_size=4), JSON, max_size=4)


def record_of(*calls: ToolCall, earlier: tuple[ToolCall, ...] = ()) -> Record:
    """Return a record of a reply with these calls."""
    return Record(IDENTITY, Timestamps(), Outcome.OK, reply="", calls=calls, earlier_calls=earlier)


def verdict_of(checks: dict[str, Any], record: Record) -> tuple[CheckVerdict, str | None]:
    """Return the verdict of the only check, and its reason."""
    (finding,) = apply_checks(checks, record, cost=None, is_last_turn=True).values()
    return finding.verdict, finding.why


def weather(**arguments: object) -> ToolCall:
    """Return a call of get_weather."""
    return ToolCall("get_weather", json.dumps(arguments))


PARIS = {"name": "get_weather", "arguments": {"city": "Paris"}}
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("wanted", "calls", "why"),
    [
        (PARIS, [weather(city="Paris", unit="C")], None),
        ({"name": "get_weather"}, [weather()], None),
        (PARIS, [ToolCall("get_time", "{}"), weather(city="Paris")], None),
        (PARIS, [], "no tool was called; expected get_weather"),
        (PARIS, [ToolCall("get_time", "{}")], "get_weather was not called; instead “get_time({})”"),
        (PARIS, [weather(city="London")], 'get_weather was called with `city` "London", not "Paris"'),
        (PARIS, [weather(town="Paris")], 'get_weather was called without `city`; expected "Paris"'),
        (PARIS, [ToolCall("get_weather", "{")], "the arguments of get_weather are not a JSON object: “{”"),
        ({"name": "get_weather", "arguments": SCHEMA}, [weather(city="Paris")], None),
        (
            {"name": "get_weather", "arguments": SCHEMA},
            [weather(city="Rome")],
            "the arguments of get_weather do not fit: at $.city: “'Rome' is not one of ['Paris']”",
        ),
        (
            [{"name": "get_weather"}] * 2,
            [weather()],
            "get_weather was called only once",
        ),
        ([{"name": "get_weather"}, PARIS], [weather(city="Paris"), weather(city="Rome")], None),
        ({"name": "get_weather", "arguments": {"city": "Paris", "n": 1}}, [weather(city="Paris", n=1.0)], None),
        ({"name": "now", "arguments": {}}, [ToolCall("now", "")], None),
    ],
)
def test_expected_calls_pass_among_others_and_failures_list_all_calls(
    wanted: Any, calls: list[ToolCall], why: str | None
) -> None:
    """Every expected call must have been made; further calls do not matter."""
    expected = (CheckVerdict.PASSED, None) if why is None else (CheckVerdict.FAILED, why)
    assert verdict_of({"calls": wanted}, record_of(*calls)) == expected


def test_a_call_that_was_written_as_text_is_shown() -> None:
    """A server whose parser failed has the call in the answer, which the reason quotes."""
    record = Record(IDENTITY, Timestamps(), Outcome.OK, reply="<call>get_weather(Paris)</call>")
    why = "no tool was called; expected get_weather, which the answer names: “<call>get_weather(Paris)</call>”"
    assert verdict_of({"calls": PARIS}, record) == (CheckVerdict.FAILED, why)


def test_the_calls_of_earlier_steps_count() -> None:
    """Calls of earlier steps count like those of the last one."""
    assert verdict_of({"calls": PARIS}, record_of(earlier=(weather(city="Paris"),)))[0] is CheckVerdict.PASSED
    assert verdict_of({"no_calls": True}, record_of(earlier=(weather(),))) == (
        CheckVerdict.FAILED,
        "called “get_weather({})”, but no tool was expected",
    )
    three = record_of(weather(), weather(), earlier=(weather(),))
    assert verdict_of({"calls_at_most": 3}, three)[0] is CheckVerdict.PASSED
    assert verdict_of({"calls_at_most": 2}, three) == (
        CheckVerdict.FAILED,
        "3 calls, more than 2: “get_weather({})”, “get_weather({})”, “get_weather({})”",
    )
    assert verdict_of({"calls_at_most": 0}, record_of(weather()))[1] == "1 call, more than 0: “get_weather({})”"
    assert verdict_of({"no_calls": True}, record_of())[0] is CheckVerdict.PASSED


@given(ARGUMENTS, ARGUMENTS)
def test_only_the_expected_arguments_are_compared_as_json(wanted: dict[str, Any], others: dict[str, Any]) -> None:
    """A call passes if and only if each expected value is there and equal."""
    made = ToolCall("f", json.dumps({**others, **wanted}))
    is_schema = wanted.get("type") == "object" and isinstance(wanted.get("properties"), dict)
    if not is_schema:
        assert verdict_of({"calls": {"name": "f", "arguments": wanted}}, record_of(made))[0] is CheckVerdict.PASSED
    for name, value in wanted.items():
        changed = {**others, **wanted, name: [value]}
        verdict, why = verdict_of(
            {"calls": {"name": "f", "arguments": {name: value}}}, record_of(ToolCall("f", json.dumps(changed)))
        )
        assert verdict is CheckVerdict.FAILED
        assert why is not None


@given(st.lists(st.sampled_from("ab"), max_size=5), st.lists(st.sampled_from("ab"), min_size=1, max_size=5))
def test_each_expected_call_needs_its_own_call(made: list[str], wanted: list[str]) -> None:
    """The check passes if every tool was called at least as often as expected."""
    record = record_of(*(ToolCall(name, "{}") for name in made))
    verdict, _ = verdict_of({"calls": [{"name": name} for name in wanted]}, record)
    enough = all(made.count(name) >= wanted.count(name) for name in "ab")
    assert (verdict is CheckVerdict.PASSED) == enough


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_call_is_judged(name: str, arguments: str) -> None:
    """No call makes a check raise."""
    for checks in ({"calls": PARIS}, {"no_calls": True}, {"calls_at_most": 0}):
        verdict, why = verdict_of(checks, record_of(ToolCall(name, arguments)))
        assert verdict is CheckVerdict.FAILED
        assert why
