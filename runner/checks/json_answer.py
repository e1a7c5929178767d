"""The check `json`: the answer is valid JSON, and fits a JSON Schema if the suite gives one.

The answer must be the JSON alone, or one fenced code block with nothing else; text around it fails the check.
"""

import json
import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from runner.checks.answer_text import quote
from runner.checks.finding import PASSED, CheckFinding, failed, undecided

_FENCED = re.compile(r"(`{3,}|~{3,})(?:json)?[ \t]*\n(.*)\n[ \t]*\1", re.DOTALL | re.IGNORECASE)


def is_json(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer is JSON, and fits `wanted` if that is a schema."""
    fenced = _FENCED.fullmatch(answer)
    try:
        value = json.loads(fenced[2] if fenced else answer, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return failed(f"{quote(answer)} is not JSON: {_reason(error)}")
    return PASSED if wanted is True else _fits(value, json.dumps(wanted))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a value of JSON")


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _fits(value: Any, schema: str) -> CheckFinding:
    try:
        first = next(_validator(schema).iter_errors(value), None)
    except Unresolvable as error:
        return undecided(f"the JSON Schema points to {error.ref}, which is not in it")
    except RecursionError:
        return undecided("the JSON Schema points to itself without end")
    return PASSED if first is None else failed(f"at {first.json_path}: {quote(first.message)}")


@lru_cache(maxsize=64)
def _validator(schema: str) -> Validator:
    """Return a validator for a schema; it never fetches references from elsewhere."""
    parsed = json.loads(schema)
    return validator_for(parsed, default=Draft202012Validator)(parsed, registry=EMPTY_REGISTRY)


def schema_fault(schema: Any) -> str | None:
    """Return what is wrong with a JSON Schema; None if it is valid."""
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"at {error.json_path}: {error.message}"
    return None
