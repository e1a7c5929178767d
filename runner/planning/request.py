"""A request of a plan: one turn of a case for one target, with its messages and its key.

The key digests what does not depend on earlier replies: equal content has an equal key, in every version.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from runner.core.attachment_parts import sent_content, with_text_before
from runner.core.cluster_node import Node
from runner.core.conversation_state import EarlierReply
from runner.core.non_default_fields import non_default_fields
from runner.core.record import Record, skipped
from runner.core.record_fields import Identity
from runner.core.sized_input import InputProbe, cut_text
from runner.core.suite import Case, Message, Parameters
from runner.core.target_name import TargetName
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import distinct_calls, results_prompt
from runner.planning.request_size import counted_texts, likely_file_tokens

_ALWAYS_KEYED = frozenset(
    {
        *("system", "temperature", "max_tokens", "top_p", "seed", "stop", "thinking", "stream", "cache"),
        *("timeouts", "connect", "first_token", "idle", "total", "extra_body", "role", "content"),
    }
)
"""Fields of parameters, timeouts and messages that are in every request's key. Any other field is in the key only if it
differs from its default: so a new field changes no key, and older runs can be resumed."""


def _keyed_fields(value: Any) -> dict[str, object]:
    """Return the fields of a dataclass that a request's key digests."""
    # The reply limit is not sent: a run can be resumed with another one.
    keyed = non_default_fields(value, always=_ALWAYS_KEYED, never=("reply_limit",))
    if isinstance(value, Message) and keyed.pop("parts", None):
        keyed["content"] = sent_content(value.content, value.parts)
    return keyed


_encode = json.JSONEncoder(sort_keys=True, default=_keyed_fields).encode
"""Return plain data and dataclasses as the JSON that keys digest: with sorted keys."""


def _digest(encoded: str) -> str:
    return sha256(encoded.encode()).hexdigest()[:16]


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
        return _encode(self.parameters)

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
        asked, step = self.case.steps.turn_and_step(self.turn)
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
        asked, step = self.case.steps.turn_and_step(turn)
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
        members = {name: _encode(value) for name, value in content.items()}
        members["parameters"] = self.target.keyed_parameters
        return _digest("{" + ", ".join(f"{_encode(name)}: {members[name]}" for name in sorted(members)) + "}")

    @property
    def prefix_key(self) -> str:
        """A digest of the target and of what its conversation begins with: equal content can share a prompt cache."""
        case = self.case
        sized = None if case.input is None else [case.input.tokens, case.input.sha256]
        first = sent_content(case.turns[0], case.parts_of(1))
        return _digest(_encode([self.target.name, case.system, case.history, first, sized, dict(case.overrides)]))

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
        sent = self.as_sent
        messages = list(sent.conversation(probe))
        if self.case.idle_s or self.target.parameters.cache == "bust":
            nonce = sha256(f"{salt}{sent.key}".encode()).hexdigest()[:12]
            messages[0] = messages[0].beginning_with(f"[{nonce}] ")
        return tuple(messages)

    @property
    def as_sent(self) -> "Request":
        """The request whose conversation is sent: the first one of a cache probe, else the request itself."""
        return replace(self, replies=()) if self.case.idle_s and self.replies else self

    def conversation(self, probe: InputProbe | None = None) -> Iterator[Message]:
        """Yield the messages of the conversation so far, those of this turn last; `probe` as for `messages`."""
        before = self.case.messages_before(self.target.parameters)
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

    def _messages_of_turn(self, turn: int, calls: Iterable[ToolCall], sized: str | None) -> Iterator[Message]:
        """Yield the new messages of a turn: results of the calls before it, or the prompt after a sized text."""
        asked, step = self.case.steps.turn_and_step(turn)
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

    def next_request(self, reply: EarlierReply) -> "Request | None":
        """Return the request for the next turn, given the reply to this one; None after the last turn."""
        if self.case.steps.is_last(self.turn, reply.calls):
            return None
        return replace(self, replies=(*self.replies, reply))

    def skipped(self, failed_turn: int) -> Record:
        """Return the record of this turn if it is not sent because an earlier turn of its conversation failed."""
        row = skipped(self.identity(), self.case.steps.turn_and_step(failed_turn)[0])
        return row if self.vantage is None else replace(row, node=self.vantage.name, region=self.vantage.region)

    def later_turns(self) -> "Iterator[Request]":
        """Yield the requests with the user's later prompts, which cannot be sent if this one failed."""
        following = self.next_request(EarlierReply(""))
        while following is not None:
            yield following
            following = following.next_request(EarlierReply(""))
