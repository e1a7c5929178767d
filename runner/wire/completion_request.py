"""One attempt's request: what is asked, in which dialect, and the limits of its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.suite import DEFAULT_API, REPLY_LIMIT, Api, Timeouts
from runner.providers.request_body import BUILDERS
from runner.wire.json_value import encode_json


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One attempt's request: the model, the messages, all other fields of the JSON body, and the reply's limits."""

    model: str
    messages: Sequence[Mapping[str, object]]
    parameters: Mapping[str, object]
    timeouts: Timeouts = field(default_factory=Timeouts)
    reply_limit: int = REPLY_LIMIT
    api: Api = DEFAULT_API

    def encode(self) -> bytes:
        """Return the JSON body."""
        return encode_json(BUILDERS[self.api].with_messages({"model": self.model, **self.parameters}, self.messages))
