"""Parse and check the body of POST /v1/chat/completions. Performs no I/O."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, cast, get_args

from runner.simulator.attachments import ReceivedAttachment, Shown, content_of, told_text
from runner.simulator.request import RequestError
from runner.simulator.tool_use import NO_TOOLS, Tool, ToolUse

Effort = Literal["low", "medium", "high"]
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
STOPS_MAX = 16
CHOICES = ("auto", "none", "required")
FORMATS = ("text", "json_object", "json_schema")
ANY_OBJECT = '{"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}'
"""The JSON Schema of an answer that may be any object."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation so far: its text, and the files in it."""

    role: str
    text: str
    files: tuple[ReceivedAttachment, ...] = ()

    @property
    def told(self) -> str:
        """The text with a mark in the place of each file."""
        return told_text(self.text, self.files) if self.files else self.text


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request, without the parameters that a simulated model cannot obey (top_p and the like)."""

    model: str
    messages: tuple[ChatMessage, ...]
    stream: bool = False
    stream_options_sent: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    thinking_off: bool = False
    only: tuple[str, ...] = ()
    """The vendors that may answer, in small letters; empty for any."""
    effort: Effort | None = None
    """How much it is to think, `medium` where it is to think and not said how much; None as the persona does."""
    temperature: float | None = None
    summarise: bool = False
    """Whether a summary of the reasoning is asked for, in place of the reasoning."""
    tools: ToolUse = NO_TOOLS
    schema: str | None = None
    """The JSON Schema that the answer is to fit, as JSON."""

    @property
    def question(self) -> str:
        """The user's last message; empty if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def results(self) -> tuple[str, ...]:
        """The results of tools since the user's last message."""
        since = takewhile(lambda message: message.role != "user", reversed(self.messages))
        return tuple(message.text for message in since if message.role == "tool")[::-1]


