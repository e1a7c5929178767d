"""The request of the chat completions dialect: its JSON body, and the SDK call that builds its head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncOpenAI

from runner.core.reply_limit import REPLY_LIMIT
from runner.core.suite import Timeouts
from runner.wire.json_value import encode_json


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One attempt's request: the model, the messages, all other fields of the JSON body, and the reply's limits."""

    model: str
    messages: Sequence[Mapping[str, object]]
    parameters: Mapping[str, object]
    timeouts: Timeouts = field(default_factory=Timeouts)
    reply_limit: int = REPLY_LIMIT

    def encode(self) -> bytes:
        """Return the JSON body."""
        return encode_json({"model": self.model, **self.parameters, "messages": self.messages})


async def send_by_sdk(sdk: AsyncOpenAI, headers: Mapping[str, Any]) -> None:
    """Have the SDK send a completion request, whose head its transport captures."""
    await sdk.chat.completions.with_raw_response.create(model="", messages=(), extra_headers=headers)
