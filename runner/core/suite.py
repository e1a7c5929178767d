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
    with_text_after,
    with_text_before,
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
"""Default limit on the size of a reply, in bytes."""

MAX_REPLY_LIMIT = 64 * MEBIBYTE
"""Highest limit that can be set, in bytes; recordings hold no more either."""

_SIZE = re.compile(r"([0-9]{1,9})[ ]?(B|kB|KiB|MB|MiB|)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kb": 1000, "kib": 1024, "mb": 1_000_000, "mib": MEBIBYTE}


def parse_reply_limit(text: str) -> int:
    """Parse a size such as `500kB`, `32MiB` or `1000000` to a number of bytes.

    Raises:
        ValueError: the text is not a size, or the size is out of range.

    """
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 0 < size <= MAX_REPLY_LIMIT:
        raise ValueError(f"`{text}` is not a reply limit. Write a size up to 64MiB, such as 500kB or 32MiB")
    return size


def describe_size(size: int) -> str:
    """Return a number of bytes with a unit, in the form used in suites."""
    return f"{size // MEBIBYTE} MiB" if size % MEBIBYTE == 0 else counted(size, "byte")


Role = Literal["system", "user", "assistant", "tool"]
Thinking = Literal["on", "off", "low", "medium", "high"]
Api = Literal["chat_completions", "responses", "messages"]
"""Dialect of a request and its response."""

TOOL_CHOICES = ("auto", "none", "required")
"""Settings of `tool_choice` that name no tool."""

MAX_TEMPERATURE = 2

DEFAULT_API: Api = "chat_completions"

CacheUse = Literal["allow", "bust", "warm"]
"""Use of prompt caches. `allow`: a cache may serve the request. `bust`: no cache can serve it. `warm`: a request sent
before it fills the cache, as far as a client can achieve that."""

NONCE = re.compile(r"^\[[0-9a-f]{12}\] ")
"""The nonce that `cache: bust` puts before a conversation; it differs from run to run."""

SignedBlocks = Sequence[Mapping[str, str]]
"""Blocks of a model's thinking with the provider's signatures, as they were sent."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str
    """Text of the message; if it has parts, the text that people read in their place."""
    signed_thinking: SignedBlocks = ()
    """The model's signed thinking before this message, as it was sent."""
    calls: tuple[ToolCall, ...] = ()
    """Tool calls of an assistant's message."""
    call_id: str | None = None
    """Id of the call that a tool's message answers."""
    reasoning: str | None = None
    """The model's unsigned reasoning before this message."""
    parts: Parts = ()
    """Texts and attachments that are sent in place of the content; empty for a plain text."""

    def beginning_with(self, text: str) -> "Message":
        """Return the message with a text before its content."""
        return replace(self, content=text + self.content, parts=self.parts and with_text_before(text, self.parts))


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: Mapping[str, object] | None = None
    """JSON Schema of its arguments; None if it takes none."""
    strict: bool | None = None
    """Whether the provider must make the arguments fit the schema; None for the provider's default."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds: to connect, to the first text, between data (comments do not count), and in total."""

    connect: float = 10.0
    first_token: float = 120.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request beside its messages; a member is None for the provider's default."""

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
    """Size in bytes at which a reply is given up. It is not sent, so no request's key depends on it."""
    api: Api | None = None
    """Dialect of the request; None for that of the provider's row."""
    prefix: str | None = None
    """Text before each of the user's prompts; results show the prompts without it."""
    suffix: str | None = None
    response_format: Mapping[str, object] | None = None
    route: str | None = None
    """The only vendor behind a router that may answer, as the router names it."""
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: str | None = None
    """Choice of tools: `auto`, `none`, `required`, or the name of the tool that must be called."""

    def wrap(self, prompt: str) -> str:
        """Return a user's prompt with the prefix and the suffix around it."""
        return f"{self.prefix or ''}{prompt}{self.suffix or ''}"

    def user_message(self, prompt: str, parts: Parts = ()) -> Message:
        """Return the message of a user's prompt with the prefix and the suffix around it."""
        if not parts:
            return Message("user", self.wrap(prompt))
        wrapped = with_text_after(self.suffix or "", with_text_before(self.prefix or "", parts))
        return Message("user", shown_text(wrapped), parts=wrapped)