def parse_chat(body: bytes) -> ChatRequest:
    """Parse a request's body.

    Raises:
        RequestError: names the first thing that is wrong with it.

    """
    fields = parse_object(body)
    options = fields.get("stream_options")
    stream = flag(fields, "stream")
    if options is not None and not isinstance(options, dict):
        raise invalid("stream_options", "an object")
    if options is not None and not stream:
        raise RequestError(400, "'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    if fields.get("n") not in (None, 1):
        raise invalid("n", "1: the simulator gives one choice")
    return ChatRequest(
        model=model_name(fields),
        messages=parse_input(fields),
        stream=stream,
        stream_options_sent=options is not None,
        include_usage=flag(options or {}, "include_usage"),
        max_tokens=_max_tokens(fields),
        stop=stop_texts(fields.get("stop"), "stop"),
        seed=integer(fields, "seed"),
        thinking_off=_thinking_off(fields.get("thinking")) or fields.get("reasoning_effort") == "none",
        effort=_effort(fields),
        temperature=temperature_of(fields),
        only=vendors_allowed(fields),
        tools=_tools(fields),
        schema=_schema(fields.get("response_format")),
    )


def parse_object(body: bytes) -> Mapping[str, object]:
    """Parse a body that must be a JSON object."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"The request's body is not valid JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise RequestError(400, "The request's body must be a JSON object.")
    return fields


def invalid(param: str, wanted: str) -> RequestError:
    """Return the refusal of a parameter's value."""
    return RequestError(400, f"'{param}' must be {wanted}.", param=param)


def without_surrogates(value: str) -> str:
    """Return a text without lone surrogates, which JSON allows and UTF-8 does not."""
    return value.encode("utf-8", "replace").decode("utf-8")


def flag(fields: Mapping[str, object], param: str) -> bool:
    """Return a parameter that is true or false, false where it is absent."""
    value = fields.get(param)
    if value is not None and not isinstance(value, bool):
        raise invalid(param, "true or false")
    return bool(value)


def integer(fields: Mapping[str, object], param: str) -> int | None:
    """Return a parameter that is a whole number, None where it is absent."""
    value = fields.get(param)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(param, "an integer")
    return value


def model_name(fields: Mapping[str, object]) -> str:
    """Return the name of the model."""
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model", "the name of a model")
    return without_surrogates(model)


# Tools and structured output


def _tools(fields: Mapping[str, object]) -> ToolUse:
    _check_results(fields["messages"])
    tools = parse_tools(fields, lambda tool: tool.get("function", {}) if tool.get("type") == "function" else None)
    return choose_tools(fields, tools, lambda choice: choice.get("function"))


def parse_tools(
    fields: Mapping[str, object],
    function_of: Callable[[Mapping[str, object]], object],
    schema_name: str = "parameters",
) -> tuple[Tool, ...]:
    """Return the functions among a request's tools; the provider's own tools, which are none, are left out.

    Args:
        fields: those of the request.
        function_of: returns the description of the function in a tool, None for a tool that is no function.
        schema_name: the name of the member with the schema of its arguments.

    """
    listed = fields.get("tools")
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        raise invalid("tools", "a list of tools")
    functions = ((place, function_of(tool)) for place, tool in enumerate(listed))
    return tuple(
        _parse_tool(function, f"tools[{place}]", schema_name) for place, function in functions if function is not None
    )


def _parse_tool(function: object, place: str, schema_name: str) -> Tool:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise invalid(f"{place}.name", "the name of a function")
    description, schema = function.get("description"), function.get(schema_name)
    if description is not None and not isinstance(description, str):
        raise invalid(f"{place}.description", "a string")
    return Tool(
        without_surrogates(name), without_surrogates(description or ""), as_schema(schema, f"{place}.{schema_name}")
    )


def choose_tools(
    fields: Mapping[str, object],
    tools: tuple[Tool, ...],
    named_by: Callable[[Mapping[str, object]], object],
) -> ToolUse:
    """Return the tools with the choice among them.

    Args:
        fields: those of the request.
        tools: its functions.
        named_by: returns the object within a choice that has the name of the tool.

    """
    choice, parallel = fields.get("tool_choice"), fields.get("parallel_tool_calls")
    if isinstance(choice, dict):
        found = named_by(choice)
        name = found.get("name") if isinstance(found, dict) else None
        if name not in [tool.name for tool in tools]:
            raise invalid("tool_choice", "the name of one of 'tools'")
        return ToolUse(tools, f"={name}", parallel is not False)
    if choice not in (None, *CHOICES):
        raise invalid("tool_choice", f"{', '.join(CHOICES)}, or an object that names one of 'tools'")
    if choice == "required" and not tools:
        raise invalid("tool_choice", "left out where there are no 'tools'")
    return ToolUse(tools, str(choice or "auto"), parallel is not False)


def as_schema(schema: object, param: str) -> str:
    """Return a JSON Schema as JSON."""
    if schema is not None and not isinstance(schema, dict):
        raise invalid(param, "a JSON Schema")
    return json.dumps(schema or {}, sort_keys=False)


def _schema(format_: object) -> str | None:
    """Return the JSON Schema of a response format."""
    if format_ is None:
        return None
    kind = format_.get("type") if isinstance(format_, dict) else None
    if not isinstance(format_, dict) or kind not in FORMATS:
        raise invalid("response_format", f"an object with the type {', '.join(FORMATS)}")
    described = format_.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return schema_of(kind, schema, "response_format.json_schema.schema")


def schema_of(kind: object, schema: object, param: str) -> str | None:
    """Return the JSON Schema of a response format of this type; any object fits `json_object`."""
    if kind == "json_schema" and not isinstance(schema, dict):
        raise invalid(param, "a JSON Schema")
    return ANY_OBJECT if kind == "json_object" else as_schema(schema, param) if kind == "json_schema" else None


def _check_results(messages: object) -> None:
    """Refuse the result of a tool that was not called."""
    called: list[object] = []
    for place, message in enumerate(messages if isinstance(messages, list) else ()):
        listed = message.get("tool_calls")
        called += [call.get("id") for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
        if message.get("role") == "tool":
            check_result(message.get("tool_call_id"), called, f"messages[{place}].tool_call_id")


def check_result(answers: object, called: Collection[object], param: str) -> None:
    """Refuse the result of a call that an earlier message has not made."""
    if not isinstance(answers, str) or answers not in called:
        raise invalid(param, "the id of a call in an earlier message")


def _max_tokens(fields: Mapping[str, object]) -> int | None:
    for param in ("max_completion_tokens", "max_tokens"):
        tokens = integer(fields, param)
        if tokens is not None and tokens < 1:
            raise invalid(param, "at least 1")
        if tokens is not None:
            return tokens
    return None


def stop_texts(stop: object, param: str) -> tuple[str, ...]:
    """Return the texts at which an answer ends, given as one or as a list."""
    stops = [stop] if isinstance(stop, str) else stop
    if stops is None:
        return ()
    if not isinstance(stops, list) or len(stops) > STOPS_MAX:
        raise invalid(param, f"a string or a list of at most {STOPS_MAX} strings")
    words = tuple(without_surrogates(word) for word in stops if isinstance(word, str) and word)
    if len(words) != len(stops):
        raise invalid(param, "non-empty strings")
    return words


def _thinking_off(thinking: object) -> bool:
    if thinking is None:
        return False
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "disabled", "auto"):
        raise invalid("thinking", '{"type": "enabled"}, {"type": "disabled"} or {"type": "auto"}')
    return bool(thinking["type"] == "disabled")


def vendors_allowed(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Return the vendors that may answer, in small letters; none for any."""
    provider = fields.get("provider")
    only = provider.get("only", []) if isinstance(provider, dict) else [] if provider is None else None
    if not isinstance(only, list) or not all(isinstance(name, str) for name in only):
        raise invalid("provider", 'an object such as {"only": ["alpha"]}')
    return tuple(without_surrogates(name).lower() for name in only)


def _effort(fields: Mapping[str, object]) -> Effort | None:
    thinking = fields.get("thinking")
    is_on = isinstance(thinking, dict) and thinking.get("type") == "enabled"
    return effort_of(fields.get("reasoning_effort"), "reasoning_effort") or ("medium" if is_on else None)


def effort_of(effort: object, param: str) -> Effort | None:
    """Return an effort of reasoning, None where it is absent or `none`."""
    if effort not in (None, "none", *get_args(Effort)):
        raise invalid(param, f"none, {', '.join(get_args(Effort))}")
    return None if effort == "none" else cast("Effort | None", effort)


def temperature_of(fields: Mapping[str, object]) -> float | None:
    """Return the temperature, None where it is absent."""
    temperature = fields.get("temperature")
    if temperature is None:
        return None
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise invalid("temperature", "a number from 0 to 2")
    return float(temperature)


def parse_input(fields: Mapping[str, object]) -> tuple[ChatMessage, ...]:
    """Return the messages of a request; raise RequestError if they are wrong."""
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "a list of at least one message")
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def _message(message: object, place: str) -> ChatMessage:
    if not isinstance(message, dict):
        raise invalid(place, "an object with 'role' and 'content'")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid(f"{place}.role", f"one of {', '.join(sorted(ROLES))}")
    return ChatMessage(role, *_content(message.get("content"), role, f"{place}.content"))


def _content(content: object, role: str, place: str) -> Shown:
    if isinstance(content, str):
        return without_surrogates(content), ()
    # An assistant's message that only calls tools has no text.
    if content is None and role == "assistant":
        return "", ()
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        text, files = content_of(content, ("text",), place)
        return without_surrogates(text), files
    raise invalid(place, "a string or a list of content parts")
