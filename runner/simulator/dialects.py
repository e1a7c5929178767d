"""The dialects that the simulator speaks, by the path at which each is asked. Performs no I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from runner.simulator import messages, response, responses
from runner.simulator.answer import TimedAnswer
from runner.simulator.chat import ChatRequest, parse_chat
from runner.simulator.request import HttpRequest, RequestError
from runner.simulator.response import Envelope, Response, Step, encode


@dataclass(frozen=True, slots=True)
class ServedDialect:
    """How requests are read and answers written in one dialect."""

    id_prefix: str
    """How the ids of its replies begin."""
    parse: Callable[[HttpRequest], ChatRequest]
    """Parses a request; raises `RequestError`, which names the first thing that is wrong with it."""
    whole: Callable[[TimedAnswer, Envelope], Response]
    """Returns the whole answer as JSON, sent when a stream of it would have ended."""
    steps: Callable[[TimedAnswer, Envelope], Iterable[Step]]
    """Returns a stream of the answer: a step before the text, one for each chunk, at least two behind them."""
    error: Callable[[RequestError], Mapping[str, object]]
    """Returns an error as a JSON document."""
    error_event: Callable[[RequestError], bytes]
    """Returns an error as an event of a stream."""


DIALECTS: Mapping[str, ServedDialect] = {
    "/v1/chat/completions": ServedDialect(
        id_prefix="chatcmpl",
        parse=lambda request: parse_chat(request.body),
        whole=response.completion_response,
        steps=response.stream_steps,
        error=lambda error: error.body,
        error_event=lambda error: b"data: %b\n\n" % encode(error.body),
    ),
    "/v1/responses": ServedDialect(
        id_prefix="resp",
        parse=responses.parse_responses,
        whole=responses.whole_response,
        steps=responses.stream_steps,
        error=lambda error: error.body,
        error_event=responses.error_event,
    ),
    "/v1/messages": ServedDialect(
        id_prefix="msg",
        parse=messages.parse_messages,
        whole=messages.message_response,
        steps=messages.stream_steps,
        error=messages.describe_error,
        error_event=lambda error: response.named_event(messages.describe_error(error)),
    ),
}
