"""JSON Schema with bounded work: no schema and no answer can take forever, or end in an exception.

jsonschema evaluates schemas, with some keywords replaced: patterns are RE2's, as in the check `regex`; `uniqueItems`
takes linear time; numbers may be of any size. Each step of an evaluation is counted, since a schema of a few lines can
require an unlimited number of steps. Faults of a schema are found when a suite is read.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from fractions import Fraction
from functools import cache, lru_cache
from graphlib import CycleError, TopologicalSorter
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for
from referencing import Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY, specification_with

from runner.checks.check_finding import WorkExceeded
from runner.checks.regex import compile_pattern, is_found

MAX_STEPS = 100_000
"""Limit on the steps of one evaluation; a step takes about 10 to 20 µs."""

CHARACTERS_PER_STEP = 1_000
"""Characters of a text or a message that count as one step."""

WORK_PER_STEP = 2_000
"""Instructions of a compiled pattern times characters of a text that count as one step: at worst, 7 ns for each."""

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|c([A-Za-z])|.)"
)

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError]]
"""A keyword's function, given a validator, the keyword's value, the instance and the schema."""

_steps_left: ContextVar[int] = ContextVar("steps_left")


def first_error(schema: str, value: Any) -> ValidationError | None:
    """Return the first reason why a value does not fit a schema, given as JSON; None if it fits.

    Raises:
        WorkExceeded: that takes more than `MAX_STEPS`.
        Unresolvable: the schema points to what is not in it.
        RecursionError: the schema points to itself without end, or the value is nested too deeply.

    """
    _steps_left.set(MAX_STEPS)
    errors: Iterator[ValidationError] = _validator(schema).iter_errors(value)
    return next(errors, None)


@lru_cache(maxsize=64)
def _validator(schema: str) -> Validator:
    """Return a validator for a schema; it never fetches references from elsewhere."""
    parsed = json.loads(schema)
    kind = _with_limited_work(validator_for(parsed, default=Draft202012Validator))
    validator: Validator = kind(parsed, registry=EMPTY_REGISTRY)
    return validator


@cache
def _with_limited_work(kind: Any) -> Any:
    """Return a draft's validator with our keywords in place of its own, and with every step counted."""
    own = {name: keyword for name, keyword in _KEYWORDS.items() if name in kind.VALIDATORS}
    make: Any = extend  # it has no type annotations
    return make(kind, {name: _counted(keyword) for name, keyword in {**kind.VALIDATORS, **own}.items()})


