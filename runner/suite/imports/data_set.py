"""Import a file of rows in any recognised form: a table, JSON lines, or a JSON or YAML list."""

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.checks.tool_calls import is_arguments_schema
from runner.document import Json
from runner.errors import InvalidFile, Problem
from runner.suite.errors import NotImportable
from runner.suite.expectations import TEMPLATES
from runner.suite.fill_templates import EXPECTED, as_literal, is_template
from runner.suite.imports.draft_suite import Draft, ImportSource, case_problems, parameter_fault
from runner.suite.openai_rows import PARAMETERS, RESERVED_KEYS, batch_case, has_reply, is_batch
from runner.suite.recognise_columns import OWN_KEYS, ColumnNames
from runner.suite.row_files import FileRow, column_problems, read_rows, recognised_case
from runner.suite.schema import WAYS_TO_ASK
from runner.suite.schema_parts import KINDS, OVERRIDES

MAX_UNREADABLE = 20
"""Reading stops after this many rows that cannot be read."""

PROMPTFOO = "if this is promptfoo's, import the promptfooconfig.yaml that names it"
_TEMPLATE_KEYS = frozenset({"content", "text", *KINDS})
"""Members of messages and of their parts that are templates in a suite."""

REPLY_LEFT = NotImportable("the reply at the end is not asked", "It is kept as `expected`, for checks")


def _common_defaults(bodies: Sequence[ImportSource], draft: Draft) -> dict[str, Json]:
    """Return a suite's defaults with the values that all requests of a batch share; note the others as skipped."""
    defaults: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, sources in sorted(_members_by_key(bodies).items()):
        values = {json.dumps(source.data, sort_keys=True) for source in sources}
        if key == "model":
            for source in sources:
                what = f"`model: {source.data}` does not tell whose model it is"
                draft.skip(source, NotImportable(what, "Name it on the command line: -m PROVIDER/MODEL"))
        elif len(values) > 1 or len(sources) < len(bodies):
            what = f"`{key}` is not the same in all requests"
            draft.skip(sources[0], NotImportable(what, "Write it for single targets, or split the file"))
        elif key in PARAMETERS and parameter_fault(PARAMETERS[key], sources[0].data) is None:
            defaults[PARAMETERS[key]] = sources[0].data
        else:
            extra[key] = sources[0].data
    return defaults | ({"extra_body": extra} if extra else {})


def _members_by_key(bodies: Sequence[ImportSource]) -> dict[str, list[ImportSource]]:
    by_key: dict[str, list[ImportSource]] = {}
    for body in bodies:
        assert isinstance(body.data, dict)
        for key in body.data.keys() - RESERVED_KEYS - {*OVERRIDES}:
            by_key.setdefault(key, []).append(body.at(key))
    return by_key


def draft_of_rows(path: Path, names: ColumnNames) -> Draft:
    """Return the draft of a file of rows.

    Raises:
        InvalidFile: rows cannot be read, or nothing says what to ask; the error lists all of them, up to a bound.

    """
    draft, bodies, unreadable = Draft(path.parent), list[ImportSource](), list[Problem]()
    for row in read_rows(path):
        if isinstance(row, Problem):
            unreadable.append(row)
            if len(unreadable) >= MAX_UNREADABLE:
                break
        elif row.columns is not None:
            _check_columns(row, names)
        else:
            _add_row(draft, bodies, row, names)
    if unreadable:
        raise InvalidFile(unreadable)
    if defaults := _common_defaults(bodies, draft) | _shared_keys(draft.cases):
        draft.head["defaults"] = defaults
    return draft


def _shared_keys(cases: list[dict[str, Json]]) -> dict[str, Json]:
    """Remove the tools and the form of the reply from the cases if all have the same ones, and return them."""
    shared: dict[str, Json] = {}
    for key in OVERRIDES:
        if len(cases) > 1 and all(key in case and case[key] == cases[0][key] for case in cases):
            shared[key] = cases[0][key]
            for case in cases:
                del case[key]
    return shared


def _check_columns(row: FileRow, names: ColumnNames) -> None:
    is_promptfoo = any(column.startswith("__") for column in row.columns or ())
    named = replace(names, hint=PROMPTFOO) if is_promptfoo else names
    problems = [*column_problems(row, named, is_strict=False)]
    if not problems and is_promptfoo and names.prompt is None:
        hint = f"{PROMPTFOO[:1].upper()}{PROMPTFOO[1:]}; else {names.hint}"
        problems.append(row.problem(NotImportable("columns such as `__expected` are promptfoo's", hint)))
    if problems:
        raise InvalidFile(problems)


