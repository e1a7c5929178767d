"""POST /v1/messages: parse its requests, and write answers in that dialect. Performs no I/O."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from hashlib import blake2b
from typing import cast

from runner.core.events import Channel
from runner.core.tool_call import ToolCall
from runner.simulator.answer_chunks import TimedAnswer
from runner.simulator.chat_request import ChatMessage, ChatRequest, Effort
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.named_event_stream import Document, Part, named_step, open_named_event, part_steps
from runner.simulator.request_fields import (
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
from runner.simulator.response_steps import Envelope, Response, Step, timestamped_response
from runner.simulator.tool_use import ToolUse

ROLES = ("user", "assistant")
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
"""Type of a `tool_choice` that names no tool -> its name in chat completions."""

SMALLEST_BUDGET = 1024
"""Fewest tokens of a budget for thinking."""

ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}
"""Status -> type of the error. Other statuses have `invalid_request_error` below 500, else `api_error`."""

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}


def parse_request(request: HttpRequest) -> ChatRequest:
    """Parse a request.

    Raises:
        RequestError: the request is invalid; the error names the first problem.

    """
    if "anthropic-version" not in request.headers:
        raise RequestError(400, "anthropic-version: header is required")
    fields = parse_object(request.body)
    max_tokens = integer(fields, "max_tokens")
    if max_tokens is None or max_tokens < 1:
        raise invalid("max_tokens", "given, and at least 1")
    messages = parse_input(fields)
    _check_signatures(cast("list[Mapping[str, object]]", fields["messages"]))
    _check_results(cast("list[Mapping[str, object]]", fields["messages"]))
    return ChatRequest(
        model=model_name(fields),
        messages=messages,
        stream=flag(fields, "stream"),
        include_usage=True,
        max_tokens=max_tokens,
        stop=stop_texts(fields.get("stop_sequences"), "stop_sequences"),
        thinking_off=_thinking_off(fields.get("thinking"), max_tokens),
        effort=_effort(fields.get("output_config")),
        temperature=temperature_of(fields),
        only=vendors_allowed(fields),
        tools=_tools(fields),
        schema=_schema(fields.get("output_config")),
    )


def parse_input(fields: Mapping[str, object]) -> tuple[ChatMessage, ...]:
    """Parse the messages of a request, the system's first.

    Raises:
        RequestError: the messages are invalid.

    """
    messages = enumerate(list_of_messages(fields))
    parsed = [each for at, message in messages for each in _parse_message(message, f"messages[{at}]")]
    system, _ = _parse_content(fields.get("system", ""), "system")
    return (*((ChatMessage("system", system),) if system else ()), *parsed)


def _parse_message(message: object, param: str) -> list[ChatMessage]:
    """Parse a message: return the results of tools in it, then its text."""
    if not isinstance(message, dict):
        raise invalid(param, "an object with 'role' and 'content'")
    role = message.get("role")
    if role not in ROLES:
        raise invalid(f"{param}.role", f"one of {', '.join(ROLES)}")
    content = message.get("content")
    (text, files), results = _parse_content(content, f"{param}.content"), blocks_of(content, "tool_result")
    of_tools = [ChatMessage("tool", *_parse_content(block.get("content", ""), f"{param}.content")) for block in results]
    return [*of_tools, *([ChatMessage(role, text, files)] if text or files or not of_tools else [])]


def blocks_of(content: object, kind: str) -> list[Mapping[str, object]]:
    """Return the blocks of a type in a message's content."""
    return [block for block in content if block.get("type") == kind] if isinstance(content, list) else []


def _parse_content(content: object, param: str) -> Content:
    """Parse the content of a message: return the text of its text blocks, and its files."""
    shown = parse_content(content, ("text",), param, "content blocks")
    if any(block.get("text") == "" for block in blocks_of(content, "text")):
        raise invalid(param, "without empty text blocks")
    return shown


def _check_signatures(messages: Iterable[Mapping[str, object]]) -> None:
    """Refuse thinking in a request unless this server wrote it and it is unchanged."""
    for at, message in enumerate(messages):
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "thinking" and block.get("signature") != _sign(str(block.get("thinking"))):
                raise RequestError(400, f"messages[{at}]: invalid 'signature' in a 'thinking' block.", param="messages")


def _check_results(messages: Iterable[Mapping[str, object]]) -> None:
    """Refuse results of tools that were not called."""
    called: list[object] = []
    for at, message in enumerate(messages):
        called += [block.get("id") for block in blocks_of(message["content"], "tool_use")]
        for block in blocks_of(message["content"], "tool_result"):
            check_result(block.get("tool_use_id"), called, f"messages[{at}].tool_use_id")


def _tools(fields: Mapping[str, object]) -> ToolUse:
    tools = parse_tools(fields, lambda tool: tool if "input_schema" in tool else None, "input_schema")
    choice = fields.get("tool_choice")
    if choice is None:
        return ToolUse(tools)
    found = object_of_type(choice, (*CHOICES, "tool"), "tool_choice")
    parallel = not flag(found, "disable_parallel_tool_use")
    named = CHOICES.get(str(found["type"]), found)
    return choose_tools({"tool_choice": named, "parallel_tool_calls": parallel}, tools, lambda named: named)


