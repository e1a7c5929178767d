"""Read rows of OpenAI's batch files: each is a request, with its messages and parameters in `body`."""

import json
from collections.abc import Mapping

from runner.document import Json
from runner.suite.faults import NotImportable
from runner.suite.fill_templates import EXPECTED
from runner.suite.openai_messages import last_reply, read_conversation
from runner.suite.schema import DefaultsSchema

CHAT_URL = "/chat/completions"
PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
}
"""OpenAI's name -> the suite's; other keys go into `extra_body`."""

RESERVED_KEYS = frozenset({"messages", "stream", "stream_options"})
"""Keys that compare sets itself."""

CASE_KEYS = ("tools", "tool_choice", "response_format")
"""Parameters that a case may set, too, under the same names."""

SHOWN_CHARACTERS = 60


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
    own = {key: body[key] for key in CASE_KEYS if body.get(key) is not None}
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
    for key in sorted(body.keys() - RESERVED_KEYS - {"model", *CASE_KEYS}):
        name, value = PARAMETERS.get(key), body[key]
        if value is None or _is_default(name, key, value, defaults):
            continue
        written = f"`{name or key}: {json.dumps(value, ensure_ascii=False)[:SHOWN_CHARACTERS]}`"
        place = "`defaults`" if name else "`extra_body` of the `defaults`"
        raise NotImportable(
            f"this request has {written}, and the suite's defaults have not",
            f"Write it into {place}; `compare import FILE -o SUITE` does so where all requests share it",
        )


def _is_default(name: str | None, key: str, value: Json, defaults: DefaultsSchema) -> bool:
    if name is None:
        return key in (defaults.extra_body or {}) and (defaults.extra_body or {})[key] == value
    wanted = getattr(defaults, name)
    if name == "stop" and isinstance(value, list):
        return (list(wanted) if isinstance(wanted, tuple) else [wanted]) == value
    return bool(wanted == value)
