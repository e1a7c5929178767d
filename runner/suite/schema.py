"""The schema of a suite file: every key, what it may hold and what it is for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from runner.core.slo import parse_slo
from runner.core.suite import MAX_TEMPERATURE, Api, CacheUse, Thinking, parse_reply_limit
from runner.core.target_name import VARIANT_NAME
from runner.core.think_time import parse_think_time
from runner.providers.provider_row import ProviderRows
from runner.suite.checks_schema import ChecksSchema, Match, Share
from runner.suite.schema_parts import (
    VALUE_SCHEMA,
    InputSchema,
    MaxSteps,
    MessageSchema,
    Name,
    Prompt,
    ResponseFormat,
    Seconds,
    StrictModel,
    Text,
    ToolChoice,
    ToolResults,
    Tools,
    checked,
)

DRAFT = "http://json-schema.org/draft-07/schema#"
WAYS_TO_ASK = ("prompt", "turns", "messages", "prompt_file")

CHECKS = "What a reply must be like. A case's own checks replace those of the defaults, one by one."
SHARE = "How many repeats must pass: `all`, or a share such as `2 of 3`. Left out: all."
MATCH = (
    "How `compare snapshot` compares replies: exact, normalized, similar, `similar 0.9` or checks-only. "
    "Left out: exact for the simulator, checks-only for live models."
)

THINK_TIME = (
    "The wait between a reply and the user's next turn: 2s; or drawn with that median, `lognormal 2s`, and a spread of "
    "its logarithm other than 0.5, `lognormal 2s 0.8`. Left out: none."
)
VariableName = Annotated[str, Field(min_length=1, max_length=200)]
Value = Annotated[str, WithJsonSchema(VALUE_SCHEMA)]
Values = Annotated[tuple[Value, ...], Field(min_length=1)]

ReplyLimit = Annotated[
    str, AfterValidator(checked(parse_reply_limit)), WithJsonSchema({"type": ["string", "integer"], "minLength": 1})
]
ThinkTimeText = Annotated[str, AfterValidator(checked(parse_think_time))]
SloText = Annotated[str, AfterValidator(checked(parse_slo))]


class TimeoutsSchema(StrictModel):
    """Seconds after which a request is given up."""

    connect: Seconds | None = Field(default=None, description="Seconds to reach the provider. Left out: 10.")
    first_token: Seconds | None = Field(default=None, description="Seconds from sent to the first text. Left out: 120.")
    idle: Seconds | None = Field(default=None, description="Seconds between two pieces of data. Left out: 60.")
    total: Seconds | None = Field(default=None, description="Seconds for the whole request. Left out: 600.")


class ParametersSchema(StrictModel):
    """Parameters of a request beside its messages. `null` removes a default."""

    system: Text | None = Field(default=None, description="The system message, for cases that have none of their own.")
    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)] | None = Field(
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


def _read_judge_name(text: str) -> None:
    if not all(text.partition("/")):
        raise ValueError(f"`{text}` names no model. Write provider/model, such as deepseek/deepseek-flash")


JudgeName = Annotated[Name, AfterValidator(checked(_read_judge_name))]


class JudgeSchema(ParametersSchema):
    """The judge's model and parameters; the suite's defaults do not apply to it."""

    target: JudgeName = Field(description="The model, as provider/model.")


class CaseSchema(StrictModel):
    """One conversation: exactly one of prompt, turns, messages and prompt_file, or only an `input`."""

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
    """A file with further cases, and the columns to use if their names are not recognised."""

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
    providers: ProviderRows = Field(
        default_factory=dict, description="Providers that this suite adds or changes, by id."
    )
    judge: JudgeSchema | JudgeName | None = Field(
        default=None, description="The model that decides on `rubric` checks: provider/model, or a mapping."
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite file, limited to what draft 7 and later drafts share."""
    schema = SuiteSchema.model_json_schema()
    return {"$schema": DRAFT, **_in_draft_7(schema)}


def _in_draft_7(node: Any) -> Any:
    """Return a schema with its definitions in draft 7's place, and without titles that only repeat a key."""
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
