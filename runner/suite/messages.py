"""The messages of a case: their contents with all templates filled, and conversations that have already happened."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from runner.core.attachment_parts import Kind, Part, Parts, shown_text
from runner.core.suite import Message
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import distinct_calls
from runner.document import Document, Route
from runner.errors import Problem
from runner.suite.attachments import MAX_ATTACHED_BYTES, AttachmentReader, describe_too_large
from runner.suite.errors import Fault, UnusableFile
from runner.suite.fill_templates import Texts
from runner.suite.schema_parts import CallSchema, MessageSchema, PartSchema, Prompt, plain_value

Content = tuple[str, Parts]
"""A message's text as people read it, and its parts; no parts for a plain text."""


def content_texts(route: Route, content: Prompt) -> Iterator[tuple[Route, str]]:
    """Yield the texts of a content and the names of its attachments, each a template, with the route to it."""
    if isinstance(content, str):
        yield route, content
        return
    for index, part in enumerate(content):
        key, text = ("", part) if isinstance(part, str) else part.written
        yield (*route, index, *([key] if key else [])), text


def has_attachment(content: Prompt) -> bool:
    """Return whether a content has an image, a file or audio."""
    return not isinstance(content, str) and any(not isinstance(part, str) and part.text is None for part in content)


@dataclass(slots=True)
class ContentReader:
    """Reads contents whose texts are filled, and gathers the problems of all attachments."""

    document: Document
    attachments: AttachmentReader
    problems: list[Problem] = field(default_factory=list)

    def read(self, route: Route, content: Prompt, texts: Texts) -> Content:
        """Return a content, given the filled texts by their routes."""
        if isinstance(content, str):
            return texts[route], ()
        routes = [found for found, _ in content_texts(route, content)]
        pairs = zip(content, routes, strict=True)
        parts = tuple(part for written, at in pairs if (part := self._part(written, at, texts[at])) is not None)
        return shown_text(parts), parts

    def _part(self, written: str | PartSchema, route: Route, text: str) -> Part | None:
        if isinstance(written, str) or written.text is not None:
            return text
        try:
            return self.attachments.find(cast("Kind", written.written[0]), text, written.detail)
        except UnusableFile as error:
            self.problems.append(self.document.problem(route, error.what, error.hint))
            return None

    def check_size(self, route: Route, contents: Iterable[Content]) -> None:
        """Note a problem if the files of a conversation are too large together."""
        parts = (part for _, parts in contents for part in parts if not isinstance(part, str))
        size = sum(part.size or 0 for part in parts)
        if size > MAX_ATTACHED_BYTES:
            what = describe_too_large("the files of this case", size)
            self.problems.append(self.document.problem(route, what, "Leave some out; they are sent in one request"))


# Conversations that have already happened


def message_faults(messages: Sequence[MessageSchema]) -> Iterator[tuple[int, Fault]]:
    """Yield the faults of a conversation's roles, calls and results, each with the index of its message."""
    open_calls: list[ToolCall] = []
    for at, message in enumerate(messages):
        yield from ((at, fault) for fault in _faults_of_message(message))
        if message.role == "tool":
            call = _answered_by(message, open_calls)
            if call is None:
                named = message.tool_call_id or message.name
                which = "" if named is None else f" `{named}`"
                what = f"this tool's message answers no open call{which}"
                yield at, Fault(what, "Write it behind the call, with its id")
            else:
                open_calls.remove(call)
            continue
        yield from _calls_without_results(at, open_calls)
        open_calls = list(_calls(message, at))
    yield from _calls_without_results(len(messages), open_calls)
    if messages[-1].role not in {"user", "tool"}:
        what = f"the last message is the {messages[-1].role}'s, so there is nothing to answer"
        yield len(messages) - 1, Fault(what, "End with a message of the user, or with the result of a tool")


def _faults_of_message(message: MessageSchema) -> Iterator[Fault]:
    content = message.content
    is_blank = not content.strip() if isinstance(content, str) else not content
    if is_blank and not (message.tool_calls and message.role == "assistant"):
        yield Fault("`content` is missing or empty", "Write some text")
    if message.role != "user" and has_attachment(content or ""):
        what = f"this message of the {message.role} has an image, a file or audio, which only the user can send"
        yield Fault(what, "Move it into a message of the user")
    if message.tool_calls and message.role != "assistant":
        yield Fault(f"`tool_calls` is in a message of the {message.role}", "Only the assistant calls tools")
    if message.tool_call_id is not None and message.role != "tool":
        yield Fault(f"`tool_call_id` is in a message of the {message.role}", "Only a tool's message has it")


def _calls_without_results(at: int, open_calls: Sequence[ToolCall]) -> Iterator[tuple[int, Fault]]:
    """Yield a fault if calls before this message have no results, which providers refuse."""
    if open_calls:
        names = ", ".join(f"`{call.name}`" for call in open_calls)
        yield max(0, at - 1), Fault(f"the call of {names} has no result", "Add a message of the role tool behind it")


def request_messages(messages: Sequence[MessageSchema], contents: Mapping[int, Content]) -> tuple[Message, ...]:
    """Return faultless messages in the form that a request sends, given their filled contents by index."""
    sent: list[Message] = []
    open_calls: list[ToolCall] = []
    for at, message in enumerate(messages):
        text, parts = contents.get(at, ("", ()))
        if message.role == "tool":
            call = _answered_by(message, open_calls)
            assert call is not None
            open_calls.remove(call)
            sent.append(Message("tool", text, call_id=call.id))
            continue
        calls = _calls(message, at)
        open_calls = list(calls)
        sent.append(Message(message.role, text, calls=calls, parts=parts if message.role == "user" else ()))
    return tuple(sent)


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
