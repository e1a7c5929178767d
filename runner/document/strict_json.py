"""Parse JSON strictly: NaN and repeated keys are refused."""

import json
from collections.abc import Sequence

from runner.document.document_tree import START, Json, Position, invalid_file


def parse_json(text: str, path: str, *, if_several: str = "Correct it") -> Json:
    """Return the value in JSON text; `path` is its name in messages, `if_several` the hint for several values.

    Raises:
        InvalidFile: the text is not valid.

    """
    try:
        return strict_json(text)
    except json.JSONDecodeError as error:
        hint = if_several if error.msg == "Extra data" else "Correct it"
        raise invalid_file(path, Position(error.lineno, error.colno), f"this is not JSON: {error.msg}", hint) from None
    except (ValueError, RecursionError) as error:
        raise invalid_file(path, START, f"this cannot be read: {error}", "Correct it") from None


def strict_json(text: str) -> Json:
    """Return the value in JSON text.

    Raises:
        ValueError: the text is not valid JSON, contains NaN or an infinity, or repeats a key.
        RecursionError: the values are nested too deeply.

    """
    value: Json = json.loads(text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant)
    return value


def _refuse_repeated_keys(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is repeated in it")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
