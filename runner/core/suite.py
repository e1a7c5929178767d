"""A suite once it is read: plain, frozen values with nothing left to fill in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
Thinking = Literal["on", "off", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to the first text, between data (comments do not count), in all."""

    connect: float = 10.0
    first_token: float = 120.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is asked of a model beside the messages; None leaves the provider its own default."""

    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    thinking: Thinking | None = None
    stream: bool = True
    cache: Literal["allow", "bust"] = "allow"
    timeouts: Timeouts = field(default_factory=Timeouts)
    extra_body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a case's replies must be like: `checks` by name, as plain data; `match` is how a snapshot is compared.

    `share` is how many of how many repeats must pass; None is all of them.
    """

    checks: Mapping[str, object] = field(default_factory=dict)
    share: tuple[int, int] | None = None
    match: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation to hold: the history given, then the user's turns, each asked and measured."""

    id: str
    turns: tuple[str, ...]
    history: tuple[Message, ...] = ()
    system: str | None = None
    tags: tuple[str, ...] = ()
    line: int | None = None
    expectations: Expectations = field(default_factory=Expectations)


@dataclass(frozen=True, slots=True)
class SuiteTarget:
    """A row of the suite's `targets`; no models means the provider's default ones."""

    provider: str
    models: tuple[str, ...]
    parameters: Parameters
    """The suite's defaults with this target's own values laid over them."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite file's whole meaning. `digest` changes when, and only when, its meaning does."""

    name: str
    cases: tuple[Case, ...]
    digest: str
    description: str | None = None
    path: str | None = None
    targets: tuple[SuiteTarget, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    repeat: int = 1
