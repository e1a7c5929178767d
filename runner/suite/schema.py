"""The schema of a suite file: every key, what it may hold and what it is for."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from runner.checks.snapshot_match import MATCH_PATTERN, SHARE_PATTERN, read_matching, read_share
from runner.core.parts import Detail, Kind
from runner.core.reply_limit import parse_reply_limit
from runner.core.slo import parse_slo
from runner.core.suite import Api, CacheUse, Role, Thinking
from runner.core.target_name import VARIANT_NAME
from runner.core.think_time import parse_think_time
from runner.errors import CompareError
from runner.providers.provider_row import Rows
from runner.suite.strict_model import StrictModel
from runner.suite.tool_schema import CallSchema, MaxSteps, ResponseFormat, ToolChoice, ToolResults, Tools, WantedCalls

DRAFT = "http://json-schema.org/draft-07/schema#"
WAYS_TO_ASK = ("prompt", "turns", "messages", "prompt_file")

CHECKS = "What a reply must be like. A case's own checks lie over those of the defaults."
SHARE = "How many repeats must pass: `all`, or a share such as `2 of 3`. Left out: all."
MATCH = (
    "How `compare snapshot` compares replies: exact, normalized, similar, `similar 0.9` or checks-only. "
    "Left out: exact for the simulator, checks-only for live models."
)

THINK_TIME = (
    "The wait between a reply and the user's next turn: 2s; or drawn with that median, `lognormal 2s`, and a spread of "
    "its logarithm other than 0.5, `lognormal 2s 0.8`. Left out: none."
)

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
VariableName = Annotated[str, Field(min_length=1, max_length=200)]
Value = Annotated[str, WithJsonSchema(VALUE_SCHEMA)]
Values = Annotated[tuple[Value, ...], Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, le=DAY_S)]
OneOrMore = Text | Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


def checked(read: Callable[[str], object]) -> Callable[[str], str]:
    """Return a validator that keeps a text as written if `read` accepts it; `read` raises ValueError otherwise."""

    def check(text: str) -> str:
        read(text)
        return text

    return check


# Checks

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


def _check_schema(schema: bool | Mapping[str, JsonValue]) -> bool | Mapping[str, JsonValue]:
    from runner.checks.json_schema import schema_fault  # noqa: PLC0415 -- brings jsonschema

    fault = None if isinstance(schema, bool) else schema_fault(schema)
    if fault:
        raise ValueError(f"this is not a JSON Schema: {fault.replace('. ', ', ')}. Correct it")
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

ReplyLimit = Annotated[
    str, AfterValidator(checked(parse_reply_limit)), WithJsonSchema({"type": ["string", "integer"], "minLength": 1})
]


ThinkTimeText = Annotated[str, AfterValidator(checked(parse_think_time)), WithJsonSchema({"type": "string"})]


def _read_slo(text: str) -> None:
    try:
        parse_slo(text)
    except CompareError as error:
        raise ValueError(str(error)) from error


SloText = Annotated[str, AfterValidator(checked(_read_slo)), WithJsonSchema({"type": "string"})]


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
    """Return checks by name as plain data; None where a default is removed."""
    plain = checks.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: None if wanted is False else wanted for name, wanted in plain.items()}


# Parameters, targets and cases


class TimeoutsSchema(StrictModel):
    """Seconds after which a request is given up."""

    connect: Seconds | None = Field(default=None, description="Seconds to reach the provider. Left out: 10.")
    first_token: Seconds | None = Field(default=None, description="Seconds from sent to the first text. Left out: 120.")
    idle: Seconds | None = Field(default=None, description="Seconds between two pieces of data. Left out: 60.")
    total: Seconds | None = Field(default=None, description="Seconds for the whole request. Left out: 600.")


class ParametersSchema(StrictModel):
    """Parameters of a request beside its messages. `null` removes a default."""

    system: Text | None = Field(default=None, description="The system message, for cases that have none of their own.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, description="Randomness from 0 to 2. Left out: the provider's own default."
    )
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        default=None, description="The most tokens a reply may have. Left out: the provider's own default."
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of probable tokens to choose from. Left out: the provider's own default."
    )
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = Field(
        default=None, description="Sent to the provider, so that replies repeat where it can do that."
    )
    stop: Text | Annotated[tuple[Text, ...], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="One text or several at which the reply ends."
    )
    thinking: Thinking | None = Field(
        default=None,
        description="Whether the model thinks before it answers, or how much. Left out: as it does by itself.",
    )
    api: Api | None = Field(
        default=None, description="The API that is asked. Left out: the one that the provider's row names."
    )
    stream: bool = Field(
        default=True, description="False asks for the reply in one piece, for endpoints that cannot stream."
    )
    cache: CacheUse = Field(
        default="allow",
        description="`bust` puts a random word first, so that the provider's prompt cache does not answer; `warm` "
        "sends what a conversation begins with once before it is measured, so that the cache can.",
    )
    timeouts: TimeoutsSchema | None = Field(default=None, description="Seconds after which a request is given up.")
    extra_body: Mapping[str, JsonValue] | None = Field(
        default=None, description="Further fields of the request's JSON body, sent as they are."
    )
    reply_limit: ReplyLimit | None = Field(
        default=None, description="The size at which a reply is given up, such as 500kB or 32MiB. Left out: 16MiB."
    )
    prefix: Text | None = Field(
        default=None, description="Text before each of the user's prompts, as it is; the results hold the bare prompt."
    )
    suffix: Text | None = Field(default=None, description="Text behind each of the user's prompts, as it is.")
    route: Name | None = Field(
        default=None, description="The vendor behind a router that alone may answer, as the router names it."
    )
    response_format: ResponseFormat = None
    tools: Tools = None
    tool_choice: ToolChoice = None


class DefaultsSchema(ParametersSchema):
    """Parameters of targets that do not set their own, the number of repeats, results and checks of all cases."""

    repeat: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=1, description="How often each case is asked.")
    tool_results: ToolResults = None
    max_steps: MaxSteps = None
    think_time: ThinkTimeText | None = Field(default=None, description=THINK_TIME)
    checks: ChecksSchema | None = Field(default=None, description=CHECKS)
    pass_: Share | None = Field(default=None, alias="pass", description=SHARE)
    match: Match | None = Field(default=None, description=MATCH)


def _check_variant_name(name: str) -> str:
    if not VARIANT_NAME.fullmatch(name):
        raise ValueError("a variant's name is made of letters, digits and `.`, `_`, `-`, `=`, `+`. Write deep-4k")
    return name


VariantName = Annotated[str, AfterValidator(_check_variant_name)]
Variants = Annotated[Mapping[VariantName, ParametersSchema], Field(min_length=1, max_length=100)]


class TargetSchema(ParametersSchema):
    """A provider, its models, and the parameters for them."""

    provider: Name = Field(description="The id of a built-in provider, or of one in `providers` or compare.yaml.")
    models: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        default=None, description="The models to ask, by the provider's own names. Left out: its default models."
    )
    variants: Variants | None = Field(
        default=None,
        description="Name -> parameters. Each model is asked once with each of them, as provider/model#name.",
    )


def _read_target_name(text: str) -> None:
    provider, slash, model = text.partition("/")
    if not provider or bool(slash) != bool(model):
        raise ValueError(f"`{text}` names no target. Write provider/model, such as deepseek/deepseek-flash")


TargetNameText = Annotated[Name, AfterValidator(checked(_read_target_name))]
"""`provider/model`, or a provider alone for its default models, as on the command line."""


KINDS: tuple[Kind, ...] = get_args(Kind)


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


def _read_judge_name(text: str) -> None:
    if not all(text.partition("/")):
        raise ValueError(f"`{text}` names no model. Write provider/model, such as deepseek/deepseek-flash")


JudgeName = Annotated[Name, AfterValidator(checked(_read_judge_name))]


class JudgeSchema(ParametersSchema):
    """The model that judges replies by rubrics, and the parameters for it; the suite's defaults are not for it."""

    target: JudgeName = Field(description="The model, as provider/model.")


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
"""A number of tokens such as `10000` or `10k`; where it is the only one, perhaps a template that makes it."""


