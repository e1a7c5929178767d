"""Recognise a case in a row of a table or of JSON, whatever tool or data set the row comes from.

The rows of a suite's own form have the keys of a case. In other forms, the columns that say what to ask, and what the
reference answer is, are recognised by their usual names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.document import Json
from runner.errors import closest_word, did_you_mean, list_first, suggest
from runner.suite.chat_data_formats import (
    begins_with_system,
    is_conversation,
    is_pair,
    is_parts,
    is_tag,
    openai_message,
    prompt_keys,
    prompt_parts,
    reference_of,
    text_of,
)
from runner.suite.errors import NotImportable
from runner.suite.fill_templates import EXPECTED
from runner.suite.openai_rows import last_reply, read_conversation
from runner.suite.schema import WAYS_TO_ASK, CaseSchema
from runner.suite.schema_parts import KINDS

OWN_KEYS = tuple(field.alias or name for name, field in CaseSchema.model_fields.items())
QUESTIONS = ("question", "query", "problem", "input", "text")
"""Columns whose text is the prompt; the first that a row has counts."""

CONVERSATIONS = ("messages", "conversations", "conversation")
RECOGNISED = ("prompt", "turns", *CONVERSATIONS, "instruction", *QUESTIONS)
"""Columns that say what to ask, as messages name them."""

REFERENCES = (
    *("expected", "reference", "reference_answer", "answer", "answers", "answerkey", "output", "response"),
    *("completion", "target", "ideal", "solution", "canonical_solution", "chosen"),
)
IDS = ("custom_id", "question_id", "task_id", "prompt_id", "conversation_id")
SYSTEMS = ("system", "system_prompt", "system_message")
ALTERING = frozenset(
    {"audio", "audios", "choices", "context", "document", "functions", "history", "image", "images", "options"}
    | {"passage", "video", "videos"}
)
"""Columns that change what a row asks, so that a row with one of them is not read without it."""

EMPTY: tuple[Json, ...] = (None, "", [], {})
"""Values of an empty column."""

SHOWN_COLUMNS = 12
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns that the user names: of what to ask, of the reference answer, and of files to attach."""

    prompt: str | None = None
    expected: str | None = None
    image: str | None = None
    file: str | None = None
    audio: str | None = None
    hint: str = "name the column of what to ask: --prompt-column NAME"
    """How the user names the column of what to ask, as a message without a recognised one ends."""


@dataclass(frozen=True, slots=True)
class RecognisedCase:
    """The keys of a case without its id, its id if the row has one, and the row's columns that are left out."""

    keys: dict[str, Json]
    id: str | None
    left_out: tuple[str, ...]
    is_own: bool
    """Whether the row has the form of a suite, so that a column left out is a mistake."""


def recognise(row: Mapping[str, Json], names: ColumnNames) -> RecognisedCase:
    """Return the case in a row.

    Raises:
        NotImportable: nothing in the row says what to ask, or it cannot be asked.

    """
    reader = _RowReader(row, names)
    asked = reader.asked()
    if asked is None:
        raise _nothing_asked(row, names)
    keys = asked | reader.own_keys()
    if attached := reader.attached():
        keys["prompt"] = [*attached, *prompt_parts(keys)]
    if "system" not in keys and (system := reader.take(SYSTEMS)) is not None and "messages" not in keys:
        keys["system"] = text_of(row[system], system)
    if (expected := reader.expected()) is not None:
        values = keys.get("vars")
        own = values if isinstance(values, dict) else {}
        keys["vars"] = {**own, EXPECTED: own.get(EXPECTED, expected)}
    if "tags" not in keys and (category := reader.take(("category",))) and is_tag(row[category]):
        keys["tags"] = [row[category]]
    id_ = reader.id()
    left_out = tuple(column for column in row if column not in reader.used and row[column] not in (*EMPTY, "[]"))
    _refuse_altered(left_out, names, row)
    return RecognisedCase(keys, id_, left_out, is_own=reader.is_own)


def says_what_to_ask(columns: Sequence[str]) -> bool:
    """Return whether one of a table's columns says what to ask, by a usual name."""
    return bool({column.lower() for column in columns} & {*RECOGNISED, *WAYS_TO_ASK})


def is_own_form(columns: Sequence[str]) -> bool:
    """Return whether a table has the form of a suite, so that a column which is none of its own is a mistake."""
    known = {column.lower() for column in columns}
    return bool({"prompt", "prompt_file"} & {*columns}) and not known & {*REFERENCES, *IDS, "category"}


def missing_column_error(name: str, columns: Sequence[str]) -> NotImportable:
    """Return the error that a column which the user names is missing."""
    what = f"there is no `{name}` here; there {listed_columns(columns)}"
    return NotImportable(what, did_you_mean(name, columns, "Name one of them"))


