"""What all parts of a suite file share: strict models, and the kinds of text and number in them."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

DAY_S = 86_400


def _check_printable(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("spaces at its ends and characters that cannot be seen do not belong here. Remove them")
    return text


NAME_SCHEMA = {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 200}
VALUE_SCHEMA = {"type": ["string", "number", "boolean"]}
"""What editors accept: numbers and truth values too, which are taken as they are written."""

Text = Annotated[str, Field(min_length=1)]
Name = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(_check_printable), WithJsonSchema(NAME_SCHEMA)
]
VariableName = Annotated[str, Field(min_length=1, max_length=200)]
Value = Annotated[str, WithJsonSchema(VALUE_SCHEMA)]
Values = Annotated[tuple[Value, ...], Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, le=DAY_S)]
OneOrMore = Text | Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


class Written(BaseModel):
    """What all parts of the file share: no unknown keys, no guessing at types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def checked(read: Callable[[str], object]) -> Callable[[str], str]:
    """Make a validator out of what reads a text or raises ValueError: the text is kept as it is written."""

    def check(text: str) -> str:
        read(text)
        return text

    return check
