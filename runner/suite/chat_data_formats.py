"""Read the values in the columns of a row: texts, conversations, lists of parts, reference answers."""

import re
from collections.abc import Mapping

from runner.document import Json
from runner.suite.errors import NotImportable
from runner.suite.openai_rows import read_conversation
from runner.suite.schema import WAYS_TO_ASK
from runner.suite.schema_parts import KINDS

ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "bard", "bing", "chatgpt"), "assistant"),
    "system": "system",
}
"""ShareGPT's speakers -> roles."""

_GSM8K_ANSWER = re.compile(r"\n#### ([^\n]+)\s*$")


def prompt_keys(value: Json, column: str) -> dict[str, Json]:
    """Return a cell's value as the keys of a case: `prompt`, `turns`, or the keys of a conversation."""
    if is_parts(value):
        return {"prompt": value}
    if isinstance(value, list) and is_conversation(value):
        return read_conversation([openai_message(each) for each in value])
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return {"turns": value} if len(value) > 1 else {"prompt": value[0]}
    return {"prompt": text_of(value, column)}


def is_parts(value: Json) -> bool:
    """Return whether a value is a list of parts in a suite's form, with an image, a file or audio among them."""
    return isinstance(value, list) and any(isinstance(each, dict) and {*KINDS} & each.keys() for each in value)


def prompt_parts(keys: Mapping[str, Json]) -> list[Json]:
    """Return the prompt of a row that has files to attach, as parts.

    Raises:
        NotImportable: the row has no `prompt` to attach them to.

    """
    prompt = keys.get("prompt")
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list):
        return prompt
    way = next((way for way in WAYS_TO_ASK if way in keys), "nothing")
    raise NotImportable(
        f"the row has a file to attach and asks by `{way}`", "Write `prompt`, or the file into the message that has it"
    )


def is_conversation(value: Json) -> bool:
    """Return whether a value is a list of messages."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) for each in value)
        and not is_parts(value)
    )


def openai_message(message: Json) -> Json:
    """Return a message in OpenAI's form; a message in ShareGPT's form is converted.

    Raises:
        NotImportable: the message is from an unknown speaker.

    """
    if not isinstance(message, dict) or "from" not in message:
        return message
    speaker = str(message["from"])
    if speaker not in ROLES:
        raise NotImportable(f"a message is from `{speaker}`", "Only system, human and gpt can be asked")
    return {"role": ROLES[speaker], "content": message.get("value")}


def begins_with_system(keys: Mapping[str, Json]) -> bool:
    """Return whether the messages of a case begin with a system message."""
    messages = keys.get("messages")
    first = messages[0] if isinstance(messages, list) else None
    return isinstance(first, dict) and first.get("role") == "system"


def is_pair(value: Json) -> bool:
    """Return whether a value is a question and its answer."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value)


def text_of(value: Json, column: str) -> str:
    """Return a text or a number as text.

    Raises:
        NotImportable: the value is neither.

    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise NotImportable(f"`{column}` is not text", "Write a text in it")


def reference_of(value: Json) -> str | None:
    """Return a reference answer as text: the result of one in GSM8K's form; several texts on a line each."""
    if isinstance(value, str):
        found = _GSM8K_ANSWER.search(value)
        return found[1].strip() if found else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return "\n".join(map(str, value))
    inner = (value.get(name) for name in ("text", "value", "answer")) if isinstance(value, dict) else ()
    return next((text for each in inner if (text := reference_of(each)) is not None), None)


def is_tag(value: Json) -> bool:
    """Return whether a value can be a tag of a case."""
    return isinstance(value, str) and value == value.strip() and value.isprintable() and 0 < len(value) <= 200