def listed_columns(columns: Sequence[str]) -> str:
    """Return columns as a phrase, such as `are a, b and 3 more`."""
    shown = list_first([f"`{column[:40]}`" for column in columns], SHOWN_COLUMNS)
    return f"{'is' if len(columns) == 1 else 'are'} {shown or 'none'}"


def no_prompt_column_error(columns: Sequence[str], names: ColumnNames) -> NotImportable:
    """Return the error that none of these columns says what to ask."""
    what = f"nothing says what to ask; there {listed_columns(columns)}"
    sentence = names.hint[:1].upper() + names.hint[1:]
    near = next((found for column in columns if (found := closest_word(column.lower(), RECOGNISED))), None)
    return NotImportable(what, f"{suggest(near)} {sentence}" if near else sentence)


def _nothing_asked(row: Mapping[str, Json], names: ColumnNames) -> NotImportable:
    empty = [column for column in row if column.lower() in {*RECOGNISED, *WAYS_TO_ASK}]
    if empty:
        return NotImportable(f"`{empty[0]}` is empty", "Write what to ask, or remove the row")
    return no_prompt_column_error([*row], names)


class _RowReader:
    """Reads the columns of one row, and records which it used; the names of columns are case-insensitive."""

    def __init__(self, row: Mapping[str, Json], names: ColumnNames) -> None:
        self.used: set[str] = set()
        self.is_own = names.prompt is None
        self._row = row
        self._names = names
        self._last_reply: str | None = None
        self._letter: str | None = None
        """Letter of the correct choice of a question."""
        self._by_name = {**{column.lower(): column for column in row}, **{column: column for column in row}}

    def take(self, names: Sequence[str]) -> str | None:
        """Return the first of these columns that is not empty, and mark it as used."""
        for name in names:
            column = self._by_name.get(name)
            if column is not None and column not in self.used and self._row[column] not in EMPTY:
                self.used.add(column)
                return column
        return None

    def asked(self) -> dict[str, Json] | None:
        """Return the keys of a case that say what to ask; None if nothing does."""
        if self._names.prompt is not None:
            column = self._column_named(self._names.prompt)
            return prompt_keys(self._row[column], column)
        own = None if self._repeats_the_prompt() else self.take(("turns", "prompt", "prompt_file"))
        if own is not None:
            return self._keys_of_own_form(own)
        self.is_own = False
        if (conversation := self.take(CONVERSATIONS)) is not None:
            return self._conversation(self._row[conversation], conversation)
        if (instruction := self.take(("instruction",))) is not None:
            return self._instruction(instruction)
        if isinstance(self._row.get("input"), dict):  # a text of a wanted size that is sent alone
            return {}
        question = self.take(QUESTIONS)
        return self._question(question) if question is not None else None

    def own_keys(self) -> dict[str, Json]:
        """Return the keys that a case of a suite may have in addition to what to ask."""
        others = [key for key in OWN_KEYS if self._row.get(key, "") != "" and key not in (*WAYS_TO_ASK, "id")]
        others = [key for key in others if key != "input" or isinstance(self._row[key], dict)]  # else it is a question
        self.used |= {*others}
        return {key: self._row[key] for key in others}

    def expected(self) -> str | None:
        """Return the reference answer, if there is one."""
        if self._names.expected is not None:
            column = self._column_named(self._names.expected)
            return reference_of(self._row[column])
        reference = self.take(REFERENCES)
        if reference is None:
            return self._last_reply
        self.is_own = False
        expected = self._letter if self._letter is not None else reference_of(self._row[reference])
        if expected is None and self._row[reference]:
            self.used.discard(reference)  # its form is unknown: it is left out, and listed
        return expected

    def attached(self) -> list[Json]:
        """Return the images, files and audio in the row's columns as parts of a prompt.

        Many data sets have a column `file`; it is a file to attach only in a suite's own form.

        Raises:
            NotImportable: a value is not the name of a file.

        """
        parts: list[Json] = []
        for kind in KINDS:
            named: str | None = getattr(self._names, kind)
            usual = (kind, f"{kind}s") if self._names.prompt is None and (kind != "file" or self.is_own) else ()
            column = self._column_named(named) if named is not None else self.take(usual)
            paths = None if column is None or self._row[column] in EMPTY else self._row[column]
            for path in paths if isinstance(paths, list) else [] if paths is None else [paths]:
                if not isinstance(path, str):
                    raise NotImportable(f"`{column}` is no name of a file", f"Save the {kind} and write its name")
                parts.append({kind: path})
        return parts

    def id(self) -> str | None:
        """Return the row's id, if it has one."""
        self.used |= {"id"} & self._row.keys()
        value = self._row.get("id")
        if value is None and (column := self.take(IDS)):
            self.is_own = False
            value = self._row[column]
        return str(value) if isinstance(value, str | int | float) and value != "" else None

    def _column_named(self, name: str) -> str:
        column = self._by_name.get(name) or self._by_name.get(name.lower())
        if column is None:
            raise missing_column_error(name, [*self._row])
        self.used.add(column)
        return column

    def _repeats_the_prompt(self) -> bool:
        """Return whether `prompt` is the first message of a conversation beside it, as in UltraChat."""
        prompt, messages = self._row.get("prompt"), self._row.get("messages")
        first = messages[0] if is_conversation(messages) and isinstance(messages, list) else None
        repeats = isinstance(first, dict) and isinstance(prompt, str) and first.get("content") == prompt
        self.used |= {"prompt"} if repeats else set()
        return repeats

    def _keys_of_own_form(self, column: str) -> dict[str, Json]:
        value = self._row[column]
        is_other = column == "prompt" and isinstance(value, list) and not is_parts(value)
        if column in WAYS_TO_ASK and not is_other:
            others = [way for way in WAYS_TO_ASK if self._row.get(way) not in EMPTY]
            self.used |= {*others}
            return {way: self._row[way] for way in others}
        self.is_own = False
        return self._conversation(value, column) if is_conversation(value) else prompt_keys(value, column)

    def _conversation(self, value: Json, column: str) -> dict[str, Json]:
        messages: Json = [openai_message(each) for each in value] if isinstance(value, list) else value
        if column.lower() != "messages" and not isinstance(messages, list):
            return prompt_keys(value, column)
        self._last_reply = last_reply(messages)
        keys = read_conversation(messages)
        system = self.take(SYSTEMS)
        if system is not None and ("system" in keys or begins_with_system(keys)):
            raise NotImportable(f"`{system}` stands beside a system message in `{column}`", "Keep one of them")
        if system is not None:
            keys["system"] = text_of(self._row[system], system)
        return keys

    def _instruction(self, column: str) -> dict[str, Json]:
        """Return the keys of an example in Alpaca's form: a history of pairs, then the instruction with its input."""
        more = self.take(("input",))
        parts = [text_of(self._row[each], each) for each in (column, more) if each]
        return self._after_history("\n".join(part for part in parts if part.strip()))

    def _after_history(self, asked: str) -> dict[str, Json]:
        history = self._row.get("history")
        if not history:
            return {"prompt": asked}
        self.used.add("history")
        if not isinstance(history, list) or not all(is_pair(pair) for pair in history):
            raise NotImportable("`history` is not a list of pairs", "Write a question and its answer in each")
        messages: list[Json] = []
        for said, replied in history:  # type: ignore[misc, str-unpack]
            messages += [{"role": "user", "content": said}, {"role": "assistant", "content": replied}]
        return {"messages": [*messages, {"role": "user", "content": asked}]}

    def _question(self, column: str) -> dict[str, Json]:
        """Return the keys of a question: its text, with any choices on lines of their own."""
        value = self._row[column]
        if is_conversation(value):
            return self._conversation(value, column)
        choices = [*self._choices()]
        if not choices:
            return self._after_history(value) if isinstance(value, str) else prompt_keys(value, column)
        answer = self._row.get(self._by_name.get("answer", ""))
        if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
            self._letter = choices[answer][0]
        lines = [text_of(value, column), *(f"{letter}. {text}" for letter, text in choices)]
        return {"prompt": "\n".join(lines)}

    def _choices(self) -> Iterator[tuple[str, str]]:
        """Yield the letter and the text of each choice: columns A, B, C ..., or a list of texts."""
        if {"A", "B"} <= self._row.keys():
            for letter in _LETTERS:
                if letter not in self._row:
                    return
                self.used.add(letter)
                if self._row[letter] not in EMPTY:
                    yield letter, text_of(self._row[letter], letter)
            return
        column = self._by_name.get("choices") or self._by_name.get("options")
        written: Json = self._row.get(column) if column else None
        labels: Json = [*_LETTERS]
        if isinstance(written, dict):
            labels, written = written.get("label"), written.get("text")
        if column and isinstance(written, list) and isinstance(labels, list) and len(written) <= len(labels):
            self.used.add(column)
            yield from ((str(label), text_of(text, column)) for label, text in zip(labels, written, strict=False))


def _refuse_altered(left_out: Sequence[str], names: ColumnNames, row: Mapping[str, Json]) -> None:
    """Raise NotImportable if a column that is left out changes what a row asks."""
    for column in left_out:
        if names.prompt is None and column.lower() in ALTERING:
            what = f"`{column}` belongs to what is asked, and has no counterpart"
            raise NotImportable(what, "Write it into the prompt; or name the column of the prompt, and it is left out")
        near = closest_word(column.lower(), ("system", "prompt", "checks", "matrix", "vars"), cutoff=0.8)
        if near and near not in row and column.lower() != near:
            raise NotImportable(f"unknown column `{column}`", suggest(near))
