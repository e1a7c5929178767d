"""The plan of a run: suite x targets x repeats become keyed requests, lazily, in a seeded, interleaved order.

A round (the column `block`) contains every pair of target and case once. Rounds are shuffled, so that drift during a
run affects all targets alike, and compared requests are close in time. If several nodes each send all requests, all
of them send a pair, in shuffled order, before the next pair. The number of rounds may be unlimited; memory does not
grow with it. Performs no I/O and reads no clock.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from random import Random
from typing import Literal

from runner.core.cluster_node import Node
from runner.core.load_profile import rounds_a_level
from runner.core.sized_input import PROBE_QUESTION
from runner.core.suite import Case
from runner.planning.request import Request, Target

Order = Literal["blocks", "free", "as-written"]
"""`blocks`: shuffled rounds, the targets of a case together; `free`: shuffled rounds, each lane independent;
`as-written`: the suite's own sequence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All requests of a run."""

    cases: tuple[Case, ...]
    targets: tuple[Target, ...]
    repeat: int | None = 1
    """Number of rounds at each level; None for no limit."""
    seed: int = 0
    order: Order = "blocks"
    warmups: int = 0
    """Number of warm-up requests to each target."""
    levels: int = 1
    """Number of load levels, each of which repeats all rounds."""
    vantages: tuple[Node, ...] = ()
    """Nodes that each send all requests; empty if any node may send a request."""

    def __len__(self) -> int:
        """Return the highest number of requests, later turns and steps included.

        Raises:
            TypeError: there is no limit on rounds; see `requests`.

        """
        if self.requests is None:
            raise TypeError("a plan without end has no length")
        return self.requests

    @property
    def requests(self) -> int | None:
        """Highest number of requests, later turns and steps included; None without a limit on rounds."""
        return None if self.requests_per_target is None else self.requests_per_target * len(self.targets)

    @property
    def requests_per_target(self) -> int | None:
        """Highest number of requests to each target; None without a limit on rounds."""
        turns = sum(case.steps.most for case in self.cases)
        return None if self.repeat is None else self.repeat * self.levels * len(self.origins) * turns

    @property
    def requests_a_round(self) -> int:
        """Highest number of requests in a round."""
        return len(self.targets) * len(self.origins) * sum(case.steps.most for case in self.cases)

    @property
    def is_exact(self) -> bool:
        """Whether every conversation has its highest number of requests: no model can end one earlier."""
        return all(case.steps.max_steps == 1 for case in self.cases)

    @property
    def origins(self) -> tuple[Node | None, ...]:
        """The nodes that each send all requests; a single None if there are none."""
        return self.vantages or (None,)

    def conversations_with(self, provider: str) -> int | None:
        """Return the number of conversations with a provider at each level; None without a limit on rounds."""
        each = sum(target.provider == provider for target in self.targets) * len(self.origins) * len(self.cases)
        return None if self.repeat is None else self.repeat * each

    def providers(self) -> tuple[str, ...]:
        """Return the providers of all targets, in the targets' order."""
        return tuple(dict.fromkeys(target.provider for target in self.targets))

    def warmup_requests(self, provider: str) -> Iterator[Request]:
        """Yield the warm-up requests to a provider, sent before the first round; no statistic counts them."""
        for number in range(self.warmups):
            case = self.cases[number % len(self.cases)]
            for target in self.targets:
                if target.provider == provider:
                    for origin in self.origins:
                        yield Request(target, case, repeat=-number, block=0, warmup=True, vantage=origin)

    def openings_at(self, level: int, names: Collection[str]) -> Iterator[Request]:
        """Yield the first request of every conversation of one level, from 0, with the targets of these names."""
        for round_number in self._rounds_of(level):
            for index in self._order_of(round_number):
                target, case = self.targets[index // len(self.cases)], self.cases[index % len(self.cases)]
                if target.name in names:
                    for origin in self._origins_of(round_number, index):
                        yield Request(target, case, repeat=round_number, block=round_number, vantage=origin)

    def groups_at(self, level: int) -> Iterator[tuple[Request, ...]]:
        """Yield one level's conversations in groups: all targets of one case in one round, in shuffled order.

        Levels count from 0. Each conversation is its first request. The cases of a round are shuffled, too.
        """
        for round_number in self._rounds_of(level):
            for at in _shuffle(len(self.cases), f"{self.seed}/{round_number}/cases"):
                yield tuple(self._group(round_number, at))

    def _group(self, round_number: int, at: int) -> Iterator[Request]:
        for number in _shuffle(len(self.targets), f"{self.seed}/{round_number}/case/{at}"):
            for origin in self._origins_of(round_number, number * len(self.cases) + at):
                yield Request(
                    self.targets[number], self.cases[at], repeat=round_number, block=round_number, vantage=origin
                )

    def _rounds_of(self, level: int) -> Iterable[int]:
        rounds = count(level * rounds_a_level(self.repeat) + 1)
        if not self.cases or not self.targets:
            return ()
        return rounds if self.repeat is None else islice(rounds, self.repeat)

    def _order_of(self, round_number: int) -> Iterable[int]:
        """Return the numbers of the pairs of target and case, in a round's order."""
        pairs = len(self.targets) * len(self.cases)
        if self.order == "as-written":
            return range(pairs)
        return _shuffle(pairs, f"{self.seed}/{round_number}")

    def _origins_of(self, round_number: int, pair: int) -> Iterable[Node | None]:
        """Return the nodes that send a pair, shuffled for each pair so that no node is first more often."""
        if len(self.origins) == 1 or self.order == "as-written":
            return self.origins
        return (self.origins[at] for at in _shuffle(len(self.origins), f"{self.seed}/{round_number}/{pair}"))


def _shuffle(count: int, seed: str) -> Iterator[int]:
    """Yield the numbers below `count` in random order, by a lazy Fisher-Yates shuffle.

    Shuffling a round of 100,000 pairs at once would delay its first request by a tenth of a second.
    """
    if count < 2:  # nothing to shuffle; seeding a generator takes longer than the rest
        yield from range(count)
        return
    # `Random` seeded with a string is stable across Python versions and processes.
    random, moved = Random(seed), dict[int, int]()  # noqa: S311 -- an order, not a secret
    for at in range(count):
        # Only random() is guaranteed to return the same numbers in later Python versions.
        picked = at + int(random.random() * (count - at))
        yield moved.get(picked, picked)
        moved[picked] = moved.get(at, at)
        moved.pop(at, None)


# Requests that are sent in addition: probes of sized inputs, and cache warming

BRIEF_TOKENS = 16
"""Limit on a reply that is not used, in tokens; the lowest that the Responses API accepts."""


def probe_requests(plan: Plan, provider: str) -> Iterator[tuple[str, Request]]:
    """Yield the digest of each text, and the request that probes its tokens, for each target of a provider."""
    for target in plan.targets:
        if target.provider == provider:
            for text_digest, case in probed_cases(plan):
                yield text_digest, Request(with_short_replies(target), case, repeat=0, block=0, warmup=True)


def probed_cases(plan: Plan) -> Iterator[tuple[str, Case]]:
    """Yield the digest of each text that a plan cuts to a size, and the case that probes it: excerpts of the largest.

    The probe has the id of the case with the largest size of that text.
    """
    largest: dict[str, Case] = {}
    for case in plan.cases:
        if case.input is not None:
            known = largest.get(case.input.sha256, case)
            assert known.input is not None
            largest[case.input.sha256] = case if case.input.tokens > known.input.tokens else known
    for text_digest, case in largest.items():
        assert case.input is not None
        yield text_digest, Case(case.id, (f"{PROBE_QUESTION}\n\n{case.input.excerpts}",), system=case.system)


WARMING_REPEAT = -1_000_000
"""Repeat number of a request that warms a cache: below those of a plan's warm-ups, which count down from 0."""


def cache_warming_request(opening: Request) -> Request:
    """Return the request that puts the beginning of a conversation into a prompt cache."""
    return replace(opening, target=with_short_replies(opening.target), repeat=WARMING_REPEAT, block=0, warmup=True)


def warms_cache(target: Target, case: Case) -> bool:
    """Return whether the beginning of a case's conversations is sent to a target before the conversations."""
    return target.parameters.cache == "warm" and not case.idle_s


def cache_warming_cases(plan: Plan, target: Target) -> list[Case]:
    """Return a case for each beginning that is sent to a target before its conversations."""
    of_prefix = {Request(target, case, 0, 0).prefix_key: case for case in plan.cases if warms_cache(target, case)}
    return list(of_prefix.values())


def with_short_replies(target: Target) -> Target:
    """Return a target with a low limit on replies, since they are not used.

    If it thinks, its limit stays: some providers refuse a limit below the tokens that thinking may take, and a cache
    may miss a prompt that is sent with other settings.
    """
    parameters = target.parameters
    if parameters.thinking not in (None, "off") or parameters.extra_body:
        return target
    limit = min(parameters.max_tokens or BRIEF_TOKENS, BRIEF_TOKENS)
    return replace(target, parameters=replace(parameters, max_tokens=limit))