class InputSchema(StrictModel):
    """A text that is cut to a number of tokens for each target."""

    tokens: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=100)] = Field(
        description="How many tokens the request has, such as 10000 or 10k; of a list, one case for each."
    )
    text: Text | None = Field(
        default=None,
        description="A text file beside or below the suite. Left out: a built-in novel. It begins again where it ends.",
    )


class CaseSchema(StrictModel):
    """One conversation: exactly one of prompt, turns, messages and prompt_file, or none of them behind an input."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"oneOf": [{"required": [way]} for way in WAYS_TO_ASK]},
                {"required": ["input"], "not": {"anyOf": [{"required": [way]} for way in WAYS_TO_ASK]}},
            ]
        }
    )

    id: Name = Field(description="A short name that no other case has; `-k` chooses cases by it.")
    prompt: Prompt | None = Field(
        default=None, description="What to ask: a text, or a list of texts, images, files and audio. A template."
    )
    turns: Annotated[tuple[Prompt, ...], Field(min_length=1)] | None = Field(
        default=None, description="What to ask one after another; each reply is part of the next question. Templates."
    )
    messages: Annotated[tuple[MessageSchema, ...], Field(min_length=1)] | None = Field(
        default=None, description="A conversation so far; its last message, the user's or a tool's result, is asked."
    )
    prompt_file: Text | None = Field(
        default=None,
        description="A text file beside or below the suite that holds the prompt; a template if there are vars.",
    )
    input: InputSchema | None = Field(
        default=None, description="A text of a wanted number of tokens, which stands before the first prompt, or alone."
    )
    system: Text | None = Field(
        default=None, description="The system message of this case, in place of the default. A template."
    )
    tags: tuple[Name, ...] = Field(default=(), description="Words to choose and to group cases by.")
    vars: Mapping[VariableName, Value] | None = Field(
        default=None, description="Values for `{{name}}` in this case's templates."
    )
    matrix: Annotated[Mapping[VariableName, Values], Field(min_length=1)] | None = Field(
        default=None, description="Lists of values for `{{name}}`; the case is asked with every combination of them."
    )
    tools: Tools = None
    tool_choice: ToolChoice = None
    response_format: ResponseFormat = None
    tool_results: ToolResults = None
    max_steps: MaxSteps = None
    checks: ChecksSchema | None = Field(default=None, description=CHECKS)
    pass_: Share | None = Field(default=None, alias="pass", description=SHARE)
    match: Match | None = Field(default=None, description=MATCH)
    think_time: ThinkTimeText | None = Field(default=None, description=THINK_TIME)


class CasesFromSchema(StrictModel):
    """A file with further cases, and which of its columns are meant where their names are none of the usual ones."""

    file: Text = Field(description="A .csv, .tsv, .jsonl, .json or .yaml file beside or below the suite.")
    prompt: Text | None = Field(default=None, description="The column, or key of a row, that says what to ask.")
    expected: Text | None = Field(
        default=None, description="The column, or key of a row, with the reference answer; kept in `vars.expected`."
    )
    image: Text | None = Field(
        default=None,
        description="The column, or key of a row, with the path or URL of an image to send with the prompt.",
    )
    attached_file: Text | None = Field(default=None, description="The same for a file.")
    audio: Text | None = Field(default=None, description="The same for audio.")


class SuiteSchema(StrictModel):
    """A suite file of `compare`: cases, targets and parameters."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["cases"]}, {"required": ["cases_from"]}]})

    version: Literal[1] = Field(default=1, description="The version of this format.")
    name: Name | None = Field(default=None, description="The suite's name in results. Left out: the file's name.")
    description: Text | None = Field(default=None, description="What the suite is for.")
    targets: Annotated[tuple[TargetSchema | TargetNameText, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="Which models to ask: provider/model, or a mapping. "
        "Left out: every configured provider with its default models.",
    )
    defaults: DefaultsSchema | None = Field(
        default=None, description="Parameters of every target that does not set its own."
    )
    variants: Variants | None = Field(
        default=None, description="Variants of every target, each of which is crossed with the target's own."
    )
    cases: Annotated[tuple[CaseSchema, ...], Field(min_length=1)] | None = Field(
        default=None, description="The conversations to hold."
    )
    cases_from: Text | CasesFromSchema | None = Field(
        default=None,
        description="A .csv, .tsv, .jsonl, .json or .yaml file beside or below the suite with further cases, one a "
        "row; or a mapping that names its columns.",
    )
    slo: SloText | None = Field(
        default=None,
        description="The SLO that requests are judged by, such as ttft=800ms,tpot=50ms,total=10s. Left out: none.",
    )
    providers: Rows = Field(default_factory=dict, description="Providers that this suite adds or changes, by id.")
    judge: JudgeSchema | JudgeName | None = Field(
        default=None, description="The model that decides on `rubric` checks: provider/model, or a mapping."
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite file, limited to what draft 7 and later drafts share."""
    schema = SuiteSchema.model_json_schema()
    return {"$schema": DRAFT, **_in_draft_7(schema)}


def _in_draft_7(node: Any) -> Any:
    """Return a schema with definitions where draft 7 has them, and without titles that only repeat a key."""
    if isinstance(node, list):
        return [_in_draft_7(item) for item in node]
    if isinstance(node, str):
        return node.replace("#/$defs/", "#/definitions/")
    if not isinstance(node, dict):
        return node
    renamed = {"definitions" if key == "$defs" else key: value for key, value in node.items()}
    return {
        key: _in_draft_7(value) for key, value in renamed.items() if not (key == "title" and isinstance(value, str))
    }
