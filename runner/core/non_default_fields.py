"""The fields of a dataclass that differ from their defaults, for what is stored and digested. Pure.

A field that is at its default is left out, so a new field changes neither old files nor the digests of old values.
"""

from collections.abc import Collection
from dataclasses import MISSING, fields
from typing import Any


def non_default_fields(value: Any, *, always: Collection[str] = (), never: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, by name, and those without a default.

    Args:
        value: an instance of a dataclass.
        always: names of fields to return at their defaults, too.
        never: names of fields to leave out.

    """
    changed = {}
    for spec in fields(value):
        item = getattr(value, spec.name)
        default = spec.default if spec.default_factory is MISSING else spec.default_factory()
        if spec.name not in never and (spec.name in always or item != default):
            changed[spec.name] = item
    return changed
