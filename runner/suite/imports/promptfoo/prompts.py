"""promptfoo's prompts: texts, chats in JSON or YAML, and files of either."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from runner.document import Json, parse
from runner.errors import InvalidFile
from runner.suite.conversation import NotTaken, has_reply, read_conversation
from runner.suite.files import BadName, read_named_text
from runner.suite.imports.draft import Draft, ImportSource, short_name

TEXTS = frozenset({".txt", ".md", ".j2", ""})
CHATS = frozenset({".json", ".yaml", ".yml"})
DEFAULT = "{{prompt}}"
"""What promptfoo asks where a configuration names no prompt."""

_BETWEEN_PROMPTS = re.compile(r"^---[ \t]*\n", re.MULTILINE)
_MADE_ELSEWHERE = re.compile(r"(exec|python|[a-z]+:/)[:/]\S")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the part of a case that asks it, and a short name for it."""

    name: str
    asks: dict[str, Json]
    source: ImportSource


def read_prompts(draft: Draft, config: ImportSource) -> list[Prompt]:
    """Return a configuration's prompts; those that are not taken are noted."""
    data = config.data
    assert isinstance(data, dict)
    if "prompts" not in data:
        return [Prompt("prompt", {"prompt": DEFAULT}, config)]
    prompts: list[Prompt] = []
    for source in config.at("prompts").items():
        try:
            prompts += _read(source, draft, len(prompts) + 1)
        except NotTaken as fault:
            draft.leave(source, fault)
    return prompts


def _read(source: ImportSource, draft: Draft, number: int) -> Iterator[Prompt]:
    written, label = source.data, ""
    if isinstance(written, dict):
        draft.leave_keys(source, written, ("id", "raw", "label"), "Write it into the prompt or the targets")
        label, written = str(written.get("label") or ""), written.get("raw") or written.get("id")
    if not isinstance(written, str) or not written.strip():
        raise NotTaken("this prompt is no text", "Write the prompt, or the name of its file")
    for offset, asks in enumerate(_asks(written, draft)):
        name = short_name(label) if not offset else ""
        yield Prompt(name or f"prompt-{number + offset}", asks, source)


def _asks(written: str, draft: Draft) -> list[dict[str, Json]]:
    if written.startswith("file://"):
        return _file_asks(written.removeprefix("file://"), draft)
    if _MADE_ELSEWHERE.match(written):
        raise NotTaken("this prompt is made by a program or another service", "Write the text it makes")
    return [_text_asks(written)]


def _file_asks(name: str, draft: Draft) -> list[dict[str, Json]]:
    suffix = PurePosixPath(name).suffix.lower()
    if "*" in name or suffix not in TEXTS | CHATS:
        raise NotTaken(f"prompts from `{name}` are not read", "Name single files of text, JSON or YAML")
    text = named_text(name, draft)
    if suffix in CHATS:
        return [_chat_asks(_chat(text, name))]
    return [_text_asks(piece.strip()) for piece in _BETWEEN_PROMPTS.split(text) if piece.strip()]


def named_text(name: str, draft: Draft) -> str:
    """Return the text of a file that a configuration names; raise `NotTaken` where there is none to be had."""
    try:
        return read_named_text(draft.folder, name)
    except BadName as error:
        raise NotTaken(error.what, error.hint) from None


def _chat(text: str, name: str) -> Json:
    try:
        return parse(text, name).data
    except InvalidFile as error:
        raise NotTaken(f"`{name}`: {error.problems[0].what}", error.problems[0].hint) from None


def _text_asks(text: str) -> dict[str, Json]:
    """Read a text that is a chat in JSON or YAML as promptfoo does; any other is the prompt itself."""
    messages: Json = None
    if text.lstrip().startswith("["):
        try:
            messages = json.loads(text)
        except ValueError:
            messages = None
    elif re.match(r"\s*- role:", text):
        messages = _chat(text, "prompt")
    is_chat = isinstance(messages, list) and bool(messages) and all(isinstance(each, dict) for each in messages)
    return _chat_asks(messages) if is_chat else {"prompt": text}


def _chat_asks(messages: Json) -> dict[str, Json]:
    if has_reply(messages):
        hint = "End with what the user says; a beginning of the reply cannot be given"
        raise NotTaken("this prompt ends with words of the assistant", hint)
    return read_conversation(messages)
