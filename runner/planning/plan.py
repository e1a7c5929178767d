"""The plan of a run: suite x targets x repeats become keyed requests, lazily, in a seeded, interleaved order.

A round (the column `block`) contains every pair of target and case once. Rounds are shuffled, so that drift during a
run affects all targets alike, and compared requests are close in time. If several nodes each send all requests, all
of them send a pair, in shuffled order, before the next pair. The number of rounds may be unlimited; memory does not
grow with it. Performs no I/O and reads no clock.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import count, islice
from random import Random
from typing import Literal

from runner.core.attachment_parts import sent_content, with_text_before
from runner.core.cluster_options import Node
from runner.core.earlier_reply import EarlierReply
from runner.core.load_profile import rounds_a_level
from runner.core.record import Record, skipped
from runner.core.record_fields import Identity
from runner.core.sized_input import InputProbe, cut_text
from runner.core.suite import Case, Message, Parameters
from runner.core.target_name import TargetName
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import distinct_calls, results_prompt
from runner.planning.request_key import digest, encode
from runner.planning.request_size import counted_texts, likely_file_tokens

Order = Literal["blocks", "free", "as-written"]
"""`blocks`: shuffled rounds, the targets of a case together; `free`: shuffled rounds, each lane independent;
`as-written`: the suite's own sequence."""


@dataclass(frozen=True)
class Target:
    """A model at a provider, with the parameters of its requests."""

    provider: str
    model: str
    parameters: Parameters
    simulated: bool = False
    variant: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    """The variant's own parameters as plain data, to be shown."""
    names_variant: bool = False
    """Whether requests name the model together with its variant, so that a replay can find the reply."""

    @cached_property
    def name(self) -> str:
        """The target as `provider/model` or `provider/model#variant`."""
        return str(self.full_name)

    @cached_property
    def keyed_parameters(self) -> str:
        """JSON of the parameters for the keys of requests; encoded once, since all requests share it."""
        return encode(self.parameters)

    @property
    def full_name(self) -> TargetName:
        """The target's name in its parts."""
        return TargetName(self.provider, self.model, self.variant)

    @property
    def model_sent(self) -> str:
        """The model's name in requests."""
        return self.full_name.model_and_variant if self.names_variant else self.model


def _join(text: str, prompt: str) -> str:
    """Return a text followed by the prompt; the text alone if there is no prompt."""
    return f"{text}\n\n{prompt}" if prompt else text


