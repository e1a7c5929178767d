"""JSON Schema: bounded work for any schema and answer, and errors of a schema found when the suite is read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from runner.checks.apply_checks import apply_checks
from runner.checks.check_finding import CheckFinding, CheckVerdict
from runner.checks.json_schema import first_error, schema_fault
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from tests.support.command import compare, write_config, write_yaml
from tests.support.scripted_server import serve, streamed_reply

ANSWERED = Record(
    Identity("k", "a", 1, 1, 1, "acme", "m", "?"), Timestamps(), Outcome.OK, TextEvents((1,), "a", (1,)), reply=""
)


def find(check: str, wanted: object, reply: str) -> CheckFinding:
    """Return the finding of one check of a reply."""
    record = Record(ANSWERED.identity, ANSWERED.timestamps, Outcome.OK, ANSWERED.text_events, reply=reply)
    return apply_checks({check: wanted}, record, cost=None, is_last_turn=True)[check]


def fits(schema: Any, value: Any) -> bool:
    """Return whether a value is valid by a correct schema."""
    assert schema_fault(schema) is None
    return first_error(json.dumps(schema), value) is None


DOUBLED: dict[str, Any] = {
    "$ref": "#/$defs/s40",
    "$defs": {
        "s0": {"type": "string"},
        **{f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n - 1}"}] * 2} for n in range(1, 41)},
    },
}
"""A schema that needs 2^40 steps."""

EXHAUSTING: dict[str, tuple[str, Any, str]] = {
    "references that double": ("json", DOUBLED, '"x"'),
    "errors that quote a large answer": (
        "json",
        {"anyOf": [{"not": {}, "type": "string", "const": str(n)} for n in range(1000)]},
        json.dumps(["x" * 1_000_000]),
    ),
    "a huge pattern": ("regex", "a[ab]{1,900}[ab]{1,900}c", "ab" * 2_000_000),
    "a huge pattern in a schema": ("json", {"pattern": "a[ab]{1,900}[ab]{1,900}c"}, json.dumps("ab" * 2_000_000)),
    "a large pattern on many texts": (
        "json",
        {"items": {"pattern": "a[ab]{1,900}[ab]{1,900}c"}},
        json.dumps(["ab" * 10_000 + "c"] * 30),
    ),
}


@pytest.mark.parametrize(("check", "wanted", "reply"), EXHAUSTING.values(), ids=EXHAUSTING)
def test_a_check_that_needs_too_much_work_has_failed_and_says_so(check: str, wanted: object, reply: str) -> None:
    """A check that would take minutes, or forever, ends within seconds and has failed, with the reason."""
    finding = find(check, wanted, reply)
    assert finding.verdict is CheckVerdict.FAILED
    assert "more than the work that one check may take" in str(finding.why)


HOSTILE: dict[str, tuple[Any, str, CheckVerdict]] = {
    "a pattern that backtracks": ({"pattern": "^(a+)+$"}, json.dumps("a" * 100_000 + "!"), CheckVerdict.FAILED),
    "the same of names": (
        {"patternProperties": {"^(a+)+$": False}, "additionalProperties": False, "unevaluatedProperties": False},
        json.dumps({"a" * 10_000 + "!": 1}),
        CheckVerdict.FAILED,
    ),
    "names that only unevaluatedProperties tests": (
        {"allOf": [{"patternProperties": {"^(a+)+$": {}}}], "unevaluatedProperties": False},
        json.dumps({"a" * 10_000 + "!": 1}),
        CheckVerdict.FAILED,
    ),
    "many different items": (
        {"uniqueItems": True},
        json.dumps([{"n": n} for n in range(20_000)]),
        CheckVerdict.PASSED,
    ),
    "items whose hashes collide": (
        {"uniqueItems": True},
        json.dumps([n * (2**61 - 1) for n in range(20_000)]),
        CheckVerdict.PASSED,
    ),
    "a number beyond all doubles": ({"multipleOf": 2}, "1e400", CheckVerdict.FAILED),
    "the same for a fraction": ({"multipleOf": 0.1}, "1e400", CheckVerdict.FAILED),
    "a whole number beyond all doubles": ({"multipleOf": 0.5}, "1" + "0" * 400, CheckVerdict.PASSED),
    "nesting": ({"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}}, "[" * 400 + "]" * 400, None),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("schema", "reply", "verdict"), HOSTILE.values(), ids=HOSTILE)
def test_no_answer_takes_for_ever_or_raises(schema: Any, reply: str, verdict: CheckVerdict | None) -> None:
    """Patterns that backtrack, long arrays and huge numbers are judged at once."""
    assert schema_fault(schema) is None
    found = find("json", schema, reply)
    assert verdict is None or found.verdict is verdict


FAULTS: dict[str, tuple[Any, str]] = {
    "a type that does not exist": ({"type": "strin"}, "not valid"),
    "a pattern with a look-around": ({"properties": {"a": {"pattern": "(?=x)"}}}, "RE2 knows no look-around"),
    "a pattern that is none": ({"patternProperties": {"(": {}}}, "cannot be read"),
    "a reference to elsewhere": ({"$ref": "https://acme.example/s.json"}, "which is not in it"),
    "a reference to nothing": ({"items": {"$ref": "#/$defs/none"}}, "which is not in it"),
    "a reference to a number": ({"$ref": "#/$defs/n", "$defs": {"n": {"const": 3}}, "x": 3}, ""),
    "a reference to no schema": ({"$ref": "#/x", "x": 3}, "which is not a schema"),
    "a reference to a bad schema": ({"$ref": "#/x", "x": {"type": 3}}, "not valid"),
    "a reference to itself": ({"$ref": "#"}, "points to itself without end"),
    "a circle": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}},
        "points to itself without end",
    ),
    "a number that is not finite": ({"maximum": float("inf")}, "not finite"),
    "a fault in a dependent schema": ({"dependentSchemas": {"a": {"pattern": "("}}}, "cannot be read"),
}


@pytest.mark.parametrize(("schema", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_a_schema_is_found_when_the_suite_is_read(schema: Any, said: str) -> None:
    """Types, patterns, references and cycles are checked before anything is sent."""
    fault = schema_fault(schema)
    assert (fault is None) == (said == "")
    assert said in (fault or "")


def test_a_bad_schema_stops_the_command_before_it_sends(tmp_path: Path) -> None:
    """The message names the place in the suite and what is wrong."""
    case = {"id": "a", "prompt": "hi", "checks": {"json": {"$ref": "#/x", "x": 3}}}
    write_yaml(tmp_path / "suite.yaml", {"cases": [case]})
    done = compare(tmp_path, "run", "suite.yaml", "-m", "sim/quick")
    assert done.returncode == 2
    assert "points to `#/x`, which is not a schema" in done.stderr
    assert not (tmp_path / "results").exists()


def test_exhausted_checks_end_with_1_and_all_outputs(tmp_path: Path) -> None:
    """A check that exhausts its work fails its case: exit code 1, and every table exists with the reason."""
    case = {"id": "a", "prompt": "hi", "checks": {"json": DOUBLED}}
    write_yaml(tmp_path / "suite.yaml", {"cases": [case]})
    with serve(streamed_reply('"x"')) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m-1"]})
        done = compare(tmp_path, "run", "suite.yaml", "-m", "acme/m-1", "-o", "out")
    assert done.returncode == 1, done.stderr
    assert "more than the work that one check may take" in (tmp_path / "out" / "report.html").read_text("utf-8")


SUPPORTED: list[tuple[Any, Any]] = [
    ({"pattern": r"^\u00e9\d\/\-$"}, "é7/-"),
    ({"pattern": r"^\ud83d\ude00$"}, "😀"),
    ({"pattern": r"\cJ"}, "a\nb"),
    ({"pattern": "é"}, "half \ud83d é"),
    ({"multipleOf": 0.01}, 0.5),
    ({"multipleOf": 3}, 9.0),
    ({"uniqueItems": True}, [1, True, "1", [1], {"a": 1}, None, 0, False]),
    ({"unevaluatedProperties": False, "anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"a": 1}),
    (
        {
            "unevaluatedProperties": False,
            "$ref": "#/$defs/a",
            "$defs": {"a": {"if": {"required": ["a"]}, "then": {"properties": {"a": {}}}, "else": False}},
        },
        {"a": 1},
    ),
]


@pytest.mark.parametrize(("schema", "value"), SUPPORTED)
def test_values_valid_by_the_standard_pass(schema: Any, value: Any) -> None:
    """They have escapes of ECMA 262, exact multiples, items of several types and members named by other keywords."""
    assert fits(schema, value)


UNFIT: list[tuple[Any, Any]] = [
    ({"uniqueItems": True}, [1, 2, 1.0]),
    ({"uniqueItems": True}, [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]),
    ({"multipleOf": 3}, 10),
    ({"unevaluatedProperties": False, "anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"c": 1}),
    ({"additionalProperties": {"type": "string"}, "patternProperties": {"^x": {}}}, {"x": 1, "y": 2}),
]


@pytest.mark.parametrize(("schema", "value"), UNFIT)
def test_values_invalid_by_the_standard_fail(schema: Any, value: Any) -> None:
    """Equal numbers are equal in any notation, and unnamed members are found."""
    assert not fits(schema, value)


NAMES = st.sampled_from(["a", "b", "ab", "x1"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-20, 20) | st.sampled_from([0.5, 1.0, 2.5]) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
SCHEMAS = st.recursive(
    st.booleans() | st.fixed_dictionaries({}, optional={"type": st.sampled_from(["string", "object", "array"])}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "additionalProperties": inner,
            "unevaluatedProperties": st.booleans(),
            "uniqueItems": st.booleans(),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("draft", [Draft202012Validator, Draft7Validator], ids=["2020-12", "draft-7"])
@given(schema=SCHEMAS, value=VALUES)
def test_our_keywords_judge_as_the_librarys(draft: Any, schema: Any, value: Any) -> None:
    """For patterns and numbers that both can take, the bounded keywords agree with those of jsonschema."""
    if isinstance(schema, dict):
        schema = {"$schema": draft.META_SCHEMA.get("$id"), **schema}
    assert (first_error(json.dumps(schema), value) is None) == draft(schema).is_valid(value)
