"""Parse JSON strictly: neither NaN nor repeated keys."""

import json
from collections.abc import Sequence

from runner.document.nodes import START, Json, Position, refusal


def parse_json(text: str, path: str, *, if_several: str = "Correct it") -> Json:
    """Return the value in JSON text; `path` is its name in messages, `if_several` what to do about several values.

    Raises:
        InvalidFile: the text is not valid.

    """
    try:
        return strict_json(text)
    except json.JSONDecodeError as error:
        hint = if_several if error.msg == "Extra data" else "Correct it"
        raise refusal(path, Position(error.lineno, error.colno), f"this is not JSON: {error.msg}", hint) from None
    except (ValueError, RecursionError) as error:
        raise refusal(path, START, f"this cannot be read: {error}", "Correct it") from None


def strict_json(text: str) -> Json:
    """Return parsed JSON; raise ValueError where it is invalid, NaN and repeated keys included."""
    value: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    return value


def _unique(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is repeated in it")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
