"""The part of a suite file that says what replies must be like."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema, model_validator

from runner.checks.matching import MATCH_PATTERN, SHARE_PATTERN, read_matching, read_share
from runner.suite.schema_types import OneOrMore, Seconds, Text, Written, checked

FUNCTION_PATTERN = r"^([A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*:[A-Za-z_][A-Za-z0-9_]*$"

Language = Literal[
    "zh", "ja", "ko", "en", "fr", "de", "es", "it", "pt", "nl", "sv", "pl", "tr", "vi", "id", "ru", "uk", "bg"
]


def _read_pattern(text: str) -> None:
    from runner.checks.pattern import compile_pattern  # noqa: PLC0415 -- few suites need RE2

    try:
        compile_pattern(text)
    except ValueError as error:
        raise ValueError(f"this pattern cannot be read: {error}. Correct it; RE2 knows no look-around") from None


def _read_function(text: str) -> None:
    if not re.fullmatch(FUNCTION_PATTERN, text):
        raise ValueError(f"`{text}` names no function. Write module:function, such as haiku:has_three_lines")


def _check_schema(schema: bool | Mapping[str, JsonValue]) -> bool | Mapping[str, JsonValue]:
    from runner.checks.json_answer import schema_fault  # noqa: PLC0415 -- brings jsonschema

    fault = None if isinstance(schema, bool) else schema_fault(schema)
    if fault:
        raise ValueError(f"this is no JSON Schema: {fault.replace('. ', ', ')}. Correct it")
    return schema


Pattern = Annotated[Text, Field(max_length=10_000), AfterValidator(checked(_read_pattern))]
Patterns = Pattern | Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]
TrueOrSchema = Annotated[bool | Mapping[str, JsonValue], AfterValidator(_check_schema)]
Function = Annotated[
    str, AfterValidator(checked(_read_function)), WithJsonSchema({"type": "string", "pattern": FUNCTION_PATTERN})
]
PluginChecks = Annotated[Mapping[Text, JsonValue], Field(min_length=1, max_length=100)]
Functions = Function | Annotated[tuple[Function, ...], Field(min_length=1, max_length=100)]
Characters = Annotated[int, Field(ge=0, le=100_000_000)]
Amount = Annotated[float, Field(gt=0, le=1e12)]
Share = Annotated[
    str, AfterValidator(checked(read_share)), WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN})
]
Match = Annotated[
    str, AfterValidator(checked(read_matching)), WithJsonSchema({"type": "string", "pattern": MATCH_PATTERN})
]


class WrittenLength(Written):
    """How many characters an answer may have."""

    min: Characters | None = Field(default=None, description="The fewest characters.")
    max: Characters | None = Field(default=None, description="The most characters.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("neither `min` nor `max` is here. Write one of them, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min} is more than `max` {self.max}. Exchange them")
        return self


class WrittenChecks(Written):
    """What a reply must be like, each key a check. `null` takes a default back."""

    equals: OneOrMore | None = Field(default=None, description="The whole answer; of several texts, one of them.")
    contains: OneOrMore | None = Field(default=None, description="Texts that are all in the answer.")
    not_contains: OneOrMore | None = Field(default=None, description="Texts of which none is in the answer.")
    starts_with: OneOrMore | None = Field(default=None, description="How the answer begins; of several, one of them.")
    regex: Patterns | None = Field(default=None, description="RE2 patterns that are all found in the answer.")
    json_: TrueOrSchema | None = Field(
        default=None, alias="json", description="True: the answer is JSON. A JSON Schema: it fits that, too."
    )
    length: WrittenLength | None = Field(default=None, description="How many characters the answer has.")
    language: Language | None = Field(default=None, description="The language most of the answer is in; a heuristic.")
    no_refusal: bool | None = Field(default=None, description="True: the model does not decline; a heuristic.")
    finish_reason: OneOrMore | None = Field(default=None, description="The reason to finish; of several, one of them.")
    max_ttft_s: Seconds | None = Field(default=None, description="Seconds in which the first text has come.")
    max_total_s: Seconds | None = Field(default=None, description="Seconds in which the reply is whole.")
    min_output_tps: Amount | None = Field(default=None, description="Tokens a second, at least.")
    max_cost: Amount | None = Field(default=None, description="What a request may cost, in its target's currency.")
    python: Functions | None = Field(
        default=None, description="Functions beside the suite, as module:function; each is called with the record."
    )
    plugin: PluginChecks | None = Field(
        default=None, description="Checks of installed plug-ins: the name of each, and what it wants of an answer."
    )


def plain_checks(written: WrittenChecks) -> dict[str, Any]:
    """Return checks by name as plain data; None where a default is taken back."""
    checks = written.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: None if wanted is False else wanted for name, wanted in checks.items()}