def _schema(output: object) -> str | None:
    format_ = output.get("format") if isinstance(output, dict) else None
    if format_ is None:
        return None
    found = object_of_type(format_, ("json_schema",), "output_config.format")
    return schema_of("json_schema", found.get("schema"), "output_config.format.schema")


def _thinking_off(thinking: object, max_tokens: int) -> bool:
    if thinking is None:
        return False
    found = object_of_type(thinking, ("enabled", "adaptive", "disabled"), "thinking")
    if found["type"] == "enabled":
        budget = integer(found, "budget_tokens")
        if budget is None or not SMALLEST_BUDGET <= budget < max_tokens:
            raise invalid("thinking.budget_tokens", f"from {SMALLEST_BUDGET} to less than 'max_tokens'")
    return found["type"] == "disabled"


def _effort(output: object) -> Effort | None:
    if output is not None and not isinstance(output, dict):
        raise invalid("output_config", "an object")
    return effort_of(output.get("effort"), "output_config.effort") if output else None


def _sign(thinking: str) -> str:
    return blake2b(thinking.encode("utf-8", "replace"), digest_size=24).hexdigest()


def whole_response(answer: TimedAnswer, envelope: Envelope) -> Response:
    """Return the whole answer as JSON, to be sent at the time at which its stream would have ended."""
    blocks: list[object] = []
    if answer.reasoning:
        blocks.append({"type": "thinking", "thinking": answer.reasoning, "signature": _sign(answer.reasoning)})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    blocks += [{**_call_block(call), "input": _input(call.arguments)} for call in answer.calls]
    reason = STOP_REASONS[answer.finish_reason]
    document = {**_head(envelope), "content": blocks, "stop_reason": reason, "usage": _count(answer, envelope)}
    return timestamped_response(document, answer.last_due_ns)


def stream_steps(answer: TimedAnswer, envelope: Envelope) -> Iterator[Step]:
    """Yield the answer chunk by chunk; the last event of each step has its timestamp as `sent_ns`."""
    usage = {"usage": _count_input(envelope) | {"output_tokens": 1}} if envelope.include_usage else {}
    yield named_step(answer.first_due_ns, (), {"type": "message_start", "message": _head(envelope) | usage})
    last_events = yield from part_steps(answer.chunks, partial(_begin_block, answer), _delta, _end_block)
    ending: dict[str, object] = {"stop_reason": STOP_REASONS[answer.finish_reason], "stop_sequence": None}
    usage = {"usage": _count(answer, envelope)} if envelope.include_usage else {}
    yield named_step(answer.last_due_ns, last_events, {"type": "message_delta", "delta": ending, **usage})
    yield named_step(answer.last_due_ns, (), {"type": "message_stop"})


def describe_error(error: RequestError) -> Mapping[str, object]:
    """Return an error as a JSON document."""
    kind = ERROR_TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    details = {"details": {"error_code": error.code}} if error.code else {}
    return {"type": "error", "error": {"type": kind, "message": error.message, **details}}


def _head(envelope: Envelope) -> dict[str, object]:
    identity = {"id": envelope.id, "type": "message", "role": "assistant", "model": envelope.model}
    return {**identity, **envelope.answerer.given_names, "content": [], "stop_reason": None, "stop_sequence": None}


def _count_input(envelope: Envelope) -> dict[str, object]:
    """Return the counts of input tokens: this dialect counts tokens from a cache apart from the others."""
    reported = envelope.cached_tokens
    cached = {} if reported is None else {"cache_creation_input_tokens": 0, "cache_read_input_tokens": reported}
    return {"input_tokens": envelope.input_tokens - (reported or 0), **cached}


def _count(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the token counts of a request and its answer."""
    details = {"thinking_tokens": answer.reasoning_tokens}
    output = {"output_tokens": answer.output_tokens, "output_tokens_details": details}
    return {**_count_input(envelope), **output}


def _begin_block(answer: TimedAnswer, index: int, part: Part) -> Document:
    channel, call = part
    block: dict[str, object] = {"type": "text", "text": ""}
    if call is not None:
        block = {**_call_block(answer.calls[call]), "input": {}}
    elif channel is Channel.REASONING:
        block = {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "content_block_start", "index": index, "content_block": block}


def _call_block(call: ToolCall) -> dict[str, object]:
    return {"type": "tool_use", "id": call.id, "name": call.name}


def _input(arguments: str) -> object:
    """Return arguments as an object; if the token limit cut them off, an empty one."""
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


def _end_block(index: int, part: Part, text: str) -> list[Document]:
    """Return the events that end a block; if it is thinking, its signature comes first."""
    stop = {"type": "content_block_stop", "index": index}
    if part[0] is not Channel.REASONING:
        return [stop]
    signature = {"type": "signature_delta", "signature": _sign(text)}
    return [{"type": "content_block_delta", "index": index, "delta": signature}, stop]


@lru_cache(maxsize=4096)
def _delta(index: int, part: Part, text: str) -> bytes:
    channel, _ = part
    name = "thinking" if channel is Channel.REASONING else "text"
    delta = {"type": f"{name}_delta", name: text}
    if channel is Channel.TOOL:
        delta = {"type": "input_json_delta", "partial_json": text}
    return open_named_event({"type": "content_block_delta", "index": index, "delta": delta})
