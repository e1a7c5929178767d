"""Parse and check the body of POST /v1/chat/completions. Performs no I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from runner.simulator.request import RequestError

Effort = Literal["low", "medium", "high"]
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
STOPS_MAX = 16


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation so far, as text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request, without the parameters that a simulated model cannot obey (top_p, response_format)."""

    model: str
    messages: tuple[ChatMessage, ...]
    stream: bool = False
    stream_options_sent: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    thinking_off: bool = False
    effort: Effort | None = None
    """How much it is to think, `medium` where it is to think and not said how much; None as the persona does."""
    temperature: float | None = None

    @property
    def question(self) -> str:
        """The user's last message; empty if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


def parse_chat(body: bytes) -> ChatRequest:
    """Parse a request's body.

    Raises:
        RequestError: names the first thing that is wrong with it.

    """
    fields = _parse_object(body)
    options = fields.get("stream_options")
    stream = _flag(fields, "stream")
    if options is not None and not isinstance(options, dict):
        raise _invalid("stream_options", "an object")
    if options is not None and not stream:
        raise RequestError(400, "'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    if fields.get("n") not in (None, 1):
        raise _invalid("n", "1: the simulator gives one choice")
    return ChatRequest(
        model=_model(fields),
        messages=_messages(fields.get("messages")),
        stream=stream,
        stream_options_sent=options is not None,
        include_usage=_flag(options or {}, "include_usage"),
        max_tokens=_max_tokens(fields),
        stop=_stop(fields.get("stop")),
        seed=_integer(fields, "seed"),
        thinking_off=_thinking_off(fields.get("thinking")) or fields.get("reasoning_effort") == "none",
        effort=_effort(fields),
        temperature=_temperature(fields.get("temperature")),
    )


def parse_conversation(body: bytes) -> tuple[str, tuple[ChatMessage, ...]]:
    """Return the model and the messages of a request's body; the rest is not checked.

    Raises:
        RequestError: the model or the messages are wrong.

    """
    fields = _parse_object(body)
    return _model(fields), _messages(fields.get("messages"))


def _parse_object(body: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"The request's body is not valid JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise RequestError(400, "The request's body must be a JSON object.")
    return fields


def _invalid(param: str, wanted: str) -> RequestError:
    return RequestError(400, f"'{param}' must be {wanted}.", param=param)


def _without_surrogates(value: str) -> str:
    """Return a text without lone surrogates, which JSON allows and UTF-8 does not."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _flag(fields: Mapping[str, object], param: str) -> bool:
    value = fields.get(param)
    if value is not None and not isinstance(value, bool):
        raise _invalid(param, "true or false")
    return bool(value)


def _integer(fields: Mapping[str, object], param: str) -> int | None:
    value = fields.get(param)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(param, "an integer")
    return value


def _model(fields: Mapping[str, object]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise _invalid("model", "the name of a model")
    return _without_surrogates(model)


def _max_tokens(fields: Mapping[str, object]) -> int | None:
    for param in ("max_completion_tokens", "max_tokens"):
        tokens = _integer(fields, param)
        if tokens is not None and tokens < 1:
            raise _invalid(param, "at least 1")
        if tokens is not None:
            return tokens
    return None


def _stop(stop: object) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop
    if stops is None:
        return ()
    if not isinstance(stops, list) or len(stops) > STOPS_MAX:
        raise _invalid("stop", f"a string or a list of at most {STOPS_MAX} strings")
    words = tuple(_without_surrogates(word) for word in stops if isinstance(word, str) and word)
    if len(words) != len(stops):
        raise _invalid("stop", "non-empty strings")
    return words


def _thinking_off(thinking: object) -> bool:
    if thinking is None:
        return False
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "disabled", "auto"):
        raise _invalid("thinking", '{"type": "enabled"}, {"type": "disabled"} or {"type": "auto"}')
    return bool(thinking["type"] == "disabled")


def _effort(fields: Mapping[str, object]) -> Effort | None:
    effort, thinking = fields.get("reasoning_effort"), fields.get("thinking")
    if effort not in (None, "none", *get_args(Effort)):
        raise _invalid("reasoning_effort", f"none, {', '.join(get_args(Effort))}")
    if effort in get_args(Effort):
        return cast("Effort", effort)
    return "medium" if isinstance(thinking, dict) and thinking.get("type") == "enabled" else None


def _temperature(temperature: object) -> float | None:
    if temperature is None:
        return None
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise _invalid("temperature", "a number from 0 to 2")
    return float(temperature)


def _messages(messages: object) -> tuple[ChatMessage, ...]:
    if not isinstance(messages, list) or not messages:
        raise _invalid("messages", "a list of at least one message")
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def _message(message: object, place: str) -> ChatMessage:
    if not isinstance(message, dict):
        raise _invalid(place, "an object with 'role' and 'content'")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _invalid(f"{place}.role", f"one of {', '.join(sorted(ROLES))}")
    return ChatMessage(role, _content(message.get("content"), role, f"{place}.content"))


def _content(content: object, role: str, place: str) -> str:
    if isinstance(content, str):
        return _without_surrogates(content)
    # An assistant's message that only calls tools has no text.
    if content is None and role == "assistant":
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content if part.get("type") == "text"]
        return _without_surrogates("".join(text for text in texts if isinstance(text, str)))
    raise _invalid(place, "a string or a list of content parts")
