"""Suite x targets x repeats become keyed requests, lazily, in a seeded, interleaved order.

A block holds every (target, case) once, shuffled: whatever drifts during a run drifts for all targets alike,
and what is compared lies close in time. Where several nodes ask everything, each asks a pair before the next pair
comes, in shuffled order as well. Nothing is kept that grows with the number of blocks, which may have no
end. Performs no I/O and reads no clock.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from itertools import count, islice
from random import Random
from typing import Any, Literal

from runner.core.load import blocks_a_level
from runner.core.nodes import Node
from runner.core.record import Identity, Record, skipped
from runner.core.suite import Case, Message, Parameters

Order = Literal["blocks", "free", "as-written"]
"""Shuffled blocks whose lanes stay close in time; shuffled blocks, each lane for itself; the suite's own sequence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider, with what is asked of it."""

    provider: str
    model: str
    parameters: Parameters
    simulated: bool = False

    @property
    def name(self) -> str:
        """The target as it is written everywhere."""
        return f"{self.provider}/{self.model}"


_ALWAYS_KEYED = frozenset(
    {
        *("system", "temperature", "max_tokens", "top_p", "seed", "stop", "thinking", "stream", "cache"),
        *("timeouts", "connect", "first_token", "idle", "total", "extra_body", "role", "content"),
    }
)
"""Fields of parameters, timeouts and messages that are in every request's key. A field that is not named here is in it
only where it differs from its default: a new field changes no key, and runs made before it can be resumed."""


def _keyed_fields(value: Any) -> dict[str, object]:
    """Return the fields of a dataclass that a request's key digests."""
    defaults = {
        spec.name: spec.default_factory() if callable(spec.default_factory) else spec.default for spec in fields(value)
    }
    members = {name: getattr(value, name) for name in defaults}
    return {name: item for name, item in members.items() if name in _ALWAYS_KEYED or item != defaults[name]}


