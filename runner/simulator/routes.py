"""The paths that the simulator serves, and the dialect of each. Performs no I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from runner.core.suite import Api
from runner.simulator import chat_completions, messages, responses
from runner.simulator.answer_chunks import TimedAnswer
from runner.simulator.chat_request import ChatMessage, ChatRequest
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.named_event_stream import named_event
from runner.simulator.request_fields import model_name, parse_object
from runner.simulator.response_steps import Envelope, Headers, Response, Step, encode, json_response


@dataclass(frozen=True, slots=True)
class ServedDialect:
    """The functions that parse requests and write answers in one dialect."""

    api: Api
    id_prefix: str
    """Prefix of the ids of its replies."""
    parse: Callable[[HttpRequest], ChatRequest]
    """Parser of a request; it raises `RequestError`, which names the first problem."""
    parse_input: Callable[[Mapping[str, object]], tuple[ChatMessage, ...]]
    """Parser of the messages among a request's fields, with the system message or instructions first; it raises
    `RequestError`."""
    whole: Callable[[TimedAnswer, Envelope], Response]
    """Writer of the whole answer as JSON, to be sent at the time at which its stream would have ended."""
    steps: Callable[[TimedAnswer, Envelope], Iterable[Step]]
    """Writer of the answer as a stream: one step before the text, one for each chunk, and at least two after them."""
    error: Callable[[RequestError], Mapping[str, object]]
    """Writer of an error as a JSON document."""
    error_event: Callable[[RequestError], bytes]
    """Writer of an error as an event of a stream."""

    def parse_conversation(self, body: bytes) -> tuple[str, tuple[ChatMessage, ...]]:
        """Parse the model and the messages of a request's body; the rest is not checked.

        Raises:
            RequestError: the model or the messages are invalid.

        """
        fields = parse_object(body)
        return model_name(fields), self.parse_input(fields)


MODELS = "/v1/models"
"""Path of the list of models."""


def describe_error(error: RequestError, dialect: ServedDialect | None, headers: Headers = ()) -> Response:
    """Return an error in the form of a dialect; without one, in the form that OpenAI's clients expect."""
    return json_response(error.status, error.body if dialect is None else dialect.error(error), headers)


DIALECTS: Mapping[str, ServedDialect] = {
    "/v1/chat/completions": ServedDialect(
        api="chat_completions",
        id_prefix="chatcmpl",
        parse=chat_completions.parse_request,
        parse_input=chat_completions.parse_input,
        whole=chat_completions.whole_response,
        steps=chat_completions.stream_steps,
        error=lambda error: error.body,
        error_event=lambda error: b"data: %b\n\n" % encode(error.body),
    ),
    "/v1/responses": ServedDialect(
        api="responses",
        id_prefix="resp",
        parse=responses.parse_request,
        parse_input=responses.parse_input,
        whole=responses.whole_response,
        steps=responses.stream_steps,
        error=lambda error: error.body,
        error_event=responses.error_event,
    ),
    "/v1/messages": ServedDialect(
        api="messages",
        id_prefix="msg",
        parse=messages.parse_request,
        parse_input=messages.parse_input,
        whole=messages.whole_response,
        steps=messages.stream_steps,
        error=messages.describe_error,
        error_event=lambda error: named_event(messages.describe_error(error)),
    ),
}

METHODS: Mapping[str, str] = {**dict.fromkeys(DIALECTS, "POST"), MODELS: "GET"}
"""Path -> method of the requests that every server of the simulator answers."""


def refuse_method(path: str, allowed: str, dialect: ServedDialect | None) -> Response:
    """Return the error for a request to a path that answers another method."""
    error = RequestError(405, f"'{path}' answers {allowed} only.", code="method_not_allowed")
    return describe_error(error, dialect, (("allow", allowed),))
