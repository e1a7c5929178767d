"""A suite as plain, frozen values: complete, with all templates filled."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from runner.core.attachment_parts import (
    Attachment,
    Parts,
    attachments_of,
    shown_text,
    with_text_before,
    with_text_behind,
)
from runner.core.sized_input import SizedInput
from runner.core.slo import Slo
from runner.core.target_name import TargetName
from runner.core.think_time import ThinkTime
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import NO_STEPS, Steps
from runner.errors import counted

MEBIBYTE = 1024 * 1024
REPLY_LIMIT = 16 * MEBIBYTE
"""Bytes that a reply may have unless the user sets another limit."""

LARGEST_REPLY_LIMIT = 64 * MEBIBYTE
"""The highest limit that can be set. No recording holds more, either."""

_SIZE = re.compile(r"([0-9]{1,9})[ ]?(B|kB|KiB|MB|MiB|)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kb": 1000, "kib": 1024, "mb": 1_000_000, "mib": MEBIBYTE}


def parse_reply_limit(text: str) -> int:
    """Return the bytes of a size such as `500kB`, `32MiB` or `1000000`; raise ValueError for any other text."""
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 0 < size <= LARGEST_REPLY_LIMIT:
        raise ValueError(f"`{text}` is not a reply limit. Write a size up to 64MiB, such as 500kB or 32MiB")
    return size


def describe_size(size: int) -> str:
    """Return a number of bytes with its unit, as it is written in a suite."""
    return f"{size // MEBIBYTE} MiB" if size % MEBIBYTE == 0 else counted(size, "byte")


Role = Literal["system", "user", "assistant", "tool"]
Thinking = Literal["on", "off", "low", "medium", "high"]
Api = Literal["chat_completions", "responses", "messages"]
"""The dialect of a request and its response."""

DEFAULT_API: Api = "chat_completions"

CacheUse = Literal["allow", "bust", "warm"]
"""Whether a prompt cache may serve a request: if it happens to; never; or for certain, as far as a request that is sent
before can bring that about."""

SignedBlocks = Sequence[Mapping[str, str]]
"""Blocks of a model's thinking with the provider's signatures, as they were sent."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str
    """The text; of a message with parts, what people read of them."""
    signed_thinking: SignedBlocks = ()
    """The model's signed thinking before it wrote this, as it was sent."""
    calls: tuple[ToolCall, ...] = ()
    """The tools that the assistant calls in it."""
    call_id: str | None = None
    """The call that a tool's message answers."""
    reasoning: str | None = None
    """The model's unsigned reasoning before it wrote this."""
    parts: Parts = ()
    """The texts and attachments that are sent in place of the content; empty for a text."""

    def beginning_with(self, text: str) -> "Message":
        """Return the message with a text before all that it says."""
        return replace(self, content=text + self.content, parts=self.parts and with_text_before(text, self.parts))


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: Mapping[str, object] | None = None
    """The JSON Schema of its arguments; None if it takes none."""
    strict: bool | None = None
    """Whether the provider is to make the arguments fit the schema; None for its own default."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds: to connect, to the first text, between data (comments do not count), and in total."""

    connect: float = 10.0
    first_token: float = 120.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request beside its messages; None for the provider's own default."""

    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    thinking: Thinking | None = None
    stream: bool = True
    cache: CacheUse = "allow"
    timeouts: Timeouts = field(default_factory=Timeouts)
    extra_body: Mapping[str, object] = field(default_factory=dict)
    reply_limit: int = REPLY_LIMIT
    """Bytes of a reply after which it is given up. Nothing of it is sent, so that no request's key depends on it."""
    api: Api | None = None
    """None for the one of the provider's row."""
    prefix: str | None = None
    """Text before each of the user's prompts; the prompt in results is without it."""
    suffix: str | None = None
    response_format: Mapping[str, object] | None = None
    route: str | None = None
    """The vendor behind a router that alone may answer, as the router names it."""
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: str | None = None
    """`auto`, `none`, `required`, or the name of the tool that must be called."""

    def wrap(self, prompt: str) -> str:
        """Return a user's prompt with the prefix and the suffix around it."""
        return f"{self.prefix or ''}{prompt}{self.suffix or ''}"

    def user_message(self, prompt: str, parts: Parts = ()) -> Message:
        """Return the message of a user's prompt with the prefix and the suffix around it."""
        if not parts:
            return Message("user", self.wrap(prompt))
        wrapped = with_text_behind(self.suffix or "", with_text_before(self.prefix or "", parts))
        return Message("user", shown_text(wrapped), parts=wrapped)


