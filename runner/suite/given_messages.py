"""The messages of a conversation that has already happened: checked, and as a request sends them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from runner.core.suite import Message
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import distinct_calls
from runner.suite.message_content import Content, has_attachment
from runner.suite.prompt_schema import MessageSchema
from runner.suite.tool_schema import CallSchema, plain_value

Fault = tuple[int, str, str]
"""The index of a message, what is wrong with it, and what to do."""


def message_faults(messages: Sequence[MessageSchema]) -> Iterator[Fault]:
    """Yield what is wrong with the roles, the calls and the results of a conversation."""
    open_calls: list[ToolCall] = []
    for at, message in enumerate(messages):
        yield from ((at, *fault) for fault in _own_faults(message))
        if message.role == "tool":
            call = _answered_by(message, open_calls)
            if call is None:
                named = message.tool_call_id or message.name
                which = "" if named is None else f" `{named}`"
                yield at, f"this tool's message answers no open call{which}", "Write it behind the call, with its id"
            else:
                open_calls.remove(call)
            continue
        yield from _unanswered(at, open_calls)
        open_calls = list(_calls(message, at))
    yield from _unanswered(len(messages), open_calls)
    if messages[-1].role not in {"user", "tool"}:
        what = f"the last message is the {messages[-1].role}'s, so there is nothing to answer"
        yield len(messages) - 1, what, "End with a message of the user, or with the result of a tool"


def _own_faults(message: MessageSchema) -> Iterator[tuple[str, str]]:
    content = message.content
    is_blank = not content.strip() if isinstance(content, str) else not content
    if is_blank and not (message.tool_calls and message.role == "assistant"):
        yield "`content` is missing or empty", "Write some text"
    if message.role != "user" and has_attachment(content or ""):
        what = f"this message of the {message.role} has an image, a file or audio, which only the user can send"
        yield what, "Move it into a message of the user"
    if message.tool_calls and message.role != "assistant":
        yield f"`tool_calls` is in a message of the {message.role}", "Only the assistant calls tools"
    if message.tool_call_id is not None and message.role != "tool":
        yield f"`tool_call_id` is in a message of the {message.role}", "Only a tool's message has it"


def _unanswered(at: int, open_calls: Sequence[ToolCall]) -> Iterator[Fault]:
    """Yield that calls before this message have no results, which providers refuse."""
    if open_calls:
        names = ", ".join(f"`{call.name}`" for call in open_calls)
        yield max(0, at - 1), f"the call of {names} has no result", "Add a message of the role tool behind it"


def given_messages(messages: Sequence[MessageSchema], contents: Mapping[int, Content]) -> tuple[Message, ...]:
    """Return messages without faults as a request sends them, given their filled contents by index."""
    given: list[Message] = []
    open_calls: list[ToolCall] = []
    for at, message in enumerate(messages):
        text, parts = contents.get(at, ("", ()))
        if message.role == "tool":
            call = _answered_by(message, open_calls)
            assert call is not None
            open_calls.remove(call)
            given.append(Message("tool", text, call_id=call.id))
            continue
        calls = _calls(message, at)
        open_calls = list(calls)
        given.append(Message(message.role, text, calls=calls, parts=parts if message.role == "user" else ()))
    return tuple(given)


def last_results(history: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Yield the name and the result of each tool whose messages end a history."""
    names = {call.id: call.name for message in history for call in message.calls}
    first = len(history)
    while first and history[first - 1].role == "tool":
        first -= 1
    yield from ((names[message.call_id], message.content) for message in history[first:])


def _answered_by(message: MessageSchema, open_calls: Sequence[ToolCall]) -> ToolCall | None:
    """Return the open call that a tool's message answers: by its id, else by the tool's name, else the first."""
    if message.tool_call_id is not None:
        return next((call for call in open_calls if call.id == message.tool_call_id), None)
    return next((call for call in open_calls if message.name in (None, call.name)), None)


def _calls(message: MessageSchema, at: int) -> tuple[ToolCall, ...]:
    return distinct_calls([_call(call) for call in message.tool_calls or ()], f"past{at:02}")


def _call(written: CallSchema) -> ToolCall:
    if written.function is not None:
        return ToolCall(written.function.name, written.function.arguments, written.id)
    assert written.name is not None
    arguments = written.arguments
    text = arguments if isinstance(arguments, str) else json.dumps(plain_value(arguments or {}), ensure_ascii=False)
    return replace(ToolCall(written.name, text), id=written.id)
