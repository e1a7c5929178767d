"""Import promptfoo's prompts: texts, chats in JSON or YAML, and files of either."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from runner.document import Json, parse
from runner.errors import InvalidFile
from runner.suite.errors import NotImportable
from runner.suite.imports.draft_suite import Draft, ImportSource, short_name
from runner.suite.imports.promptfoo.files import PROGRAMS, SCHEME, ending_of, named_document, named_text, prompt_files
from runner.suite.openai_rows import has_reply, read_conversation
from runner.suite.row_files import table_rows

TEXTS = frozenset({".j2", ".md", ".txt"})
DEFAULT = "{{prompt}}"
"""The prompt that promptfoo uses if a configuration has none."""

_SEPARATOR = re.compile(r"^[ \t]*---[ \t]*\r?$", re.MULTILINE)
_JSON_LIKE = re.compile(r"\s*(\{.*\}|\[\s*([\"{\[\d-]|true|false|null|(?=\])).*\])\s*", re.DOTALL)
"""A text that promptfoo refuses if it is not JSON; others, such as `[INST] ...`, it sends as they are."""
_GENERATED = re.compile(r"(exec|python):\S|[a-z]{2,}://")
_MADE_BY_PROGRAM = NotImportable("this prompt is made by a program or another service", "Write the text it makes")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: a short name for it, the keys of a case that sends it, its part of the file, and its label and id."""

    name: str
    keys: dict[str, Json]
    source: ImportSource
    labels: tuple[str, ...] = ()

    def is_called(self, wanted: str) -> bool:
        """Return whether its label or id is `wanted`, or is in the group of that name (`group` or `group:*`)."""
        group = wanted.removesuffix("*").removesuffix(":")
        return any(label in {wanted, group} or label.startswith(f"{group}:") for label in self.labels)


def read_prompts(draft: Draft, config: ImportSource) -> list[Prompt]:
    """Return a configuration's prompts; note those that cannot be imported."""
    data = config.data
    assert isinstance(data, dict)
    if "prompts" not in data:
        return [Prompt("prompt", {"prompt": DEFAULT}, config)]
    prompts: list[Prompt] = []
    written, listed = data["prompts"], config.at("prompts")
    if isinstance(written, dict) and not {"id", "raw", "label"} & written.keys():
        for name, label in written.items():  # an old form: the name of each file, and its label
            prompts += _noted_prompts(listed.at(name), name, str(label or ""), draft, len(prompts))
        return prompts
    seen = set[str]()
    for source in listed.items():
        written = source.data
        if isinstance(written, str):  # promptfoo sends the same text or file once, unless it has labels
            text = str(PurePosixPath(written)) if written.startswith(SCHEME) else written
            if text in seen:
                continue
            seen.add(text)
        prompts += _noted_prompts(source, *_text_and_label(source, draft), draft, len(prompts))
    return prompts


def _text_and_label(source: ImportSource, draft: Draft) -> tuple[Json, str]:
    written = source.data
    if not isinstance(written, dict):
        return written, ""
    draft.skip_keys(source, ("id", "raw", "label"), "Write it into the prompt or the targets")
    return source.get("raw") or source.get("id"), str(source.get("label") or "")


def _noted_prompts(source: ImportSource, written: Json, label: str, draft: Draft, before: int) -> list[Prompt]:
    """Return the prompts that one entry stands for; note the parts of it that cannot be imported."""
    prompts: list[Prompt] = []
    labels = tuple(str(each) for each in (label or written, source.get("id")) if each)
    with draft.skipping(source):
        for keys in _keys_of(written, draft, source):
            name = short_name(label) if not prompts else ""
            prompts.append(Prompt(name or f"prompt-{before + len(prompts) + 1}", keys, source, labels))
    return prompts


