"""POST /v1/responses: parse its requests, and write answers in that dialect. Performs no I/O."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from runner.core.events import Channel
from runner.simulator.answer import TimedAnswer
from runner.simulator.chat import (
    ChatMessage,
    ChatRequest,
    effort_of,
    flag,
    integer,
    invalid,
    model_name,
    parse_object,
    temperature_of,
    without_surrogates,
)
from runner.simulator.request import HttpRequest, RequestError
from runner.simulator.response import (
    JSON_TYPE,
    Envelope,
    Response,
    Step,
    named_event,
    named_step,
    open_named_event,
    open_stamp,
)
from runner.simulator.shown_files import content_of

ROLES = ("system", "developer", "user", "assistant")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
NEAREST: Mapping[object, object] = {"minimal": "low", "xhigh": "high"}
"""Efforts that no persona has -> the nearest that it has."""

SUMMARIES = ("auto", "concise", "detailed")

FOREIGN = ("messages", "max_tokens", "max_completion_tokens", "n", "seed", "stop", "stream_options")
"""Parameters of chat completions that this API does not have."""

REASONING_ID, MESSAGE_ID = "rs_sim", "msg_sim"
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""The reason of an answer's end -> the reason why it is incomplete."""


def parse_responses(request: HttpRequest) -> ChatRequest:
    """Parse a request.

    Raises:
        RequestError: names the first thing that is wrong with it.

    """
    fields = parse_object(request.body)
    for name in FOREIGN:
        if name in fields:
            raise RequestError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if fields.get("previous_response_id") is not None:
        raise invalid("previous_response_id", "null: the simulator keeps no responses")
    max_tokens = integer(fields, "max_output_tokens")
    if max_tokens is not None and max_tokens < 1:
        raise invalid("max_output_tokens", "at least 1")
    effort, summary = _parse_reasoning(fields.get("reasoning"))
    return ChatRequest(
        model=model_name(fields),
        messages=_parse_input(fields),
        stream=flag(fields, "stream"),
        include_usage=True,
        max_tokens=max_tokens,
        thinking_off=effort == "none",
        effort=effort_of(NEAREST.get(effort, effort), "reasoning.effort"),
        temperature=temperature_of(fields),
        summarise=summary is not None,
    )


def parse_conversation(body: bytes) -> tuple[str, tuple[ChatMessage, ...]]:
    """Return the model and the messages of a request's body, the instructions first; the rest is not checked.

    Raises:
        RequestError: the model or the messages are wrong.

    """
    fields = parse_object(body)
    return model_name(fields), _parse_input(fields)


def _parse_input(fields: Mapping[str, object]) -> tuple[ChatMessage, ...]:
    given, instructions = fields.get("input"), fields.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise invalid("instructions", "a string")
    first = (ChatMessage("system", without_surrogates(instructions)),) if instructions else ()
    if isinstance(given, str) and given:
        return (*first, ChatMessage("user", without_surrogates(given)))
    if not isinstance(given, list) or not given:
        raise invalid("input", "a string or a list of at least one message")
    return (*first, *(_parse_item(item, f"input[{at}]") for at, item in enumerate(given)))


def _parse_item(item: object, place: str) -> ChatMessage:
    if not isinstance(item, dict) or item.get("type", "message") != "message":
        raise invalid(place, "a message with 'role' and 'content'")
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise invalid(f"{place}.role", f"one of {', '.join(ROLES)}")
    if isinstance(content, str):
        return ChatMessage(role, without_surrogates(content))
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise invalid(f"{place}.content", "a string or a list of content parts")
    text, files = content_of(content, ("input_text", "output_text"), f"{place}.content")
    return ChatMessage(role, without_surrogates(text), files)


def _parse_reasoning(reasoning: object) -> tuple[object, object]:
    """Return the effort and the kind of summary that are asked for; None for what is not."""
    if reasoning is None:
        return None, None
    if not isinstance(reasoning, dict):
        raise invalid("reasoning", "an object")
    for name, known in (("effort", EFFORTS), ("summary", SUMMARIES)):
        if reasoning.get(name) not in (None, *known):
            raise invalid(f"reasoning.{name}", f"one of {', '.join(known)}")
    return reasoning.get("effort"), reasoning.get("summary")


def whole_response(answer: TimedAnswer, envelope: Envelope) -> Response:
    """Return the whole answer as JSON, sent when a stream of it would have ended."""
    step = Step(answer.last_due_ns, open_stamp(_ended(answer, envelope)), b"}")
    return Response(200, (JSON_TYPE,), (step,), head_due_ns=answer.last_due_ns)