def _counted(keyword: Keyword) -> Keyword:
    def count(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _count_steps(1)
        for error in keyword(validator, wanted, instance, schema) or ():
            _count_steps(len(error.message) // CHARACTERS_PER_STEP)
            yield error

    return count


def _count_steps(steps: int) -> None:
    left = _steps_left.get(MAX_STEPS) - steps
    if left < 0:
        raise WorkExceeded
    _steps_left.set(left)


# Keywords


def _pattern(validator: Any, wanted: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(wanted, instance):
        yield ValidationError(f"{instance!r} does not match {wanted!r}")


def _pattern_properties(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for pattern, subschema in wanted.items():
            for name in [name for name in instance if _matches(pattern, name)]:
                yield from validator.descend(instance[name], subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    extra = [
        name
        for name in instance
        if name not in schema.get("properties", {}) and not any(_matches(pattern, name) for pattern in patterns)
    ]
    if isinstance(wanted, dict):
        for name in extra:
            yield from validator.descend(instance[name], wanted, path=name)
    elif not wanted and extra:
        yield ValidationError(f"Additional properties are not allowed ({_listed(extra)} unexpected)")


def _unevaluated_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    rest = instance.keys() - _evaluated(validator, instance, schema, of_own=False)
    failed = [name for name in rest if not _fits(validator, instance[name], wanted)]
    if failed:
        yield ValidationError(f"Unevaluated properties are not allowed ({_listed(failed)} unexpected)")


def _evaluated(validator: Any, instance: Mapping[str, Any], schema: Any, *, of_own: bool = True) -> set[str]:
    """Return the names of an object's members that any keyword or reference of a schema evaluates.

    Args:
        validator: the validator at this place of the schema.
        instance: the object.
        schema: the schema.
        of_own: whether its own `unevaluatedProperties` counts.

    """
    if not isinstance(schema, dict):
        return set()
    _count_steps(1)
    found = set(schema.get("properties", {})) & instance.keys()
    found |= {name for name in instance for each in schema.get("patternProperties", {}) if _matches(each, name)}
    for keyword in ("additionalProperties", "unevaluatedProperties")[: 1 + of_own]:
        if keyword in schema:
            found |= {name for name, value in instance.items() if _fits(validator, value, schema[keyword])}
    for reference in REFERENCES:
        if reference in schema:
            resolved = validator._resolver.lookup(schema[reference])  # noqa: SLF001 -- as the library's own keyword
            there = validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
            found |= _evaluated(there, instance, resolved.contents)
    for subschema in _applied(validator, instance, schema):
        found |= _evaluated(validator, instance, subschema)
    return found


def _applied(validator: Any, instance: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the subschemas that apply to the same object and that it fits."""
    yield from (each for name, each in schema.get("dependentSchemas", {}).items() if name in instance)
    for keyword in ("allOf", "oneOf", "anyOf"):
        yield from (each for each in schema.get(keyword, ()) if _fits(validator, instance, each))
    if "if" in schema:
        holds = _fits(validator, instance, schema["if"])
        yield from (schema[keyword] for keyword in ("if", "then") if holds and keyword in schema)
        yield from (schema[keyword] for keyword in ("else",) if not holds and keyword in schema)


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: dict[str, int] = {}
    for place, item in enumerate(instance):
        _count_steps(1)
        first = seen.setdefault(json.dumps(_comparable(item), sort_keys=True), place)
        if first != place:
            yield ValidationError(f"items {first} and {place} are equal, and all must differ")
            return


def _comparable(value: Any) -> Any:
    """Return a JSON value in a form in which equal values have equal JSON: 1.0 becomes 1."""
    match value:
        case dict():
            return {name: _comparable(member) for name, member in value.items()}
        case list():
            return [_comparable(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _multiple_of(validator: Any, wanted: float, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "number"):
        return
    if not _is_finite(instance):
        yield ValidationError(f"it is too large a number to tell whether it is a multiple of {wanted}")
    elif not _divides(wanted, instance):
        yield ValidationError(f"{instance!r} is not a multiple of {wanted}")


def _divides(factor: Any, number: Any) -> bool:
    if isinstance(factor, float) or isinstance(number, float):
        try:
            quotient = number / factor
        except OverflowError:
            quotient = float("inf")
        if isfinite(quotient):
            return bool(quotient == int(quotient))
    return (Fraction(number) / Fraction(factor)).denominator == 1


def _is_finite(number: Any) -> bool:
    return not isinstance(number, float) or isfinite(number)


def _matches(pattern: str, text: str) -> bool:
    translated = _in_re2(pattern)
    work = compile_pattern(translated).programsize * len(text)
    _count_steps(1 + len(text) // CHARACTERS_PER_STEP + work // WORK_PER_STEP)
    return is_found(translated, text)


def _fits(validator: Any, value: Any, schema: Any) -> bool:
    return next(validator.descend(value, schema), None) is None


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, sorted(names)[:10]))} {'was' if len(names) == 1 else 'were'}"


@lru_cache(maxsize=1024)
def _in_re2(pattern: str) -> str:
    r"""Return a pattern of ECMA 262, the syntax of JSON Schema, in RE2's syntax: `\x{e9}` for `\u00e9`."""

    def convert(escape: re.Match[str]) -> str:
        high, low, unit, control = escape.groups()
        if high:
            return rf"\x{{{0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00:x}}}"
        if unit:
            return rf"\x{{{unit}}}"
        return rf"\x{{{ord(control.upper()) - 64:x}}}" if control else escape[0]

    return _ESCAPE.sub(convert, pattern)


_KEYWORDS: Mapping[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
    "multipleOf": _multiple_of,
}


# Faults of a schema

IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "extends")
"""Keywords whose subschemas apply to the same value: a cycle of these and of references never ends."""


def schema_fault(schema: Any) -> str | None:
    """Return what is wrong with a JSON Schema; None if any value can be checked by it."""
    kind: Any = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema, format_checker=None)  # a format checker would compile patterns with `re`
        return _SchemaWalk(kind).find_fault(schema)
    except SchemaError as error:
        return f"at {error.json_path}: {error.message}"
    except RecursionError:
        return "it is nested too deeply"


class _SchemaWalk:
    """Visits a schema and every schema that it references."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._specification = specification_with(kind.META_SCHEMA.get("$id") or kind.META_SCHEMA["id"])
        self._same_value: dict[int, set[int]] = {}
        """`id()` of a schema -> `id()` of each schema that is applied to the same value."""

    def find_fault(self, schema: Any) -> str | None:
        """Return the first fault; None if there is none."""
        resource = Resource.from_contents(schema, default_specification=self._specification)
        fault = self._visit(resource, EMPTY_REGISTRY.resolver_with_root(resource))
        if fault is not None:
            return fault
        try:
            TopologicalSorter(self._same_value).prepare()
        except CycleError:
            return "it points to itself without end"
        return None

    def _visit(self, resource: Any, resolver: Any) -> str | None:
        contents = resource.contents
        if not isinstance(contents, dict) or id(contents) in self._same_value:
            return None
        followers = self._same_value[id(contents)] = set()
        followers |= {id(each) for keyword in IN_PLACE for each in _schemas_in(contents.get(keyword))}
        followers |= {id(each) for each in _as_object(contents.get("dependentSchemas")).values()}
        fault = _fault_of_keywords(contents)
        for keyword in REFERENCES:
            if fault is None and isinstance(reference := contents.get(keyword), str):
                fault = self._follow(keyword, reference, resolver, followers)
        for inner in resource.subresources():
            fault = fault or self._visit(inner, resolver.in_subresource(inner))
        return fault

    def _follow(self, keyword: str, reference: str, resolver: Any, followers: set[int]) -> str | None:
        try:
            resolved = resolver.lookup(reference)
        except Unresolvable:
            return f"`{keyword}` points to `{reference}`, which is not in it"
        if not isinstance(resolved.contents, dict | bool):
            return f"`{keyword}` points to `{reference}`, which is not a schema"
        self._kind.check_schema(resolved.contents, format_checker=None)
        if keyword == "$ref":
            followers.add(id(resolved.contents))
        target = Resource.from_contents(resolved.contents, default_specification=self._specification)
        return self._visit(target, resolved.resolver)


def _fault_of_keywords(schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a schema's own patterns and numbers."""
    for pattern in (schema.get("pattern"), *_as_object(schema.get("patternProperties"))):
        if isinstance(pattern, str):
            try:
                compile_pattern(_in_re2(pattern))
            except ValueError as error:
                return f"the pattern `{pattern}` cannot be read: {error}; RE2 knows no look-around"
    numbers = (value for value in schema.values() if isinstance(value, float))
    return None if all(map(isfinite, numbers)) else "it has a number that is not finite"


def _schemas_in(value: Any) -> list[Any]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _as_object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
