"""The suite file as people write it: every key, what it may hold and what it is for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from runner.core.suite import Role, Thinking
from runner.providers.row import Rows
from runner.suite.checks import Match, Share, WrittenChecks
from runner.suite.schema_types import Name, Seconds, Text, Value, Values, VariableName, Written

DRAFT = "http://json-schema.org/draft-07/schema#"
WAYS_TO_ASK = ("prompt", "turns", "messages", "prompt_file")


CHECKS = "What a reply must be like. A case's own checks lie over those of the defaults."
SHARE = "How many repeats must pass: `all`, or a share such as `2 of 3`. Left out: all."
MATCH = (
    "How `compare snapshot` compares replies: exact, normalized, similar, `similar 0.9` or checks-only. "
    "Left out: exact for the simulator, checks-only for live models."
)


class WrittenTimeouts(Written):
    """Seconds after which a request is given up."""

    connect: Seconds | None = Field(default=None, description="Seconds to reach the provider. Left out: 10.")
    first_token: Seconds | None = Field(default=None, description="Seconds from sent to the first text. Left out: 120.")
    idle: Seconds | None = Field(default=None, description="Seconds between two pieces of data. Left out: 60.")
    total: Seconds | None = Field(default=None, description="Seconds for the whole request. Left out: 600.")


class WrittenParameters(Written):
    """What is asked of a model beside the messages. `null` takes a default back."""

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
    stream: bool = Field(
        default=True, description="False asks for the reply in one piece, for endpoints that cannot stream."
    )
    cache: Literal["allow", "bust"] = Field(
        default="allow",
        description="`bust` puts a random word first, so that the provider's prompt cache does not answer.",
    )
    timeouts: WrittenTimeouts | None = Field(default=None, description="Seconds after which a request is given up.")
    extra_body: Mapping[str, JsonValue] | None = Field(
        default=None, description="Further fields of the request's JSON body, sent as they are."
    )


class WrittenDefaults(WrittenParameters):
    """Parameters of targets that do not set their own, how often each case is asked, what is demanded of replies."""

    repeat: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=1, description="How often each case is asked.")
    checks: WrittenChecks | None = Field(default=None, description=CHECKS)
    pass_: Share | None = Field(default=None, alias="pass", description=SHARE)
    match: Match | None = Field(default=None, description=MATCH)


class WrittenTarget(WrittenParameters):
    """A provider, its models, and the parameters for them."""

    provider: Name = Field(description="The id of a built-in provider, or of one in `providers` or compare.yaml.")
    models: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        default=None, description="The models to ask, by the provider's own names. Left out: its default models."
    )


class WrittenMessage(Written):
    """One message of a conversation that has already happened."""

    role: Role = Field(description="Who speaks.")
    content: Text = Field(description="What is said. A template.")


class WrittenCase(Written):
    """One conversation to hold: exactly one of prompt, turns, messages and prompt_file."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [way]} for way in WAYS_TO_ASK]})

    id: Name = Field(description="A short name that no other case has; `-k` chooses cases by it.")
    prompt: str | None = Field(default=None, description="What to ask. A template.")
    turns: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="What to ask one after another; each reply is part of the next question. Templates."
    )
    messages: Annotated[tuple[WrittenMessage, ...], Field(min_length=1)] | None = Field(
        default=None, description="A conversation so far; its last message is the user's, and is asked."
    )
    prompt_file: Text | None = Field(
        default=None,
        description="A text file beside or below the suite that holds the prompt; a template if there are vars.",
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
    checks: WrittenChecks | None = Field(default=None, description=CHECKS)
    pass_: Share | None = Field(default=None, alias="pass", description=SHARE)
    match: Match | None = Field(default=None, description=MATCH)


class WrittenSuite(Written):
    """What to ask, of whom, and how: a suite file of `compare`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["cases"]}, {"required": ["cases_from"]}]})

    version: Literal[1] = Field(default=1, description="The version of this format.")
    name: Name | None = Field(default=None, description="The suite's name in results. Left out: the file's name.")
    description: Text | None = Field(default=None, description="What the suite is for.")
    targets: Annotated[tuple[WrittenTarget, ...], Field(min_length=1)] | None = Field(
        default=None, description="Whom to ask. Left out: every configured provider with its default models."
    )
    defaults: WrittenDefaults | None = Field(
        default=None, description="Parameters of every target that does not set its own."
    )
    cases: Annotated[tuple[WrittenCase, ...], Field(min_length=1)] | None = Field(
        default=None, description="The conversations to hold."
    )
    cases_from: Text | None = Field(
        default=None, description="A .csv or .jsonl file beside or below the suite with further cases, one a row."
    )
    providers: Rows = Field(default_factory=dict, description="Providers that this suite adds or changes, by id.")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite file, in what draft 7 and later drafts have in common."""
    schema = WrittenSuite.model_json_schema()
    return {"$schema": DRAFT, **_in_draft_7(schema)}


def _in_draft_7(node: Any) -> Any:
    """Move definitions to where draft 7 has them; drop the titles that only repeat a key."""
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
