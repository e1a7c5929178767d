"""Import promptfoo's prompts: texts, chats in JSON or YAML, and files of either."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from runner.document import Json, parse
from runner.errors import InvalidFile
from runner.suite.case_files import UnusableFile, read_named_text
from runner.suite.imports.draft import Draft, ImportSource, short_name
from runner.suite.openai_messages import NotImportable, has_reply, read_conversation

TEXTS = frozenset({".txt", ".md", ".j2", ""})
CHATS = frozenset({".json", ".yaml", ".yml"})
DEFAULT = "{{prompt}}"
"""The prompt that promptfoo uses where a configuration has none."""

_SEPARATOR = re.compile(r"^---[ \t]*\n", re.MULTILINE)
_GENERATED = re.compile(r"(exec|python|[a-z]+:/)[:/]\S")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: a short name for it, the keys of a case that sends it, and its place."""

    name: str
    keys: dict[str, Json]
    source: ImportSource


def read_prompts(draft: Draft, config: ImportSource) -> list[Prompt]:
    """Return a configuration's prompts; note those that cannot be imported."""
    data = config.data
    assert isinstance(data, dict)
    if "prompts" not in data:
        return [Prompt("prompt", {"prompt": DEFAULT}, config)]
    prompts: list[Prompt] = []
    for source in config.at("prompts").items():
        try:
            prompts += _prompts_of(source, draft, len(prompts) + 1)
        except NotImportable as reason:
            draft.skip(source, reason)
    return prompts


def _prompts_of(source: ImportSource, draft: Draft, number: int) -> Iterator[Prompt]:
    written, label = source.data, ""
    if isinstance(written, dict):
        draft.skip_keys(source, written, ("id", "raw", "label"), "Write it into the prompt or the targets")
        label, written = str(written.get("label") or ""), written.get("raw") or written.get("id")
    if not isinstance(written, str) or not written.strip():
        raise NotImportable("this prompt is no text", "Write the prompt, or the name of its file")
    for offset, keys in enumerate(_keys_of(written, draft)):
        name = short_name(label) if not offset else ""
        yield Prompt(name or f"prompt-{number + offset}", keys, source)


def _keys_of(written: str, draft: Draft) -> list[dict[str, Json]]:
    if written.startswith("file://"):
        return _keys_of_file(written.removeprefix("file://"), draft)
    if _GENERATED.match(written):
        raise NotImportable("this prompt is made by a program or another service", "Write the text it makes")
    return [_keys_of_text(written)]


def _keys_of_file(name: str, draft: Draft) -> list[dict[str, Json]]:
    suffix = PurePosixPath(name).suffix.lower()
    if "*" in name or suffix not in TEXTS | CHATS:
        raise NotImportable(f"prompts from `{name}` are not read", "Name single files of text, JSON or YAML")
    text = named_text(name, draft)
    if suffix in CHATS:
        return [_keys_of_chat(_parse_chat(text, name))]
    return [_keys_of_text(piece.strip()) for piece in _SEPARATOR.split(text) if piece.strip()]


def named_text(name: str, draft: Draft) -> str:
    """Return the text of a file that a configuration names.

    Raises:
        NotImportable: the file cannot be used.

    """
    try:
        return read_named_text(draft.folder, name)
    except UnusableFile as error:
        raise NotImportable(error.what, error.hint) from None


def _parse_chat(text: str, name: str) -> Json:
    try:
        return parse(text, name).data
    except InvalidFile as error:
        raise NotImportable(f"`{name}`: {error.problems[0].what}", error.problems[0].hint) from None


def _keys_of_text(text: str) -> dict[str, Json]:
    """Return the keys for a chat in JSON or YAML, which promptfoo recognises; any other text is a prompt."""
    messages: Json = None
    if text.lstrip().startswith("["):
        try:
            messages = json.loads(text)
        except ValueError:
            messages = None
    elif re.match(r"\s*- role:", text):
        messages = _parse_chat(text, "prompt")
    is_chat = isinstance(messages, list) and bool(messages) and all(isinstance(each, dict) for each in messages)
    return _keys_of_chat(messages) if is_chat else {"prompt": text}


def _keys_of_chat(messages: Json) -> dict[str, Json]:
    if has_reply(messages):
        hint = "End with what the user says; a beginning of the reply cannot be given"
        raise NotImportable("this prompt ends with words of the assistant", hint)
    return read_conversation(messages)