def stream_steps(answer: TimedAnswer, envelope: Envelope) -> Iterator[Step]:
    """Yield the answer chunk by chunk; the last event of each step has its timestamp as `sent_ns`.

    Events that begin and end items go with the text behind them, so that each chunk is one step.
    """
    begun = _document(envelope, "in_progress", [])
    created = named_event({"type": "response.created", "response": begun})
    yield named_step(answer.first_due_ns, created, {"type": "response.in_progress", "response": begun})
    index, current, said = -1, None, ""
    for due_ns, channel, text in answer.chunks:
        opening = b""
        if channel is not current:
            opening = _end_item(index, current, said, answer) + _begin_item(index + 1, channel, answer)
            index, current, said = index + 1, channel, ""
        said += text
        yield Step(due_ns, opening + _delta(index, _kind(channel, answer), text), b"}\n\n")
    nothing: dict[str, object] = {"type": "response.in_progress", "response": begun}
    *before, last = _end_events(index, current, said, answer) or [nothing]
    yield named_step(answer.last_due_ns, b"".join(map(named_event, before)), last)
    ended = _ended(answer, envelope)
    yield named_step(answer.last_due_ns, b"", {"type": f"response.{ended['status']}", "response": ended})


def error_event(error: RequestError) -> bytes:
    """Return an error as an event of a stream, which has no object around it."""
    return named_event({"type": "error", "code": error.code, "message": error.message, "param": error.param})


def _kind(channel: Channel, answer: TimedAnswer) -> str:
    """Return the name of a text in the types of its events."""
    if channel is Channel.ANSWER:
        return "output_text"
    return "reasoning_summary_text" if answer.summarised else "reasoning_text"


def _item(channel: Channel, text: str | None, answer: TimedAnswer) -> dict[str, object]:
    """Return an item of the output, with its text if that is known."""
    status = "in_progress" if text is None else "completed"
    if channel is Channel.ANSWER:
        parts = [] if text is None else [{"type": "output_text", "text": text, "annotations": []}]
        return {"id": MESSAGE_ID, "type": "message", "status": status, "role": "assistant", "content": parts}
    place, kind = ("summary", "summary_text") if answer.summarised else ("content", "reasoning_text")
    parts = [] if text is None else [{"type": kind, "text": text}]
    return {"id": REASONING_ID, "type": "reasoning", "status": status, "summary": [], place: parts}


def _begin_item(index: int, channel: Channel, answer: TimedAnswer) -> bytes:
    return named_event(
        {"type": "response.output_item.added", "output_index": index, "item": _item(channel, None, answer)}
    )


def _end_events(index: int, channel: Channel | None, text: str, answer: TimedAnswer) -> list[dict[str, object]]:
    """Return the events that end an item; none where there is no item."""
    if channel is None:
        return []
    kind, item = _kind(channel, answer), _item(channel, text, answer)
    place = {"item_id": item["id"], "output_index": index}
    return [
        {"type": f"response.{kind}.done", **place, "text": text},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _end_item(index: int, channel: Channel | None, text: str, answer: TimedAnswer) -> bytes:
    return b"".join(map(named_event, _end_events(index, channel, text, answer)))


@lru_cache(maxsize=4096)
def _delta(index: int, kind: str, text: str) -> bytes:
    """Return the event that adds text to an item, up to its timestamp."""
    id_ = MESSAGE_ID if kind == "output_text" else REASONING_ID
    place = {"item_id": id_, "output_index": index, "content_index": 0}
    return open_named_event({"type": f"response.{kind}.delta", **place, "delta": text})


def _ended(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the response as it is when the answer has ended."""
    said = {channel: "".join(chunk.text for chunk in answer.chunks if chunk.channel is channel) for channel in Channel}
    output = [_item(channel, text, answer) for channel, text in said.items() if text]
    reason = INCOMPLETE.get(answer.finish_reason)
    details = {"incomplete_details": {"reason": reason}} if reason else {}
    usage = {"usage": _count(answer, envelope)} if envelope.include_usage else {}
    return _document(envelope, "incomplete" if reason else "completed", output) | details | usage


def _document(envelope: Envelope, status: str, output: list[dict[str, object]]) -> dict[str, object]:
    identity = {"id": envelope.id, "object": "response", "created_at": envelope.created, "model": envelope.model}
    nothing = {"error": None, "incomplete_details": None, "usage": None}
    return {**identity, "status": status, "output": output, "store": False, **nothing}


def _count(answer: TimedAnswer, envelope: Envelope) -> dict[str, object]:
    """Return the token counts of a request and its answer."""
    return {
        "input_tokens": envelope.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": envelope.input_tokens + answer.output_tokens,
    }