@dataclass(frozen=True, slots=True)
class Expectations:
    """The expectations of a case's replies.

    `checks` are the checks by name, as plain data. `share` is how many of how many repeats must pass, and None for all.
    `match` is how a snapshot compares replies.
    """

    checks: Mapping[str, object] = field(default_factory=dict)
    share: tuple[int, int] | None = None
    match: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation: the given history, then the user's turns, each of which is sent and measured."""

    id: str
    turns: tuple[str, ...]
    history: tuple[Message, ...] = ()
    system: str | None = None
    tags: tuple[str, ...] = ()
    line: int | None = None
    expectations: Expectations = field(default_factory=Expectations)
    input: SizedInput | None = None
    """The text before the first turn."""
    idle_s: tuple[float, ...] = ()
    """Of a cache probe, whose turns all send the same request: the seconds before each turn in which nothing is sent.
    Empty for a conversation."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Field of `Parameters` -> its value for this case, whatever the target has."""
    tool_results: Mapping[str, str] = field(default_factory=dict)
    """Tool -> the result that is sent back when the model calls it."""
    max_steps: int = 1
    """The most requests for one turn of the user: its prompt, and the results of tools."""
    asks_with_results: bool = False
    """Whether the first request sends the tools' results that end the history, and no prompt of the user."""
    parts: tuple[Parts, ...] = ()
    """For each turn its texts and attachments, of which the turn is what people read; empty if all turns are texts."""
    think_time: ThinkTime | None = None
    """The wait between a reply and the next turn of the user; None for none."""

    @property
    def steps(self) -> Steps:
        """The steps of its conversation."""
        if len(self.turns) == 1 and not self.tool_results:
            return NO_STEPS
        return Steps(len(self.turns), self.max_steps if self.tool_results else 1, self.tool_results)

    def parameters(self, of_target: Parameters) -> Parameters:
        """Return the parameters of this case's requests to a target with these parameters."""
        return replace(of_target, **self.overrides) if self.overrides else of_target

    def parts_of(self, asked: int) -> Parts:
        """Return the parts of a turn of the user, counted from 1; none if it is a text."""
        return self.parts[asked - 1] if self.parts else ()

    def with_attached(self, attached: Sequence[Sequence[Attachment]]) -> "Case":
        """Return a case whose turns, which are texts, have these attachments before them, a sequence for each turn."""
        pairs = zip(attached, self.turns, strict=True)
        parts: tuple[Parts, ...] = tuple((*files, text) if files else () for files, text in pairs)
        if not any(parts):
            return self
        turns = tuple(shown_text(each) or text for each, text in zip(parts, self.turns, strict=True))
        return replace(self, turns=turns, parts=parts)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """All attachments, those of the history first."""
        told = (message.parts for message in self.history)
        return tuple(each for parts in (*told, *self.parts) for each in attachments_of(parts))


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several settings with which a model is asked."""

    name: str
    parameters: Parameters
    """All parameters: the variant's own over those of its target and the suite's defaults."""
    settings: Mapping[str, object]
    """The variant's own parameters as plain data, to be shown."""


@dataclass(frozen=True, slots=True)
class SuiteTarget:
    """A row of the suite's `targets`; without models, the provider's default ones."""

    provider: str
    models: tuple[str, ...]
    parameters: Parameters
    """The suite's defaults merged with the target's own values."""
    variants: tuple[Variant, ...] = ()
    """The settings with which each model is asked; empty to ask it once, with `parameters`."""

    @property
    def names(self) -> tuple[TargetName, ...]:
        """The targets that the row lists, without the provider's default models."""
        variants: list[str | None] = [variant.name for variant in self.variants]
        return tuple(
            TargetName(self.provider, model, variant) for model in self.models for variant in variants or [None]
        )


@dataclass(frozen=True, slots=True)
class Suite:
    """All that a suite file says. `digest` changes if, and only if, what the suite sends changes, or its think time."""

    name: str
    cases: tuple[Case, ...]
    digest: str
    description: str | None = None
    path: str | None = None
    targets: tuple[SuiteTarget, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    repeat: int = 1
    files: tuple[str, ...] = ()
    """The files with cases and prompts that it names."""
    variants: tuple[Variant, ...] = ()
    """The settings with which a target that is not listed is asked; empty to ask it once, with `parameters`."""
    judge: SuiteTarget | None = None
    """The one model that decides whether replies meet the rubrics; its parameters are its own."""
    slo: Slo | None = None
    """The SLO of a run that has no other one. Nothing of it is sent."""