@dataclass(frozen=True, slots=True)
class Expectations:
    """The expectations of a case's replies.

    `checks` are the checks by name, as plain data. `share` is the number of repeats that must pass, and the number of
    repeats; None if all must pass. `match` is the way in which a snapshot compares replies.
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
    """Text before the first turn."""
    idle_s: tuple[float, ...] = ()
    """Idle seconds before each turn of a cache probe, whose turns all send the same request; empty for a
    conversation."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Field of `Parameters` -> its value for this case, which takes precedence over the target's."""
    tool_results: Mapping[str, str] = field(default_factory=dict)
    """Name of a tool -> result that is sent back when the model calls it."""
    max_steps: int = 1
    """Most requests for one turn of the user: one with its prompt, the others with results of tools."""
    asks_with_results: bool = False
    """Whether the first request sends the results of tools at the end of the history, without a prompt of the user."""
    parts: tuple[Parts, ...] = ()
    """Texts and attachments of each turn, for which `turns` has the text that people read; empty if all turns are plain
    texts."""
    think_time: ThinkTime | None = None
    """Wait between a reply and the next turn of the user; None for no wait."""

    @property
    def steps(self) -> Steps:
        """The steps of the conversation."""
        if len(self.turns) == 1 and not self.tool_results:
            return NO_STEPS
        return Steps(len(self.turns), self.max_steps if self.tool_results else 1, self.tool_results)

    def parameters(self, of_target: Parameters) -> Parameters:
        """Return the parameters of this case's requests to a target with the given parameters."""
        return replace(of_target, **self.overrides) if self.overrides else of_target

    def messages_before(self, of_target: Parameters) -> tuple[Message, ...]:
        """Return the messages before the user's first turn: the case's or the target's system message, the history."""
        system = self.system or of_target.system
        return (*([Message("system", system)] if system else []), *self.history)

    @property
    def rubrics(self) -> tuple[str, ...]:
        """The rubrics by which a judge decides on each reply."""
        wanted = self.expectations.checks.get("rubric", ())
        return (wanted,) if isinstance(wanted, str) else tuple(wanted) if isinstance(wanted, Sequence) else ()

    def parts_of(self, asked: int) -> Parts:
        """Return the parts of a turn of the user, counted from 1; empty if it is a plain text."""
        return self.parts[asked - 1] if self.parts else ()

    def with_attached(self, attached: Sequence[Sequence[Attachment]]) -> "Case":
        """Return a case with attachments before its turns, all plain texts; `attached` has one item for each turn."""
        pairs = zip(attached, self.turns, strict=True)
        parts: tuple[Parts, ...] = tuple((*files, text) if files else () for files, text in pairs)
        if not any(parts):
            return self
        turns = tuple(shown_text(each) or text for each, text in zip(parts, self.turns, strict=True))
        return replace(self, turns=turns, parts=parts)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """All attachments, those of the history first."""
        of_history = (message.parts for message in self.history)
        return tuple(each for parts in (*of_history, *self.parts) for each in attachments_of(parts))


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several settings with which requests are sent to a model."""

    name: str
    parameters: Parameters
    """All parameters: the variant's own, then those of its target, then the suite's defaults."""
    settings: Mapping[str, object]
    """The variant's own parameters as plain data, for display."""


@dataclass(frozen=True, slots=True)
class SuiteTarget:
    """A row of the suite's `targets`; if it has no models, it means the provider's default models."""

    provider: str
    models: tuple[str, ...]
    parameters: Parameters
    """The suite's defaults, overridden by the target's own values."""
    variants: tuple[Variant, ...] = ()
    """Settings for each model; empty for a single one, `parameters`."""

    @property
    def names(self) -> tuple[TargetName, ...]:
        """The targets that the row lists, without the provider's default models."""
        variants: list[str | None] = [variant.name for variant in self.variants]
        return tuple(
            TargetName(self.provider, model, variant) for model in self.models for variant in variants or [None]
        )


@dataclass(frozen=True, slots=True)
class Suite:
    """The content of a suite file. `digest` changes if and only if the requests or the think time change."""

    name: str
    cases: tuple[Case, ...]
    digest: str
    description: str | None = None
    path: str | None = None
    targets: tuple[SuiteTarget, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    repeat: int = 1
    files: tuple[str, ...] = ()
    """Files with cases and prompts that the suite names."""
    variants: tuple[Variant, ...] = ()
    """Settings for targets that the suite does not list; empty for a single one, `parameters`."""
    judge: SuiteTarget | None = None
    """The only model that decides whether replies meet the rubrics; it has parameters of its own."""
    slo: Slo | None = None
    """Default SLO of the suite's runs; it is not sent."""
