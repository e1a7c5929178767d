"""How a suite writes the arguments of a call that it wants: values, or a JSON Schema."""

from collections.abc import Mapping
from typing import Any


def is_arguments_schema(arguments: Mapping[str, Any]) -> bool:
    """Return whether the `arguments` of a check are a JSON Schema and not values."""
    return arguments.get("type") == "object" and isinstance(arguments.get("properties"), Mapping)
