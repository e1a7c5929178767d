"""Import rows of JSON: OpenAI's training examples, its batch requests, and rows with the keys of a case."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from runner.document import Json, document_of
from runner.errors import InvalidFile, Problem
from runner.suite.case_files import strict_json
from runner.suite.imports.draft import Draft, ImportSource, case_problems
from runner.suite.imports.parameters import BatchParameters
from runner.suite.openai_messages import NotImportable, as_literal, has_reply, read_conversation
from runner.suite.schema import WAYS_TO_ASK, CaseSchema

OWN_KEYS = tuple(field.alias or name for name, field in CaseSchema.model_fields.items())
CHAT_URL = "/chat/completions"
_ITEM = re.compile(r"[^\s,]")
REPLY_LEFT = NotImportable("the reply at the end is not asked", "Compare replies with it by `checks` if that is wanted")


def draft_of_json(text: str, path: Path) -> Draft:
    """Return the draft of a .json file with one row or a list of rows, or of a .jsonl file with a row on each line.

    Raises:
        InvalidFile: the text is not valid JSON.

    """
    draft, parameters = Draft(path.parent), BatchParameters()
    for source in sources_of_json(text, path):
        try:
            _add(draft, parameters, source)
        except NotImportable as reason:
            draft.skip(source, reason)
    defaults = parameters.common_defaults(draft)
    if defaults:
        draft.head["defaults"] = defaults
    return draft


def sources_of_json(text: str, path: Path) -> Iterator[ImportSource]:
    """Yield the rows of a .jsonl file, or the items of a .json file.

    Raises:
        InvalidFile: the text is not valid JSON.

    """
    return _lines(text, path) if path.suffix.lower() == ".jsonl" else _items(text, path)


def _add(draft: Draft, parameters: BatchParameters, source: ImportSource) -> None:
    row = source.data
    if not isinstance(row, dict):
        raise NotImportable("this is no object in braces", "Write one object for each case")
    id_ = str(row.get("id") or row.get("custom_id") or f"line-{source.document.root.place.line}")
    if "body" in row:
        draft.add(_batch_case(row, parameters, source), id_, source)
    elif "id" in row and not case_problems(row, draft.folder):
        draft.add(_verbatim({key: value for key, value in row.items() if key != "id"}), id_, source)
    elif "messages" in row:
        if has_reply(row["messages"]):
            draft.skip(source, REPLY_LEFT)
        draft.skip_keys(source, row, ("id", "messages"), "Leave it out; what is sent to all belongs in `extra_body`")
        draft.add(_verbatim(read_conversation(row["messages"])), id_, source)
    elif any(way in row for way in WAYS_TO_ASK):
        draft.skip_keys(source, row, OWN_KEYS, f"Known are {', '.join(OWN_KEYS)}")
        case = {key: value for key, value in row.items() if key in OWN_KEYS and key != "id"}
        draft.add(_verbatim(case), id_, source)
    else:
        raise NotImportable("nothing here says what to ask", f"Write one of {', '.join(WAYS_TO_ASK)}")


def _batch_case(row: dict[str, Json], parameters: BatchParameters, source: ImportSource) -> dict[str, Json]:
    body, url = row["body"], str(row.get("url", CHAT_URL))
    if not url.endswith(CHAT_URL) or not isinstance(body, dict):
        raise NotImportable(f"this asks {url} and no chat", f"Only requests to {CHAT_URL} become cases")
    case = _verbatim(read_conversation(body.get("messages")))
    parameters.add(source.at("body"))
    return case


def _verbatim(case: dict[str, Json]) -> dict[str, Json]:
    """Return a case whose texts are no templates, unless it has variables to fill in."""
    if "vars" in case or "matrix" in case:
        return case
    return {key: _literal(value) if key in {*WAYS_TO_ASK, "system"} else value for key, value in case.items()}


def _literal(value: Json) -> Json:
    match value:
        case str():
            return as_literal(value)
        case list():
            return [_literal(item) for item in value]
        case dict():
            return {key: _literal(item) for key, item in value.items()}
    return value


def _lines(text: str, path: Path) -> Iterator[ImportSource]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _source(_parse(line, path, number), path, number)


def _items(text: str, path: Path) -> Iterator[ImportSource]:
    """Yield the items of a list, each with the line it starts on; any other value is one item."""
    items = _parse(text, path, 1)
    if not isinstance(items, list):
        yield _source(items, path, 1)
        return
    at, line, decoder = text.index("[") + 1, 1 + text.count("\n", 0, text.index("[")), json.JSONDecoder()
    for item in items:
        found = _ITEM.search(text, at)
        assert found is not None
        start = found.start()
        line += text.count("\n", at, start)
        yield _source(item, path, line)
        _, at = decoder.raw_decode(text, start)
        line += text.count("\n", start, at)


def _parse(text: str, path: Path, line: int) -> Json:
    try:
        return strict_json(text)
    except json.JSONDecodeError as error:
        place, what = (line + error.lineno - 1, error.colno), f"this is not JSON: {error.msg}"
    except (ValueError, RecursionError) as error:
        place, what = (line, 1), f"this cannot be read: {error}"
    raise InvalidFile([Problem(str(path), *place, what, "Correct it")])


def _source(row: Json, path: Path, line: int) -> ImportSource:
    return ImportSource(document_of(row, str(path), line))
