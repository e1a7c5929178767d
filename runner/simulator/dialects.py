"""The dialects that the simulator speaks, by the path at which each is asked. Performs no I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from runner.core.suite import Api
from runner.simulator import chat_completions, messages, responses
from runner.simulator.chat_completions import parse_chat
from runner.simulator.chat_request import ChatMessage, ChatRequest
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.request_fields import model_name, parse_object
from runner.simulator.timed_answer import TimedAnswer
from runner.simulator.timed_response import Envelope, Headers, Response, Step, encode, json_response, named_event


@dataclass(frozen=True, slots=True)
class ServedDialect:
    """How requests are read and answers written in one dialect."""

    api: Api
    id_prefix: str
    """How the ids of its replies begin."""
    parse: Callable[[HttpRequest], ChatRequest]
    """Parses a request; raises `RequestError`, which names the first thing that is wrong with it."""
    parse_input: Callable[[Mapping[str, object]], tuple[ChatMessage, ...]]
    """Parses the messages of a request's fields, the system's or the instructions first; raises `RequestError`."""
    whole: Callable[[TimedAnswer, Envelope], Response]
    """Returns the whole answer as JSON, sent when a stream of it would have ended."""
    steps: Callable[[TimedAnswer, Envelope], Iterable[Step]]
    """Returns a stream of the answer: a step before the text, one for each chunk, at least two behind them."""
    error: Callable[[RequestError], Mapping[str, object]]
    """Returns an error as a JSON document."""
    error_event: Callable[[RequestError], bytes]
    """Returns an error as an event of a stream."""

    def parse_conversation(self, body: bytes) -> tuple[str, tuple[ChatMessage, ...]]:
        """Return the model and the messages of a request's body; the rest is not checked.

        Raises:
            RequestError: the model or the messages are wrong.

        """
        fields = parse_object(body)
        return model_name(fields), self.parse_input(fields)


MODELS = "/v1/models"
"""The path of the list of models."""


def describe_error(error: RequestError, dialect: ServedDialect | None, headers: Headers = ()) -> Response:
    """Return an error in a dialect, as OpenAI's clients expect it where there is none."""
    return json_response(error.status, error.body if dialect is None else dialect.error(error), headers)


DIALECTS: Mapping[str, ServedDialect] = {
    "/v1/chat/completions": ServedDialect(
        api="chat_completions",
        id_prefix="chatcmpl",
        parse=lambda request: parse_chat(request.body),
        parse_input=chat_completions.parse_input,
        whole=chat_completions.completion_response,
        steps=chat_completions.stream_steps,
        error=lambda error: error.body,
        error_event=lambda error: b"data: %b\n\n" % encode(error.body),
    ),
    "/v1/responses": ServedDialect(
        api="responses",
        id_prefix="resp",
        parse=responses.parse_responses,
        parse_input=responses.parse_input,
        whole=responses.whole_response,
        steps=responses.stream_steps,
        error=lambda error: error.body,
        error_event=responses.error_event,
    ),
    "/v1/messages": ServedDialect(
        api="messages",
        id_prefix="msg",
        parse=messages.parse_messages,
        parse_input=messages.parse_input,
        whole=messages.message_response,
        steps=messages.stream_steps,
        error=messages.describe_error,
        error_event=lambda error: named_event(messages.describe_error(error)),
    ),
}

METHODS: Mapping[str, str] = {**dict.fromkeys(DIALECTS, "POST"), MODELS: "GET"}
"""The paths that every server of the simulator answers, and by which method."""
