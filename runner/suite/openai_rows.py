"""Convert messages of OpenAI's API, and requests of its batch files, to the keys of a case."""

import json
from collections.abc import Mapping
from typing import Any

from runner.document import Json
from runner.suite.errors import NotImportable
from runner.suite.fill_templates import EXPECTED
from runner.suite.schema import DefaultsSchema
from runner.suite.schema_parts import OVERRIDES

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
OF_TOOLS = {"assistant": frozenset({"tool_calls"}), "tool": frozenset({"tool_call_id", "name"})}
"""Role -> keys on tools that its messages may have."""

WITHOUT_EFFECT = frozenset({"weight"})
"""Keys of a message that matter for training and have no effect on a request."""

CHAT_URL = "/chat/completions"
PARAMETERS = {
    **{name: name for name in ("temperature", "top_p", "max_tokens", "seed", "stop")},
    "max_completion_tokens": "max_tokens",
}
"""OpenAI's name -> the suite's; other keys go into `extra_body`."""

RESERVED_KEYS = frozenset({"messages", "stream", "stream_options"})
"""Keys that compare sets itself."""

SHOWN_CHARACTERS = 60


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


# Batch files: each row is a request, with its messages and parameters in `body`


def is_batch(row: Json) -> bool:
    """Return whether a row is a request of a batch."""
    return isinstance(row, dict) and "body" in row and (isinstance(row["body"], dict) or "custom_id" in row)


def batch_case(row: Mapping[str, Json]) -> dict[str, Json]:
    """Return the keys of a case for a request's messages.

    Raises:
        NotImportable: it is not a chat, or a case cannot express its messages.

    """
    body, url = row["body"], str(row.get("url", CHAT_URL))
    if not url.endswith(CHAT_URL) or not isinstance(body, dict):
        raise NotImportable(f"this asks {url} and no chat", f"Only requests to {CHAT_URL} become cases")
    messages = body.get("messages")
    reply = last_reply(messages)
    own = {key: body[key] for key in OVERRIDES if body.get(key) is not None}
    if "tool_choice" in own:
        own["tool_choice"] = _chosen_tool(own["tool_choice"])
    return {**read_conversation(messages), **own, **({"vars": {EXPECTED: reply}} if reply is not None else {})}


def _chosen_tool(choice: Json) -> Json:
    """Return a `tool_choice` in a suite's form: a word, or the name of a function."""
    match choice:
        case str():
            return choice
        case {"type": "function", "function": {"name": str(name)}}:
            return name
    raise NotImportable("its `tool_choice` names no function", "Write auto, none, required or the name of a tool")


def refuse_other_parameters(row: Mapping[str, Json], defaults: DefaultsSchema) -> None:
    """Refuse a request whose parameters are not those of the suite, since a row cannot set its own.

    Raises:
        NotImportable: a parameter of the request is not among the suite's defaults.

    """
    body = row["body"]
    assert isinstance(body, dict)
    for key in sorted(body.keys() - RESERVED_KEYS - {"model", *OVERRIDES}):
        name, value = PARAMETERS.get(key), body[key]
        if value is None or _is_default(name, key, value, defaults):
            continue
        written = f"`{name or key}: {json.dumps(value, ensure_ascii=False)[:SHOWN_CHARACTERS]}`"
        key_of_suite = "`defaults`" if name else "`extra_body` of the `defaults`"
        raise NotImportable(
            f"this request has {written}, and the suite's defaults have not",
            f"Write it into {key_of_suite}; `compare import FILE -o SUITE` does so where all requests share it",
        )


def _is_default(name: str | None, key: str, value: Json, defaults: DefaultsSchema) -> bool:
    if name is None:
        return key in (defaults.extra_body or {}) and (defaults.extra_body or {})[key] == value
    wanted = getattr(defaults, name)
    if name == "stop" and isinstance(value, list):
        return (list(wanted) if isinstance(wanted, tuple) else [wanted]) == value
    return bool(wanted == value)