@dataclass(frozen=True, slots=True)
class Request:
    """One turn of one case, for one target, in one repeat; `replies` are what it was told so far."""

    target: Target
    case: Case
    repeat: int
    block: int
    replies: tuple[str, ...] = ()
    warmup: bool = False
    vantage: Node | None = None
    """The only node that may ask it; None where it does not matter who does."""

    @property
    def turn(self) -> int:
        """Which of the user's turns this asks, from 1."""
        return len(self.replies) + 1

    @property
    def prompt(self) -> str:
        """What the user says in this turn."""
        return self.case.turns[self.turn - 1]

    @property
    def key(self) -> str:
        """A digest of what is asked, of whom, how and, if that matters, from where: equal content, equal key."""
        asked = {
            "target": self.target.name,
            "parameters": self.target.parameters,
            "system": self.case.system,
            "history": self.case.history,
            "turns": self.case.turns[: self.turn],
            "case": self.case.id,
            "repeat": self.repeat,
        }
        if self.vantage is not None:
            asked["vantage"] = self.vantage.name
        return sha256(json.dumps(asked, sort_keys=True, default=_keyed_fields).encode()).hexdigest()[:16]

    def identity(self) -> Identity:
        """Return what a record needs to know of this request."""
        return Identity(
            key=self.key,
            case=self.case.id,
            turn=self.turn,
            repeat=self.repeat,
            block=self.block,
            provider=self.target.provider,
            model=self.target.model,
            prompt=self.prompt,
            simulated=self.target.simulated,
        )

    def messages(self, salt: str) -> tuple[Message, ...]:
        """Return the whole conversation to send, this turn last.

        With `cache: bust` the first message begins with a nonce made of `salt` and the key: prompt caches
        work on prefixes, so nothing behind it can be answered from one.
        """
        system = self.case.system or self.target.parameters.system
        messages = [Message("system", system)] if system else []
        messages += self.case.history
        for asked, replied in zip(self.case.turns, self.replies, strict=False):
            messages += [Message("user", asked), Message("assistant", replied)]
        messages.append(Message("user", self.prompt))
        if self.target.parameters.cache == "bust":
            nonce = sha256(f"{salt}{self.key}".encode()).hexdigest()[:12]
            messages[0] = replace(messages[0], content=f"[{nonce}] {messages[0].content}")
        return tuple(messages)

    def follow(self, reply: str) -> "Request | None":
        """Return the request for the next turn, now that this one was answered; None after the last."""
        if self.turn == len(self.case.turns):
            return None
        return replace(self, replies=(*self.replies, reply))

    def skipped(self, failed_turn: int) -> Record:
        """Return the row of this turn if it is not asked, because an earlier one of its conversation failed."""
        row = skipped(self.identity(), failed_turn)
        return row if self.vantage is None else replace(row, node=self.vantage.name, region=self.vantage.region)

    def unasked(self) -> "Iterator[Request]":
        """Yield the later turns, which cannot be asked because this one failed."""
        following = self.follow("")
        while following is not None:
            yield following
            following = following.follow("")


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run will ask."""

    cases: tuple[Case, ...]
    targets: tuple[Target, ...]
    repeat: int | None = 1
    """Blocks, at each level; None goes on until somebody stops it."""
    seed: int = 0
    order: Order = "blocks"
    warmups: int = 0
    """Requests to each target before the first that counts."""
    levels: int = 1
    """Levels of load at which all of it is asked anew."""
    vantages: tuple[Node, ...] = ()
    """The nodes that each ask all of it; none where it does not matter who does."""

    def __len__(self) -> int:
        """Count the requests, later turns included; TypeError where blocks have no end: see `requests`."""
        if self.requests is None:
            raise TypeError("a plan without end has no length")
        return self.requests

    @property
    def requests(self) -> int | None:
        """How many requests there are in all, later turns included; None where blocks have no end."""
        return self.requests_to(self.targets)

    @property
    def requests_a_block(self) -> int:
        """How many requests ask everything once."""
        return len(self.targets) * len(self.origins) * sum(len(case.turns) for case in self.cases)

    @property
    def origins(self) -> tuple[Node | None, ...]:
        """Where every question is asked from, once each; None is anywhere."""
        return self.vantages or (None,)

    def requests_to(self, targets: Collection[Target]) -> int | None:
        """Count the requests to some of the targets; None where blocks have no end."""
        turns = sum(len(case.turns) for case in self.cases)
        each = len(targets) * len(self.origins) * turns
        return None if self.repeat is None else self.repeat * self.levels * each

    def conversations_with(self, provider: str) -> int | None:
        """Count the conversations to hold with a provider at each level; None where blocks have no end."""
        each = sum(target.provider == provider for target in self.targets) * len(self.origins) * len(self.cases)
        return None if self.repeat is None else self.repeat * each

    def providers(self) -> tuple[str, ...]:
        """Return the providers asked, in the targets' order."""
        return tuple(dict.fromkeys(target.provider for target in self.targets))

    def warmup_requests(self, provider: str) -> Iterator[Request]:
        """Yield what a provider is asked before the first block; it is marked, and left out of every statistic."""
        for number in range(self.warmups):
            case = self.cases[number % len(self.cases)]
            for target in self.targets:
                if target.provider == provider:
                    for origin in self.origins:
                        yield Request(target, case, repeat=-number, block=0, warmup=True, vantage=origin)

    def opening_requests(self) -> Iterator[Request]:
        """Yield every conversation's first request in the run's order, level after level."""
        names = {target.name for target in self.targets}
        for level in range(self.levels):
            yield from self.openings_at(level, names)

    def openings_at(self, level: int, names: Collection[str]) -> Iterator[Request]:
        """Yield the first requests of one level, counted from 0, to the targets with these names."""
        for block in self._blocks_of(level):
            for index in self._arranged(block):
                target, case = self.targets[index // len(self.cases)], self.cases[index % len(self.cases)]
                if target.name in names:
                    for origin in self._origins_of(block, index):
                        yield Request(target, case, repeat=block, block=block, vantage=origin)

    def _blocks_of(self, level: int) -> Iterable[int]:
        blocks = count(level * blocks_a_level(self.repeat) + 1)
        if not self.cases or not self.targets:
            return ()
        return blocks if self.repeat is None else islice(blocks, self.repeat)

    def _arranged(self, block: int) -> Iterable[int]:
        """Return the pairs of target and case, by their numbers, in a block's order."""
        pairs = len(self.targets) * len(self.cases)
        if self.order == "as-written":
            return range(pairs)
        # Random seeded with a string is stable across Python versions and processes.
        return _shuffle(pairs, Random(f"{self.seed}/{block}"))  # noqa: S311 -- an order, not a secret

    def _origins_of(self, block: int, pair: int) -> Iterable[Node | None]:
        """Return where a pair is asked from, in an order of its own: no node is the first to ask more often."""
        if len(self.origins) == 1 or self.order == "as-written":
            return self.origins
        chance = Random(f"{self.seed}/{block}/{pair}")  # noqa: S311 -- an order, not a secret
        return (self.origins[at] for at in _shuffle(len(self.origins), chance))


def _shuffle(count: int, chance: Random) -> Iterator[int]:
    """Yield the numbers below `count`, each once, shuffled as Fisher and Yates do, but only as far as they are taken.

    A block of 100,000 pairs shuffled at once would hold up for a tenth of a second whoever takes its first one.
    """
    moved: dict[int, int] = {}
    for at in range(count):
        # Of Python's random numbers only those of random() are promised to stay the same.
        picked = at + int(chance.random() * (count - at))
        yield moved.get(picked, picked)
        moved[picked] = moved.get(at, at)
        moved.pop(at, None)
