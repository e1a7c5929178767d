"""The schema of checks: what a reply must be like."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema, model_validator

from runner.checks.match_and_pass import MATCH_PATTERN, SHARE_PATTERN, read_matching, read_share
from runner.suite.schema_parts import OneOrMore, Seconds, StrictModel, Text, WantedCalls, check_json_schema, checked

FUNCTION_PATTERN = r"^([A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*:[A-Za-z_][A-Za-z0-9_]*$"

Language = Literal[
    "zh", "ja", "ko", "en", "fr", "de", "es", "it", "pt", "nl", "sv", "pl", "tr", "vi", "id", "ru", "uk", "bg"
]


def _read_pattern(text: str) -> None:
    from runner.checks.regex import compile_pattern  # noqa: PLC0415 -- few suites need RE2

    try:
        compile_pattern(text)
    except ValueError as error:
        raise ValueError(f"this pattern cannot be read: {error}. Correct it; RE2 knows no look-around") from None


def _read_function(text: str) -> None:
    if not re.fullmatch(FUNCTION_PATTERN, text):
        raise ValueError(f"`{text}` names no function. Write module:function, such as haiku:has_three_lines")


Pattern = Annotated[Text, Field(max_length=10_000), AfterValidator(checked(_read_pattern))]
Patterns = Pattern | Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=100)]
TrueOrSchema = Annotated[bool | Mapping[str, JsonValue], AfterValidator(check_json_schema)]

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


class LengthSchema(StrictModel):
    """Bounds on the number of characters in an answer."""

    min: Characters | None = Field(default=None, description="The fewest characters.")
    max: Characters | None = Field(default=None, description="The most characters.")

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("neither `min` nor `max` is here. Write one of them, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min} is more than `max` {self.max}. Exchange them")
        return self


class ChecksSchema(StrictModel):
    """Checks of a reply by name. `null` removes a default."""

    equals: OneOrMore | None = Field(default=None, description="The whole answer; of several texts, one of them.")
    contains: OneOrMore | None = Field(default=None, description="Texts that are all in the answer.")
    not_contains: OneOrMore | None = Field(default=None, description="Texts of which none is in the answer.")
    starts_with: OneOrMore | None = Field(default=None, description="How the answer begins; of several, one of them.")
    regex: Patterns | None = Field(default=None, description="RE2 patterns that are all found in the answer.")
    json_: TrueOrSchema | None = Field(
        default=None, alias="json", description="True: the answer is JSON. A JSON Schema: it fits that, too."
    )
    calls: WantedCalls | None = Field(
        default=None, description="The tool that the model calls, or several, each with arguments if these matter."
    )
    no_calls: bool | None = Field(default=None, description="True: the model calls no tool.")
    calls_at_most: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None, description="The most tool calls of the whole conversation."
    )
    length: LengthSchema | None = Field(default=None, description="How many characters the answer has.")
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
    rubric: OneOrMore | None = Field(
        default=None, description="Sentences that the suite's `judge`, a model, finds true of the reply."
    )


def plain_checks(checks: ChecksSchema) -> dict[str, Any]:
    """Return checks by name as plain data; None if a default is removed."""
    plain = checks.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: None if wanted is False else wanted for name, wanted in plain.items()}
