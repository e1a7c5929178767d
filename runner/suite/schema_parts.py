"""The parts of a suite's schema: types that several parts have, tools and their calls, prompts and messages."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, RootModel, WithJsonSchema, model_validator

from runner.checks.tool_calls import is_arguments_schema
from runner.core.attachment_parts import Detail, Kind
from runner.core.suite import Role, ToolDefinition
from runner.errors import CompareError

JsonSchema = TypeVar("JsonSchema", bound=bool | Mapping[str, JsonValue])

DAY_S = 86_400
TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
MAX_TOOLS = 128
MAX_STEPS = 50
DEFAULT_STEPS = 5
"""Highest number of requests for one turn of the user, if the suite has tool results and sets no number."""

KINDS: tuple[Kind, ...] = get_args(Kind)


class StrictModel(BaseModel):
    """A part of the file: unknown keys and converted types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    """Return a validator that keeps a text as written unless `read` raises a ValueError or a CompareError."""

    def check(text: str) -> str:
        try:
            read(text)
        except CompareError as error:
            raise ValueError(str(error)) from error
        return text

    return check


def check_json_schema(schema: JsonSchema) -> JsonSchema:
    """Return a JSON Schema unchanged.

    Raises:
        ValueError: it is not a valid JSON Schema.

    """
    from runner.checks.json_schema import schema_fault  # noqa: PLC0415 -- brings jsonschema

    fault = None if isinstance(schema, bool) else schema_fault(schema)
    if fault:
        raise ValueError(f"this is not a JSON Schema: {fault.replace('. ', ', ')}. Correct it")
    return schema


# Tools


def _check_tool_name(name: str) -> str:
    if not re.fullmatch(TOOL_NAME, name):
        raise ValueError("a tool's name is made of up to 64 letters, digits, `_` and `-`. Write get_weather")
    return name


ToolName = Annotated[str, AfterValidator(_check_tool_name), WithJsonSchema({"type": "string", "pattern": TOOL_NAME})]
ArgumentsSchema = Annotated[Mapping[str, JsonValue], AfterValidator(check_json_schema)]


