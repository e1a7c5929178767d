"""POST /v1/chat/completions: parse its requests, and write answers in that dialect. Performs no I/O."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from runner.core.events import Channel
from runner.simulator.answer_chunks import Chunk, TimedAnswer
from runner.simulator.chat_request import ChatMessage, ChatRequest, Effort
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.request_fields import (
    FORMATS,
    Content,
    check_result,
    choose_tools,
    effort_of,
    flag,
    integer,
    invalid,
    list_of_messages,
    model_name,
    object_of_type,
    parse_content,
    parse_object,
    parse_tools,
    schema_of,
    stop_texts,
    temperature_of,
    vendors_allowed,
)
from runner.simulator.response_steps import Envelope, Response, Step, encode, open_timestamp, timestamped_response
from runner.simulator.tool_use import ToolUse

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
DONE = b"data: [DONE]\n\n"


def parse_request(request: HttpRequest) -> ChatRequest:
    """Parse a request.

    Raises:
        RequestError: the request is invalid; the error names the first problem.

    """
    fields = parse_object(request.body)
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
        max_tokens=integer(fields, "max_completion_tokens", least=1) or integer(fields, "max_tokens", least=1),
        stop=stop_texts(fields.get("stop"), "stop"),
        seed=integer(fields, "seed"),
        thinking_off=_thinking_off(fields.get("thinking")) or fields.get("reasoning_effort") == "none",
        effort=_effort(fields),
        temperature=temperature_of(fields),
        only=vendors_allowed(fields),
        tools=_tools(fields),
        schema=_schema(fields.get("response_format")),
    )


def parse_input(fields: Mapping[str, object]) -> tuple[ChatMessage, ...]:
    """Parse the messages of a request.

    Raises:
        RequestError: the messages are invalid.

    """
    return tuple(_message(message, f"messages[{at}]") for at, message in enumerate(list_of_messages(fields)))


def _message(message: object, param: str) -> ChatMessage:
    if not isinstance(message, dict):
        raise invalid(param, "an object with 'role' and 'content'")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid(f"{param}.role", f"one of {', '.join(sorted(ROLES))}")
    return ChatMessage(role, *_content(message.get("content"), role, f"{param}.content"))


def _content(content: object, role: str, param: str) -> Content:
    # A message of the assistant that only calls tools has no text.
    if content is None and role == "assistant":
        return "", ()
    return parse_content(content, ("text",), param)


def _tools(fields: Mapping[str, object]) -> ToolUse:
    _check_results(fields["messages"])
    tools = parse_tools(fields, lambda tool: tool.get("function", {}) if tool.get("type") == "function" else None)
    return choose_tools(fields, tools, lambda choice: choice.get("function"))


def _check_results(messages: object) -> None:
    """Refuse results of tools that were not called."""
    called: list[object] = []
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        listed = message.get("tool_calls")
        called += [call.get("id") for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
        if message.get("role") == "tool":
            check_result(message.get("tool_call_id"), called, f"messages[{index}].tool_call_id")


def _schema(format_: object) -> str | None:
    """Return the JSON Schema of a response format."""
    if format_ is None:
        return None
    found = object_of_type(format_, FORMATS, "response_format")
    described = found.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return schema_of(found["type"], schema, "response_format.json_schema.schema")


def _thinking_off(thinking: object) -> bool:
    if thinking is None:
        return False
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "disabled", "auto"):
        raise invalid("thinking", '{"type": "enabled"}, {"type": "disabled"} or {"type": "auto"}')
    return bool(thinking["type"] == "disabled")


def _effort(fields: Mapping[str, object]) -> Effort | None:
    thinking = fields.get("thinking")
    is_on = isinstance(thinking, dict) and thinking.get("type") == "enabled"
    return effort_of(fields.get("reasoning_effort"), "reasoning_effort") or ("medium" if is_on else None)


# Answers


def whole_response(answer: TimedAnswer, envelope: Envelope) -> Response:
    """Return the whole answer as JSON, to be sent at the time at which its stream would have ended."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": answer.text if answer.text or not answer.calls else None,
    }
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = [_call(call.name, call.arguments, call.id) for call in answer.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    document = {
        **_identity("chat.completion", envelope),
        "choices": [choice],
        "usage": _count(answer, envelope),
    }
    return timestamped_response(document, answer.last_due_ns)


def stream_steps(answer: TimedAnswer, envelope: Envelope) -> Iterator[Step]:
    """Yield the answer chunk by chunk; each chunk has its timestamp as `sent_ns`."""
    opening, closing = _chunk_frame(envelope, finish_reason=None)
    if answer.chunks:
        yield Step(answer.first_due_ns, opening + b'{"role":"assistant","content":""}' + closing, b"}\n\n")
    for chunk in answer.chunks:
        delta = _delta(chunk.channel, chunk.text) if chunk.call is None else _call_delta(chunk, chunk.call, answer)
        yield Step(chunk.due_ns, opening + delta + closing, b"}\n\n")
    due_ns = answer.last_due_ns
    opening, closing = _chunk_frame(envelope, finish_reason=answer.finish_reason)
    yield Step(due_ns, opening + b"{}" + closing, b"}\n\n")
    if envelope.include_usage:
        counts = {"choices": [], "usage": _count(answer, envelope)}
        event = open_timestamp({**_identity("chat.completion.chunk", envelope), **counts})
        yield Step(due_ns, b"data: " + event, b"}\n\n")
    yield Step(due_ns, DONE)


def _count(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the token counts of a request and its answer."""
    return {
        "prompt_tokens": envelope.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": envelope.input_tokens + answer.output_tokens,
        **envelope.cached_tokens_as("prompt_tokens_details"),
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


def _identity(kind: str, envelope: Envelope) -> dict[str, object]:
    return {
        "id": envelope.id,
        "object": kind,
        "created": envelope.created,
        "model": envelope.model,
        **envelope.answerer.names,
    }


def _chunk_frame(envelope: Envelope, finish_reason: str | None) -> tuple[bytes, bytes]:
    """Return the bytes before a chunk's delta, and those between the delta and the timestamp."""
    delta = "\0delta"
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    usage = {"usage": None} if envelope.include_usage else {}
    event = open_timestamp({**_identity("chat.completion.chunk", envelope), "choices": [choice], **usage})
    opening, _, closing = event.partition(encode(delta))
    return b"data: " + opening, closing


@lru_cache(maxsize=4096)
def _delta(channel: Channel, text: str) -> bytes:
    return encode({"reasoning_content" if channel is Channel.REASONING else "content": text})


def _call_delta(chunk: Chunk, number: int, answer: TimedAnswer) -> bytes:
    """Return a delta with a piece of a tool call: its id and name, or a piece of its arguments."""
    begun = _call(chunk.text, "", answer.calls[number].id)
    piece = begun if chunk.is_name else {"function": {"arguments": chunk.text}}
    return encode({"tool_calls": [{"index": number, **piece}]})


def _call(name: str, arguments: str, own_id: str | None) -> dict[str, object]:
    return {"id": own_id, "type": "function", "function": {"name": name, "arguments": arguments}}