@dataclass(frozen=True, slots=True)
class Request:
    """One turn of a case, for one target, in one repeat; `replies` are those to the earlier turns."""

    target: Target
    case: Case
    repeat: int
    block: int
    replies: tuple[EarlierReply, ...] = ()
    warmup: bool = False
    vantage: Node | None = None
    """The node that must send it; None for any."""

    @property
    def turn(self) -> int:
        """The number of this turn, from 1, as `Steps` counts them."""
        turn = 1
        for reply in self.replies:
            turn = self.case.steps.next_turn(turn, reply.calls)
        return turn

    @property
    def prompt(self) -> str:
        """The user's message in this turn, or the results of the tools that the last reply called."""
        asked, step = self.case.steps.place(self.turn)
        if step == 1:
            return self.case.turns[asked - 1]
        return results_prompt((call.name, self.case.tool_results[call.name]) for call in self.replies[-1].calls)

    @property
    def parameters(self) -> Parameters:
        """The target's parameters with those of the case in their place."""
        return self.case.parameters(self.target.parameters)

    @property
    def earlier_calls(self) -> tuple[ToolCall, ...]:
        """Tool calls of the earlier replies in the conversation that is sent; none for a cache probe."""
        return () if self.case.idle_s else tuple(call for reply in self.replies for call in reply.calls)

    @property
    def key(self) -> str:
        """A digest of target, parameters, messages of the user, repeat and vantage: equal content has an equal key."""
        return self.key_at(self.turn)

    def key_at(self, turn: int) -> str:
        """Return the key of a turn of this conversation, which does not depend on the replies before it."""
        asked, step = self.case.steps.place(turn)
        content: dict[str, object] = {
            "target": self.target.name,
            "system": self.case.system,
            "history": self.case.history,
            "turns": [sent_content(text, self.case.parts_of(at)) for at, text in enumerate(self.case.turns[:asked], 1)],
            "case": self.case.id,
            "repeat": self.repeat,
        }
        if self.vantage is not None:
            content["vantage"] = self.vantage.name
        if self.case.input is not None:
            content["input"] = [self.case.input.tokens, self.case.input.sha256]
        if self.case.idle_s:
            content["idle_s"] = self.case.idle_s
        if self.case.asks_with_results:
            content["asks_with_results"] = True
        if self.case.overrides:
            content["overrides"] = dict(self.case.overrides)
        if self.case.tool_results and turn > 1:
            content |= {"step": step, "max_steps": self.case.max_steps, "tool_results": dict(self.case.tool_results)}
        return digest(content, parameters=self.target.keyed_parameters)

    @property
    def prefix_key(self) -> str:
        """A digest of the target and of what its conversation begins with: equal content can share a prompt cache."""
        case = self.case
        sized = None if case.input is None else [case.input.tokens, case.input.sha256]
        first = sent_content(case.turns[0], case.parts_of(1))
        return digest([self.target.name, case.system, case.history, first, sized, dict(case.overrides)])

    def identity(self) -> Identity:
        """Return the part of a record that identifies this request."""
        turn = self.turn
        return Identity(
            key=self.key_at(turn),
            case=self.case.id,
            turn=turn,
            repeat=self.repeat,
            block=self.block,
            provider=self.target.provider,
            model=self.target.model,
            variant=self.target.variant,
            prompt=self._labelled_prompt,
            simulated=self.target.simulated,
        )

    @property
    def _labelled_prompt(self) -> str:
        """The prompt as results show it: a text before it is replaced by its name and size."""
        if self.case.input is None or (self.turn > 1 and not self.case.idle_s):
            return self.prompt
        return _join(self.case.input.label, self.prompt)

    def messages(self, salt: str, probe: InputProbe | None = None) -> tuple[Message, ...]:
        """Return all messages to send, those of this turn last.

        With `cache: bust` the first message begins with a nonce made of `salt` and the key: since prompt caches
        match prefixes, none can match. All turns of a cache probe send the first turn, with one nonce.

        Args:
            salt: differs between runs.
            probe: the measured tokens of the target, for a text that is cut to a number of tokens.

        """
        sent = self.opening_again
        messages = list(sent.conversation(probe))
        if self.case.idle_s or self.target.parameters.cache == "bust":
            nonce = sha256(f"{salt}{sent.key}".encode()).hexdigest()[:12]
            messages[0] = messages[0].beginning_with(f"[{nonce}] ")
        return tuple(messages)

    @property
    def opening_again(self) -> "Request":
        """The request whose conversation is sent: the first one of a cache probe, else the request itself."""
        return replace(self, replies=()) if self.case.idle_s and self.replies else self

    def conversation(self, probe: InputProbe | None = None) -> Iterator[Message]:
        """Yield the messages of the conversation so far, those of this turn last; `probe` as for `messages`."""
        before = [*self._system(), *self.case.history]
        yield from before
        sized = self._sized_text(before, probe)
        steps, turn, answered = self.case.steps, 1, tuple[ToolCall, ...]()
        for reply in self.replies:
            calls = distinct_calls(reply.calls, f"call{turn:02}") if steps.are_answered(turn, reply.calls) else ()
            if reply.text is not None:
                yield from self._messages_of_turn(turn, answered, sized)
                yield Message("assistant", reply.text, reply.signed_thinking, calls, reasoning=reply.reasoning)
            turn, answered = steps.next_turn(turn, reply.calls), calls
        yield from self._messages_of_turn(turn, answered, sized)

    def _system(self) -> Iterator[Message]:
        system = self.case.system or self.target.parameters.system
        if system:
            yield Message("system", system)

    def _messages_of_turn(self, turn: int, calls: Iterable[ToolCall], sized: str | None) -> Iterator[Message]:
        """Yield the new messages of a turn: results of the calls before it, or the prompt after a sized text."""
        asked, step = self.case.steps.place(turn)
        if step > 1:
            yield from (Message("tool", self.case.tool_results[call.name], call_id=call.id) for call in calls)
        elif asked > 1 or not self.case.asks_with_results:
            prompt, parts = self.case.turns[asked - 1], self.case.parts_of(asked)
            if asked == 1 and sized is not None:
                prompt, parts = _join(sized, prompt), with_text_before(f"{sized}\n\n", parts) if parts else ()
            yield self.target.parameters.user_message(prompt, parts)

    def _sized_text(self, before: Sequence[Message], probe: InputProbe | None) -> str | None:
        """Return the part of the text before the first turn that is sent; None if the case has no such text."""
        if self.case.input is None:
            return None
        asked = self.target.parameters.user_message(_join("", self.case.turns[0]), self.case.parts_of(1))
        beside = sum(map(len, counted_texts((*before, asked), self.parameters)))
        return cut_text(self.case.input, probe, beside, likely_file_tokens((*before, asked)))

    def follow(self, reply: EarlierReply) -> "Request | None":
        """Return the request for the next turn, given the reply to this one; None after the last turn."""
        if self.case.steps.is_last(self.turn, reply.calls):
            return None
        return replace(self, replies=(*self.replies, reply))

    def skipped(self, failed_turn: int) -> Record:
        """Return the record of this turn if it is not sent because an earlier turn of its conversation failed."""
        row = skipped(self.identity(), self.case.steps.place(failed_turn)[0])
        return row if self.vantage is None else replace(row, node=self.vantage.name, region=self.vantage.region)

    def unasked(self) -> "Iterator[Request]":
        """Yield the requests with the user's later prompts, which cannot be sent if this one failed."""
        following = self.follow(EarlierReply(""))
        while following is not None:
            yield following
            following = following.follow(EarlierReply(""))


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
        return self.requests_to(self.targets)

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

    def requests_to(self, targets: Collection[Target]) -> int | None:
        """Return the highest number of requests to some of the targets; None without a limit on rounds."""
        turns = sum(case.steps.most for case in self.cases)
        each = len(targets) * len(self.origins) * turns
        return None if self.repeat is None else self.repeat * self.levels * each

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
        """Yield the conversations of one level, from 0, a case of a round at a time: all targets, in shuffled order.

        Each conversation is its first request. The cases of a round are shuffled, too.
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
