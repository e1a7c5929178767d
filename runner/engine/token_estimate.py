"""How many tokens a request will take, judged before it is sent. Pure.

An estimate meant to be too high rather than too low: what is too much is given back when usage is known.
"""

from collections import deque
from dataclasses import dataclass, field

from runner.planning.plan import Request

BYTES_A_TOKEN = 3
"""Of UTF-8: about right for Chinese, a third too many tokens for English."""

TOKENS_A_MESSAGE = 8
"""Roles and the marks between messages."""

UNKNOWN_REPLY = 1000
"""Tokens of a first reply whose length nothing limits."""

REMEMBERED = 20
"""Replies of a target whose longest stands for the next one."""


@dataclass(slots=True)
class TokenEstimate:
    """What the targets of a lane have used so far, and so what the next request is expected to use."""

    _used: dict[str, deque[int]] = field(default_factory=dict)

    def expect(self, request: Request) -> int:
        """Return the tokens that a request will take, sent and received."""
        return _tokens_sent(request) + self._tokens_received(request)

    def _tokens_received(self, request: Request) -> int:
        stated = request.target.parameters.max_tokens
        if stated is not None:  # providers book all of it when a request comes
            return stated
        return max(self._used.get(request.target.name, ()), default=UNKNOWN_REPLY)

    def learn(self, target: str, output_tokens: int) -> None:
        """Remember what a reply has used."""
        self._used.setdefault(target, deque(maxlen=REMEMBERED)).append(output_tokens)


def _tokens_sent(request: Request) -> int:
    case = request.case
    system = case.system or request.target.parameters.system or ""
    given = [message.content for message in case.history]
    texts = [system, *given, *case.turns[: request.turn], *request.replies]
    return sum(len(text.encode(errors="replace")) for text in texts) // BYTES_A_TOKEN + TOKENS_A_MESSAGE * len(texts)