def _check_arguments(arguments: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    return check_json_schema(arguments) if is_arguments_schema(arguments) else arguments


WantedArguments = Annotated[Mapping[str, JsonValue], AfterValidator(_check_arguments)]


class FunctionSchema(StrictModel):
    """A function as OpenAI's chat completions API describes it."""

    name: ToolName = Field(description="The function's name.")
    description: str | None = Field(default=None, description="What it does, for the model.")
    parameters: ArgumentsSchema | None = Field(default=None, description="The JSON Schema of its arguments.")
    strict: bool | None = Field(default=None, description="Whether the arguments must fit the schema.")


class ToolSchema(StrictModel):
    """A tool: `name`, `description` and `parameters`, or these in `function`, as OpenAI's chat API has them."""

    type: Literal["function"] | None = Field(default=None, description="The kind of tool; only functions are known.")
    function: FunctionSchema | None = Field(default=None, description="The function, in OpenAI's form of a tool.")
    name: ToolName | None = Field(default=None, description="The function's name.")
    description: str | None = Field(default=None, description="What it does, for the model.")
    parameters: ArgumentsSchema | None = Field(default=None, description="The JSON Schema of its arguments.")
    strict: bool | None = Field(default=None, description="Whether the arguments must fit the schema.")

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        flat = [name for name in ("name", "description", "parameters", "strict") if getattr(self, name) is not None]
        if self.function is None and self.name is None:
            raise ValueError("this tool has no `name`. Write name, description and parameters")
        if self.function is not None and flat:
            raise ValueError(f"`{flat[0]}` stands beside `function`. Write it in there, or leave `function` out")
        return self

    @property
    def described(self) -> FunctionSchema:
        """The function, whichever form it was written in."""
        if self.function is not None:
            return self.function
        assert self.name is not None
        return FunctionSchema.model_construct(
            name=self.name, description=self.description, parameters=self.parameters, strict=self.strict
        )


ToolList = Annotated[tuple[ToolSchema, ...], Field(max_length=MAX_TOOLS)]
ToolsFile = RootModel[ToolList]
"""The content of a file of tools."""


# Keys that a case has, and targets or the defaults as well

Tools = Annotated[
    Text | ToolList | None,
    Field(
        description="The functions that the model may call: a list, or a .json or .yaml file beside the suite. "
        "An empty list takes those of the defaults away."
    ),
]
ToolChoice = Annotated[
    Text | None, Field(description="`auto`, `none`, `required`, or the name of the tool that must be called.")
]
ResponseFormat = Annotated[
    Mapping[str, JsonValue] | None,
    Field(
        description="The form that the reply must have, such as {type: json_object}, as chat completions have it; "
        "{json_schema: FILE} for a schema in a file beside the suite."
    ),
]
ToolResults = Annotated[
    Annotated[Mapping[ToolName, JsonValue], Field(min_length=1)] | None,
    Field(
        description="Tool -> its result, sent back whenever the model calls it: a text, {file: NAME}, or any other "
        "value, which is sent as JSON."
    ),
]
MaxSteps = Annotated[
    Annotated[int, Field(ge=1, le=MAX_STEPS)] | None,
    Field(description=f"The most requests for one turn of the user, with `tool_results`. Left out: {DEFAULT_STEPS}."),
]
OVERRIDES = ("tools", "tool_choice", "response_format")
"""Parameters that a case may set, too; they have the same names in OpenAI's API."""


# Calls in a conversation that has already happened


class CalledFunctionSchema(StrictModel):
    """A called function as OpenAI's chat completions API has it."""

    name: Text = Field(description="The function's name.")
    arguments: str = Field(description="Its arguments, JSON as text.")


class CallSchema(StrictModel):
    """A tool call of the assistant: `name` and `arguments`, or these in `function`, as OpenAI's chat API has them."""

    id: Text | None = Field(default=None, description="What the result refers to. Left out: one is made up.")
    type: Literal["function"] | None = Field(default=None, description="The kind of call; only functions are known.")
    function: CalledFunctionSchema | None = Field(default=None, description="The function, in OpenAI's form.")
    name: Text | None = Field(default=None, description="The function's name.")
    arguments: str | Mapping[str, JsonValue] | None = Field(
        default=None, description="Its arguments: values by name, or JSON as text."
    )
    index: int | None = Field(default=None, description="Not used; pieces of streams have it.")

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        if (self.function is None) == (self.name is None):
            raise ValueError("a call has either `function` or `name`. Write name and arguments")
        return self


class WantedCallSchema(StrictModel):
    """A call that a check wants."""

    name: ToolName = Field(description="The tool that is called.")
    arguments: WantedArguments | None = Field(
        default=None,
        description="Values by name, each of which must be equal; or a JSON Schema, an object with `type: object` and "
        "`properties`.",
    )


WantedCalls = WantedCallSchema | Annotated[tuple[WantedCallSchema, ...], Field(min_length=1, max_length=100)]


def plain_value(value: Any) -> Any:
    """Return a validated JSON value as lists and dicts."""
    if isinstance(value, Mapping):
        return {name: plain_value(item) for name, item in value.items()}
    return [plain_value(item) for item in value] if isinstance(value, list | tuple) else value


def tools_of(written: Tools) -> tuple[ToolDefinition, ...]:
    """Return tools in the form that a request has; a file of tools must have been read before."""
    assert not isinstance(written, str)
    functions = (each.described for each in written or ())
    return tuple(
        ToolDefinition(each.name, each.description, plain_value(each.parameters), each.strict) for each in functions
    )


# Prompts and messages


class PartSchema(StrictModel):
    """A part of a prompt: exactly one of text, image, file and audio."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in ("text", *KINDS)]})

    text: str | None = Field(default=None, description="A text. A template.")
    image: Text | None = Field(
        default=None, description="A .png, .jpg, .gif or .webp file beside or below the suite, or a URL. A template."
    )
    file: Text | None = Field(default=None, description="A .pdf or text file beside or below the suite, or a URL.")
    audio: Text | None = Field(default=None, description="A .wav or .mp3 file beside or below the suite.")
    detail: Detail | None = Field(
        default=None, description="How closely the model looks at the image. Left out: the provider's own default."
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [key for key in ("text", *KINDS) if getattr(self, key) is not None]
        if len(given) != 1:
            what = f"this part has `{given[0]}` and `{given[1]}`" if given else "this part says nothing"
            raise ValueError(f"{what}. Write exactly one of text, image, file and audio in each part")
        if self.detail is not None and self.image is None:
            raise ValueError("`detail` is about an image. Remove it, or write it beside `image`")
        return self

    @property
    def written(self) -> tuple[str, str]:
        """The key that the part has, and its text."""
        return next((key, text) for key in ("text", *KINDS) if (text := getattr(self, key)) is not None)


def _check_parts(parts: tuple[str | PartSchema, ...]) -> tuple[str | PartSchema, ...]:
    if all(isinstance(part, str) for part in parts):
        raise ValueError("this is a list of texts alone. Write one text, or `turns` to ask one after another")
    return parts


PartSchemas = Annotated[tuple[str | PartSchema, ...], Field(min_length=1, max_length=100), AfterValidator(_check_parts)]
Prompt = str | PartSchemas
"""What is asked: a text, or a list of texts, images, files and audio."""


class MessageSchema(StrictModel):
    """One message of a conversation that has already happened."""

    role: Role = Field(description="Who speaks.")
    content: str | PartSchemas | None = Field(
        default=None,
        description="What is said: a text, or a list of parts. A template. Only an assistant that calls tools may say "
        "nothing.",
    )
    tool_calls: Annotated[tuple[CallSchema, ...], Field(min_length=1)] | None = Field(
        default=None, description="The tools that the assistant calls in it."
    )
    tool_call_id: Text | None = Field(
        default=None, description="The id of the call that a tool's message answers. Left out: the first open call."
    )
    name: Text | None = Field(default=None, description="The tool whose result a message is.")


Size = Annotated[str, Field(min_length=1), WithJsonSchema({"type": ["string", "integer"], "minLength": 1})]
"""A number of tokens such as `10000` or `10k`; a single size may be a template that produces it."""


class InputSchema(StrictModel):
    """A text that is cut to a number of tokens for each target."""

    tokens: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=100)] = Field(
        description="How many tokens the request has, such as 10000 or 10k; of a list, one case for each."
    )
    text: Text | None = Field(
        default=None,
        description="A text file beside or below the suite. Left out: a built-in novel. It begins again where it ends.",
    )
