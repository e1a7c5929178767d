"""Suite x targets x repeats become keyed requests, lazily, in a seeded, interleaved order.

A block holds every (target, case) once, shuffled: whatever drifts during a run drifts for all targets alike,
and what is compared lies close in time. Performs no I/O and reads no clock.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from random import Random
from typing import Literal

from runner.record import Identity
from runner.suite.case import Case, Message, Parameters

Order = Literal["blocks", "as-written"]


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


@dataclass(frozen=True, slots=True)
class Request:
    """One turn of one case, for one target, in one repeat; `replies` are what it was told so far."""

    target: Target
    case: Case
    repeat: int
    block: int
    replies: tuple[str, ...] = ()
    warmup: bool = False

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
        """A digest of what is asked, of whom and how: equal content, equal key, in any run."""
        asked = {
            "target": self.target.name,
            "parameters": asdict(self.target.parameters),
            "system": self.case.system,
            "history": [asdict(message) for message in self.case.history],
            "turns": self.case.turns[: self.turn],
            "case": self.case.id,
            "repeat": self.repeat,
        }
        return sha256(json.dumps(asked, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]

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
    repeat: int = 1
    seed: int = 0
    order: Order = "blocks"
    warmups: int = 0
    """Requests to each target before the first that counts."""

    def __len__(self) -> int:
        """Count the requests, later turns included."""
        return self.repeat * len(self.targets) * sum(len(case.turns) for case in self.cases)

    def conversations(self) -> dict[str, int]:
        """Count the conversations to hold with each provider, in the targets' order."""
        each = self.repeat * len(self.cases)
        counts: dict[str, int] = {}
        for target in self.targets:
            counts[target.provider] = counts.get(target.provider, 0) + each
        return counts

    def providers(self) -> tuple[str, ...]:
        """Return the providers asked, in the targets' order."""
        return tuple(self.conversations())

    def warmup_requests(self, provider: str) -> Iterator[Request]:
        """Yield what a provider is asked before the first block; it is marked, and left out of every statistic."""
        for number in range(self.warmups):
            for target in self.targets:
                if target.provider == provider:
                    case = self.cases[number % len(self.cases)]
                    yield Request(target, case, repeat=-number, block=0, warmup=True)

    def opening_requests(self, provider: str | None = None) -> Iterator[Request]:
        """Yield every conversation's first request in the run's order, of one provider if named."""
        for block in range(1, self.repeat + 1):
            for index in self._shuffled(block):
                target = self.targets[index // len(self.cases)]
                if provider in (None, target.provider):
                    yield Request(target, self.cases[index % len(self.cases)], repeat=block, block=block)

    def _shuffled(self, block: int) -> Sequence[int]:
        pairs = range(len(self.targets) * len(self.cases))
        if self.order == "as-written":
            return pairs
        # Random seeded with a string is stable across Python versions and processes.
        return Random(f"{self.seed}/{block}").sample(pairs, len(pairs))  # noqa: S311 -- an order, not a secret