def _keys_of(written: Json, draft: Draft, source: ImportSource) -> Iterator[dict[str, Json]]:
    if not isinstance(written, str) or not written.strip():
        raise NotImportable("this prompt is not text", "Write the prompt, or the name of its file")
    if _GENERATED.match(written) and not written.startswith(SCHEME):
        raise _MADE_BY_PROGRAM
    names = prompt_files(written, draft)
    if not names:
        yield keys_of_text(written)
    for name in names:
        with draft.skipping(source):
            yield from _keys_of_file(name, draft)


def _keys_of_file(name: str, draft: Draft) -> Iterator[dict[str, Json]]:
    ending = ending_of(name)
    if ending in PROGRAMS:
        raise NotImportable(f"prompts from `{PurePosixPath(name).name}` are made by a program", _MADE_BY_PROGRAM.hint)
    if ending in {".json", ".yaml", ".yml"}:
        yield _keys_of_chat(named_document(name, draft).data)
    elif ending == ".jsonl":
        yield from (keys_of_text(line) for line in named_text(name, draft).split("\n") if line.strip())
    elif ending == ".csv":
        yield from _keys_of_table(name, draft)
    elif ending in TEXTS:
        text = named_text(name, draft)
        pieces = _SEPARATOR.split(text) if ending == ".txt" else [text]
        found = [piece.strip() if ending == ".txt" else piece for piece in pieces if piece.strip()]
        if not found:
            raise NotImportable(f"`{name}` is empty", "Write a prompt into it")
        yield from map(keys_of_text, found)
    else:
        raise NotImportable(f"prompts from `{name}` are not read", "Name files of text, CSV, JSON, JSONL or YAML")


def _keys_of_table(name: str, draft: Draft) -> Iterator[dict[str, Json]]:
    """Yield the keys for the column `prompt` of a table, or for each line of a file without a comma."""
    text = named_text(name, draft).strip()
    if "," not in text:
        lines = [line for line in text.splitlines() if line.strip()]
        yield from map(keys_of_text, lines[1:] if lines and lines[0].strip().lower() == "prompt" else lines)
        return
    try:
        rows = list(table_rows(text.splitlines(keepends=True), name))
    except InvalidFile as error:
        raise NotImportable.of(error, f"`{name}`, line {error.problems[0].line}: ") from None
    if rows and "prompt" not in rows[0][1]:
        raise NotImportable(f"`{name}` has no column `prompt`", "Name the column with the prompts so")
    yield from (keys_of_text(cells["prompt"].strip()) for _, cells in rows if cells["prompt"].strip())


def keys_of_text(text: str) -> dict[str, Json]:
    """Return the keys for a chat in JSON or YAML, which promptfoo recognises; any other text is a prompt.

    Raises:
        NotImportable: promptfoo reads the text as JSON or YAML, and it is not valid, or not a chat that can be sent.

    """
    start = text.lstrip()
    if start.startswith("- role:"):
        return _keys_of_chat(_parse_chat(text))
    if not start.startswith(("[", "{")) or start.startswith(("{{", "{%", "{#")):
        return {"prompt": text}
    try:
        return _keys_of_chat(json.loads(text))
    except (ValueError, RecursionError):
        if not _JSON_LIKE.fullmatch(text):
            return {"prompt": text}
        hint = "Write it as valid JSON with its variables between quotes, or begin a text with another character"
        raise NotImportable("promptfoo reads this prompt as JSON, and it is none", hint) from None


def _parse_chat(text: str) -> Json:
    try:
        document = parse(text, "prompt", foreign=True)
    except InvalidFile as error:
        raise NotImportable.of(error, "this prompt is not YAML: ") from None
    return document.data


def _keys_of_chat(messages: Json) -> dict[str, Json]:
    if not isinstance(messages, list) or not all(isinstance(each, dict) and "role" in each for each in messages):
        raise NotImportable(
            "this prompt is JSON or YAML, and no list of messages", "Write a role and a content in each"
        )
    if has_reply(messages):
        hint = "End with what the user says; a beginning of the reply cannot be given"
        raise NotImportable("this prompt ends with words of the assistant", hint)
    return read_conversation(messages)
