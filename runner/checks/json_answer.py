"""The check `json`: the answer is valid JSON, and fits a JSON Schema if the suite gives one.

The answer must be the JSON alone, or one fenced code block with nothing else; text around it fails the check.
"""

import json
import re
from hashlib import sha256
from typing import Any

from runner.checks.answer_text import quote
from runner.checks.check_finding import PASSED, CheckFinding, WorkExceeded, failed, undecided

_FENCED = re.compile(r"(`{3,}|~{3,})(?:json)?[ \t]*\n(.*)\n[ \t]*\1", re.DOTALL | re.IGNORECASE)

_exceeded: set[bytes] = set()
"""Digests of schemas and answers that took too much work, so that later tables and reports do not try them again."""


def is_json(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer is JSON, and fits `wanted` if that is a schema."""
    fenced = _FENCED.fullmatch(answer)
    try:
        value = json.loads(fenced[2] if fenced else answer, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return failed(f"{quote(answer)} is not JSON: {_reason(error)}")
    return PASSED if wanted is True else fits_schema(value, answer, json.dumps(wanted))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a value of JSON")


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def fits_schema(value: Any, answer: str, schema: str) -> CheckFinding:
    """Pass if the value of an answer fits a JSON Schema, given as JSON.

    Raises:
        WorkExceeded: that takes too much work.

    """
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 -- as below

    from runner.checks.json_schema import first_error  # noqa: PLC0415 -- brings jsonschema, and few suites have a schema

    digest = sha256(f"{schema}\0{answer}".encode(errors="replace")).digest()
    if digest in _exceeded:
        raise WorkExceeded
    try:
        first = first_error(schema, value)
    except WorkExceeded:
        _exceeded.add(digest)
        raise
    except Unresolvable as error:
        return undecided(f"the JSON Schema points to {error.ref}, which is not in it")
    except RecursionError:
        return undecided("the JSON Schema points to itself without end")
    except Exception as error:  # noqa: BLE001 -- of a run of an earlier version, which refused fewer schemas
        return undecided(f"the JSON Schema cannot be applied: {type(error).__name__}: {error}")
    return PASSED if first is None else failed(f"at {first.json_path}: {quote(first.message)}")
