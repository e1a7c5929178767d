"""POST /v1/responses: parse its requests, and write answers in that dialect. Performs no I/O."""

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial

from runner.core.events import Channel
from runner.simulator.answer_chunks import TimedAnswer
from runner.simulator.chat_request import ChatMessage, ChatRequest
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.named_event_stream import Document, Part, named_event, named_step, open_named_event, part_steps
from runner.simulator.request_fields import (
    FORMATS,
    check_result,
    choose_tools,
    effort_of,
    flag,
    integer,
    invalid,
    model_name,
    object_of_type,
    parse_content,
    parse_object,
    parse_tools,
    schema_of,
    temperature_of,
    vendors_allowed,
    without_surrogates,
)
from runner.simulator.response_steps import Envelope, Response, Step, timestamped_response
from runner.simulator.tool_use import ToolUse

ROLES = ("system", "developer", "user", "assistant")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
NEAREST: Mapping[object, object] = {"minimal": "low", "xhigh": "high"}
"""Effort that personas do not have -> the nearest one that they have."""

TEXT_TYPES = ("input_text", "output_text")
"""Types of the content parts that are texts."""

SUMMARIES = ("auto", "concise", "detailed")

FOREIGN = ("messages", "max_tokens", "max_completion_tokens", "n", "seed", "stop", "stream_options")
"""Parameters of chat completions that this API does not have."""

REASONING_ID, MESSAGE_ID = "rs_sim", "msg_sim"
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reason of an answer -> reason why the response is incomplete."""


def parse_request(request: HttpRequest) -> ChatRequest:
    """Parse a request.

    Raises:
        RequestError: the request is invalid; the error names the first problem.

    """
    fields = parse_object(request.body)
    for name in FOREIGN:
        if name in fields:
            raise RequestError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if fields.get("previous_response_id") is not None:
        raise invalid("previous_response_id", "null: the simulator keeps no responses")
    effort, summary = _parse_reasoning(fields.get("reasoning"))
    return ChatRequest(
        model=model_name(fields),
        messages=parse_input(fields),
        stream=flag(fields, "stream"),
        include_usage=True,
        max_tokens=integer(fields, "max_output_tokens", least=1),
        thinking_off=effort == "none",
        effort=effort_of(NEAREST.get(effort, effort), "reasoning.effort"),
        temperature=temperature_of(fields),
        summarise=summary is not None,
        only=vendors_allowed(fields),
        tools=_tools(fields),
        schema=_schema(fields.get("text")),
    )


def parse_input(fields: Mapping[str, object]) -> tuple[ChatMessage, ...]:
    """Parse the messages of a request, the instructions first.

    Raises:
        RequestError: the messages are invalid.

    """
    given, instructions = fields.get("input"), fields.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise invalid("instructions", "a string")
    first = (ChatMessage("system", without_surrogates(instructions)),) if instructions else ()
    if isinstance(given, str) and given:
        return (*first, ChatMessage("user", without_surrogates(given)))
    if not isinstance(given, list) or not given:
        raise invalid("input", "a string or a list of at least one message")
    messages = list(first)
    for at, item in enumerate(given):
        kind = item.get("type", "message") if isinstance(item, dict) else None
        if kind == "function_call":
            # The item is a part of the assistant's message before it.
            messages += [ChatMessage("assistant", "")] if not messages or messages[-1].role != "assistant" else []
        elif kind == "function_call_output":
            output = parse_content(item.get("output"), TEXT_TYPES, f"input[{at}].output")
            messages.append(ChatMessage("tool", *output))
        else:
            messages.append(_parse_item(item, f"input[{at}]"))
    return tuple(messages)


def _parse_item(item: object, param: str) -> ChatMessage:
    if not isinstance(item, dict) or item.get("type", "message") != "message":
        raise invalid(param, "a message with 'role' and 'content', a function_call or a function_call_output")
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise invalid(f"{param}.role", f"one of {', '.join(ROLES)}")
    return ChatMessage(role, *parse_content(content, TEXT_TYPES, f"{param}.content"))


def _tools(fields: Mapping[str, object]) -> ToolUse:
    called: list[object] = []
    given = fields["input"]
    for at, item in enumerate(given if isinstance(given, list) else ()):
        called += [item.get("call_id")] if item.get("type") == "function_call" else []
        if item.get("type") == "function_call_output":
            check_result(item.get("call_id"), called, f"input[{at}].call_id")
    tools = parse_tools(fields, lambda tool: tool if tool.get("type") == "function" else None)
    return choose_tools(fields, tools, lambda choice: choice)


def _schema(text: object) -> str | None:
    format_ = text.get("format") if isinstance(text, dict) else None
    if format_ is None:
        return None
    found = object_of_type(format_, FORMATS, "text.format")
    return schema_of(found["type"], found.get("schema"), "text.format.schema")


def _parse_reasoning(reasoning: object) -> tuple[object, object]:
    """Parse the requested effort and kind of summary; None for one that is not requested."""
    if reasoning is None:
        return None, None
    if not isinstance(reasoning, dict):
        raise invalid("reasoning", "an object")
    for name, known in (("effort", EFFORTS), ("summary", SUMMARIES)):
        if reasoning.get(name) not in (None, *known):
            raise invalid(f"reasoning.{name}", f"one of {', '.join(known)}")
    return reasoning.get("effort"), reasoning.get("summary")


def whole_response(answer: TimedAnswer, envelope: Envelope) -> Response:
    """Return the whole answer as JSON, to be sent at the time at which its stream would have ended."""
    return timestamped_response(_ended(answer, envelope), answer.last_due_ns)


def stream_steps(answer: TimedAnswer, envelope: Envelope) -> Iterator[Step]:
    """Yield the answer chunk by chunk; the last event of each step has its timestamp as `sent_ns`."""
    begun = _document(envelope, "in_progress", [])
    in_progress: Document = {"type": "response.in_progress", "response": begun}
    yield named_step(answer.first_due_ns, [{"type": "response.created", "response": begun}], in_progress)
    last_events = yield from part_steps(
        answer.chunks,
        partial(_begin_item, answer),
        lambda index, part, text: _delta(index, _kind(part, answer), text, _item_id(part)),
        partial(_end_item, answer),
    )
    *before, last = last_events or [in_progress]
    yield named_step(answer.last_due_ns, before, last)
    ended = _ended(answer, envelope)
    yield named_step(answer.last_due_ns, (), {"type": f"response.{ended['status']}", "response": ended})


def error_event(error: RequestError) -> bytes:
    """Return an error as an event of a stream; unlike the document, it has no object around the error."""
    return named_event({"type": "error", "code": error.code, "message": error.message, "param": error.param})


def _kind(part: Part, answer: TimedAnswer) -> str:
    """Return the name of a part's text in the types of its events."""
    if part[1] is not None:
        return "function_call_arguments"
    if part[0] is Channel.ANSWER:
        return "output_text"
    return "reasoning_summary_text" if answer.summarised else "reasoning_text"