def _add_row(draft: Draft, bodies: list[ImportSource], row: FileRow, names: ColumnNames) -> None:
    source, data = ImportSource(row.document), row.document.data
    with draft.skipping(source):
        if isinstance(data, dict) and is_batch(data):
            id_, case = data.get("custom_id"), batch_case(data)
            bodies.append(source.at("body"))
        elif isinstance(data, dict) and _is_whole_case(data, draft):
            id_, case = str(data["id"]), {key: value for key, value in data.items() if key != "id"}
        else:
            recognised = recognised_case(row, names)
            id_, case = recognised.id, recognised.keys
            if isinstance(data, dict) and has_reply(data.get("messages")):
                draft.skip(source, REPLY_LEFT)
            for column in recognised.left_out:
                what = f"the column `{column[:60]}` has no counterpart"
                draft.skip(source, NotImportable(what, _columns_hint(names)))
        draft.add(_with_texts(case, as_literal), str(id_ or f"line-{row.line}"), source)


def _columns_hint(names: ColumnNames) -> str:
    own = f"Known are {', '.join(OWN_KEYS)}"
    return own if names.prompt else f"{own}, and the columns that docs/data.md names"


def _is_whole_case(data: Mapping[str, Json], draft: Draft) -> bool:
    """Return whether a row is a case of a suite and has no other columns."""
    is_own = "id" in data and data.keys() <= {*OWN_KEYS} and "messages" not in data
    return is_own and not case_problems({**data}, draft.folder)


def _with_texts(case: Mapping[str, Json], change: Callable[[str], str]) -> dict[str, Json]:
    """Return a case with each text changed that a suite would read as a template.

    A case that has variables to fill in stays as it is; one with a reference answer keeps the texts of its checks.
    """
    values = case.get("vars")
    names = {*values} if isinstance(values, dict) else set()
    if "matrix" in case or names - {EXPECTED}:
        return {**case}
    asked = {*WAYS_TO_ASK, "system"}
    changed = {key: _map_texts(value, change, _TEMPLATE_KEYS) if key in asked else value for key, value in case.items()}
    results, checks = case.get("tool_results"), case.get("checks")
    if isinstance(results, dict):
        changed["tool_results"] = {
            name: change(each) if isinstance(each, str) else each for name, each in results.items()
        }
    if not names and isinstance(checks, dict):
        texts = {name: _map_texts(each, change) if name in TEMPLATES else each for name, each in checks.items()}
        changed["checks"] = texts | ({"calls": _map_texts_of_calls(texts["calls"], change)} if "calls" in texts else {})
    return changed


def _map_texts(value: Json, change: Callable[[str], str], keys: Container[str] | None = None) -> Json:
    """Return a value with each text in it changed; in mappings, only texts under `keys`, or all if that is None."""
    match value:
        case str():
            return change(value)
        case list():
            return [_map_texts(item, change, keys) for item in value]
        case dict():
            changes = {key for key in value if keys is None or key in keys}
            return {key: _map_texts(item, change, keys) if key in changes else item for key, item in value.items()}
    return value


def _map_texts_of_calls(wanted: Json, change: Callable[[str], str]) -> Json:
    """Return wanted calls with the texts among their arguments changed, except those of a JSON Schema."""
    if isinstance(wanted, list):
        return [_map_texts_of_calls(each, change) for each in wanted]
    arguments = wanted.get("arguments") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or not isinstance(arguments, dict) or is_arguments_schema(arguments):
        return wanted
    return {key: _map_texts(each, change) if key == "arguments" else each for key, each in wanted.items()}


def rows_of_draft(draft: Draft) -> Iterator[dict[str, Json]]:
    """Return the draft's cases as rows of a case file, in which a text is a template only if the case has variables."""
    return (_with_texts(case, _filled_text) for case in draft.cases)


def _filled_text(text: str) -> str:
    """Return the text of a template without variables."""
    if not is_template(text):
        return text
    from runner.suite.template_language import read_template  # noqa: PLC0415 -- brings jinja2

    return read_template(text).fill({})
