"""The base of every part of a suite file, and the types of values that several parts have."""

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

Written = TypeVar("Written", bound=bool | Mapping[str, JsonValue])


class StrictModel(BaseModel):
    """A part of the file: unknown keys and converted types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


DAY_S = 86_400


def _check_printable(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("spaces at its ends and characters that cannot be seen do not belong here. Remove them")
    return text


NAME_SCHEMA = {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 200}
VALUE_SCHEMA = {"type": ["string", "number", "boolean"]}
"""Editors accept numbers and truth values too; they are read as the text that was written."""

Text = Annotated[str, Field(min_length=1)]

Name = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(_check_printable), WithJsonSchema(NAME_SCHEMA)
]
Seconds = Annotated[float, Field(gt=0, le=DAY_S)]
OneOrMore = Text | Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


def checked(read: Callable[[str], object]) -> Callable[[str], str]:
    """Return a validator that keeps a text as written if `read` accepts it; `read` raises ValueError otherwise."""

    def check(text: str) -> str:
        read(text)
        return text

    return check


def check_json_schema(schema: Written) -> Written:
    """Return a JSON Schema unchanged.

    Raises:
        ValueError: it is not a valid JSON Schema.

    """
    from runner.checks.json_schema import schema_fault  # noqa: PLC0415 -- brings jsonschema

    fault = None if isinstance(schema, bool) else schema_fault(schema)
    if fault:
        raise ValueError(f"this is not a JSON Schema: {fault.replace('. ', ', ')}. Correct it")
    return schema