def _item_id(part: Part) -> str:
    channel, call = part
    return f"fc_sim_{call}" if call is not None else MESSAGE_ID if channel is Channel.ANSWER else REASONING_ID


def _item(part: Part, text: str | None, answer: TimedAnswer) -> dict[str, object]:
    """Return an item of the output, with its text if it is known."""
    (channel, call), identity = part, {"id": _item_id(part)}
    status = {"status": "in_progress" if text is None else "completed"}
    if call is not None:
        named = {"call_id": answer.calls[call].id, "name": answer.calls[call].name}
        return {**identity, "type": "function_call", **status, **named, "arguments": text or ""}
    if channel is Channel.ANSWER:
        parts = [] if text is None else [{"type": "output_text", "text": text, "annotations": []}]
        return {**identity, "type": "message", **status, "role": "assistant", "content": parts}
    key, kind = ("summary", "summary_text") if answer.summarised else ("content", "reasoning_text")
    parts = [] if text is None else [{"type": kind, "text": text}]
    return {**identity, "type": "reasoning", **status, "summary": [], key: parts}


def _begin_item(answer: TimedAnswer, index: int, part: Part) -> Document:
    return {"type": "response.output_item.added", "output_index": index, "item": _item(part, None, answer)}


def _end_item(answer: TimedAnswer, index: int, part: Part, text: str) -> list[Document]:
    identity = {"item_id": _item_id(part), "output_index": index}
    return [
        {"type": f"response.{_kind(part, answer)}.done", **identity, "text" if part[1] is None else "arguments": text},
        {"type": "response.output_item.done", "output_index": index, "item": _item(part, text, answer)},
    ]


@lru_cache(maxsize=4096)
def _delta(index: int, kind: str, text: str, item_id: str) -> bytes:
    """Return the event that adds text to an item, up to its timestamp."""
    identity = {"item_id": item_id, "output_index": index}
    if kind != "function_call_arguments":
        identity["content_index"] = 0
    return open_named_event({"type": f"response.{kind}.delta", **identity, "delta": text})


def _ended(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the response object at the end of the answer."""
    said: dict[Part, str] = {}
    for chunk in answer.chunks:
        part = chunk.channel, chunk.call
        said[part] = said.get(part, "") + ("" if chunk.is_name else chunk.text)
    output = [_item(part, text, answer) for part, text in said.items()]
    reason = INCOMPLETE.get(answer.finish_reason)
    details = {"incomplete_details": {"reason": reason}} if reason else {}
    usage = {"usage": _count(answer, envelope)} if envelope.include_usage else {}
    return _document(envelope, "incomplete" if reason else "completed", output) | details | usage


def _document(envelope: Envelope, status: str, output: list[dict[str, object]]) -> dict[str, object]:
    identity = {"id": envelope.id, "object": "response", "created_at": envelope.created, "model": envelope.model}
    nothing = {"error": None, "incomplete_details": None, "usage": None}
    return {**identity, **envelope.answerer.given_names, "status": status, "output": output, "store": False, **nothing}


def _count(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the token counts of a request and its answer."""
    return {
        "input_tokens": envelope.input_tokens,
        **envelope.cached_tokens_as("input_tokens_details"),
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": envelope.input_tokens + answer.output_tokens,
    }
