"""A suite's digest: equal for files that mean the same, however they are written."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from hashlib import sha256

from runner.core.suite import Suite

_MEANINGLESS = frozenset({"digest", "name", "description", "path", "line", "demands"})
"""What changes nothing that is sent: two runs of equal digest asked the same, whatever was demanded of the replies."""


def digest_of(suite: Suite, providers: Mapping[str, object]) -> str:
    """Return the SHA-256 of a suite's meaning, the suite's own providers included."""
    meaning = {"suite": _meaning(suite), "providers": providers}
    return sha256(json.dumps(meaning, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _meaning(value: object) -> object:
    """Return plain data without what is at its default, so that a new key leaves old digests alone."""
    if is_dataclass(value):
        kept = ((field, getattr(value, field.name)) for field in fields(value) if field.name not in _MEANINGLESS)
        return {field.name: _meaning(item) for field, item in kept if item != _default(field)}
    if isinstance(value, Mapping):
        return {key: _meaning(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_meaning(item) for item in value]
    return value


def _default(field: "Field[object]") -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
