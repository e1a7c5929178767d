"""Convert messages of OpenAI's API to the keys of a case."""

from collections.abc import Mapping
from typing import Any

from runner.document import Json
from runner.suite.faults import NotImportable

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
OF_TOOLS = {"assistant": frozenset({"tool_calls"}), "tool": frozenset({"tool_call_id", "name"})}
"""Role -> keys on tools that its messages may have."""

WITHOUT_EFFECT = frozenset({"weight"})
"""Keys of a message that matter for training and have no effect on a request."""


def read_conversation(messages: object) -> dict[str, Json]:
    """Return the keys of a case that sends these messages up to the last one of the user.

    Messages of the assistant after it, as training examples have them, are the reply to learn and are dropped.

    Raises:
        NotImportable: a case cannot express these messages.

    """
    if not isinstance(messages, list) or not messages:
        raise NotImportable("`messages` is not a list of messages", "Write a list with a role and a content in each")
    read = [_message(message) for message in messages]
    while read and read[-1]["role"] == "assistant":
        read.pop()
    if not read:
        raise NotImportable("these messages have no question", "Add a message of the user")
    contents = [message.get("content") for message in read]
    match [message["role"] for message in read]:
        case ["user"]:
            return {"prompt": contents[0]}
        case ["system", "user"] if isinstance(contents[0], str):
            return {"system": contents[0], "prompt": contents[1]}
    return {"messages": [{**message} for message in read]}


def has_reply(messages: object) -> bool:
    """Return whether messages end with a reply of the assistant, as training examples do."""
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def last_reply(messages: object) -> str | None:
    """Return the assistant's text at the end of messages; None if they do not end with one."""
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) and last.get("role") == "assistant" else None
    return content if isinstance(content, str) and content.strip() else None


def _message(message: object) -> Mapping[str, Json]:
    if not isinstance(message, dict):
        raise NotImportable("a message is not a mapping", "Write a role and a content")
    role = ROLES.get(str(message.get("role")))
    if role is None:
        raise NotImportable(
            f"a message has the role `{message.get('role')}`", "Only system, user, assistant and tool can be asked"
        )
    on_tools = OF_TOOLS.get(role, frozenset())
    known = {"role", "content", *WITHOUT_EFFECT, *on_tools}
    unknown = [key for key, value in message.items() if key not in known and value]
    if unknown:
        raise NotImportable(f"a message of the {role} has `{unknown[0]}`", "Only role, content and tools can be sent")
    more = {key: message[key] for key in sorted(on_tools) if message.get(key)}
    if role == "assistant" and more and not message.get("content"):
        return {"role": role, **more}
    return {"role": role, "content": _content(message.get("content"), role), **more}


def _content(content: Any, role: str) -> Json:
    match content:
        case str():
            return content
        case [{"type": "text", "text": str(text)}]:
            return text
        case [_, *_]:
            return [_part(part, role) for part in content]
    raise NotImportable(f"a message of the {role} has no text", "Write its content")


def _part(part: Any, role: str) -> Json:
    """Return a part of a message in a suite's form: a text, or an image by its URL."""
    match part:
        case {"type": "text", "text": str(text)}:
            return {"text": text}
        case {"type": "image_url", "image_url": {"url": str(url), **more}} if not url.startswith("data:"):
            detail: Json = more.get("detail")  # type: ignore[assignment]  # JSON, as all that was read
            return {"image": url, **({} if detail is None else {"detail": detail})}
    kind = str(part.get("type")) if isinstance(part, dict) else "something that is no object"
    raise NotImportable(
        f"a message of the {role} has a part of another kind, {kind[:40]}",
        "Only texts and images by URL are read; save the rest in files, and write them as `image`, `file` or `audio`",
    )
