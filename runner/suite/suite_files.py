"""Read the files with prompts, tools, schemas and results, and the attachments, that a suite names, each once."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from runner.document import Document, Json, Route, document_of, parse, parse_json, strict_json, validate
from runner.errors import InvalidFile, Problem
from runner.suite.attachments import AttachmentReader
from runner.suite.errors import UnusableFile
from runner.suite.read_named_file import read_named_text
from runner.suite.schema import CaseSchema, DefaultsSchema, JudgeSchema, ParametersSchema, TargetSchema
from runner.suite.schema_parts import ToolSchema, ToolsFile

Layer = TypeVar("Layer", ParametersSchema, DefaultsSchema, TargetSchema, CaseSchema, JudgeSchema)

SHORT_FORM = frozenset({"type", "json_schema", "name", "description", "strict"})
"""Keys of a `response_format` whose `json_schema` is a file."""


@dataclass(slots=True)
class SuiteFiles:
    """The files beside a suite that its prompts, tools, schemas and results are in."""

    folder: Path
    names: dict[str, None] = field(default_factory=dict)
    """The paths of the files that were read, in the order in which they were named."""
    attachments: AttachmentReader = field(init=False)
    _tools: dict[str, tuple[ToolSchema, ...]] = field(default_factory=dict)
    _schemas: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attachments = AttachmentReader(self.folder)

    def text(self, name: str) -> str:
        """Return the text of a file without the line end at its end.

        Raises:
            UnusableFile: the file cannot be used.

        """
        self.names[str(self.folder / name)] = None
        return read_named_text(self.folder, name).removesuffix("\n").removesuffix("\r")

    def document(self, name: str) -> Document:
        """Return the data of a .json or .yaml file.

        Raises:
            UnusableFile: it cannot be read.
            InvalidFile: it is not JSON or YAML.

        """
        text, path = self.text(name), str(self.folder / name)
        if Path(name).suffix.lower() != ".json":
            return parse(text, path)
        return document_of(parse_json(text, path), path, 1)

    def tools(self, written: str) -> tuple[ToolSchema, ...]:
        """Return the tools in a file, or in a text that is itself a list, such as a cell of a table."""
        if written not in self._tools:
            is_list = written.lstrip().startswith("[")
            document = document_of(_read_list(written), "tools", 1) if is_list else self.document(written)
            self._tools[written] = validate(document, ToolsFile).root
        return self._tools[written]

    def schema(self, name: str) -> Json:
        """Return the JSON Schema in a file.

        Raises:
            UnusableFile: the file cannot be read, or is not a JSON Schema.
            InvalidFile: the file is not JSON or YAML.

        """
        from runner.checks.json_schema import schema_fault  # noqa: PLC0415 -- brings jsonschema

        if name not in self._schemas:
            schema = self.document(name).require_valid().data
            fault = schema_fault(schema) if isinstance(schema, dict) else "it is no object"
            if fault:
                raise UnusableFile(f"`{name}` is not a JSON Schema: {fault.replace('. ', ', ')}", "Correct it")
            self._schemas[name] = schema
        return self._schemas[name]

    def response_format(self, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a `response_format` in chat completions' form, with the schema in place of the file's name.

        Raises:
            UnusableFile: the schema's file cannot be used, or a member does not belong beside it.
            InvalidFile: the file is not JSON or YAML.

        """
        name = written.get("json_schema")
        if not isinstance(name, str):
            return written
        unknown = sorted(written.keys() - SHORT_FORM)
        if unknown or written.get("type", "json_schema") != "json_schema":
            known = ", ".join(sorted(SHORT_FORM - {"type"}))
            raise UnusableFile(
                f"`{unknown[0] if unknown else 'type'}` does not belong beside a `json_schema` in a file",
                f"Known are {known}",
            )
        described = {key: written[key] for key in ("name", "description", "strict") if key in written}
        schema = {"name": _schema_name(name), **described, "schema": self.schema(name)}
        return {"type": "json_schema", "json_schema": schema}

    def fill_in(self, layer: Layer, document: Document, route: Route) -> tuple[Layer, Sequence[Problem]]:
        """Return parameters with file names replaced by the files' contents, and the problems with the files."""
        found: dict[str, Any] = {}
        problems: list[Problem] = []

        def fill(key: str, read: Callable[[Any], Any]) -> None:
            try:
                found[key] = read(getattr(layer, key))
            except UnusableFile as error:
                problems.append(document.problem((*route, key), error.what, error.hint))
            except InvalidFile as error:
                problems.extend(error.problems)

        if isinstance(layer.tools, str):
            found["tools"] = ()  # the file cannot be read; the rest is checked without it
            fill("tools", self.tools)
        if layer.response_format is not None:
            fill("response_format", self.response_format)
        if variants := getattr(layer, "variants", None):
            filled = {
                name: self.fill_in(variant, document, (*route, "variants", name)) for name, variant in variants.items()
            }
            found["variants"] = {name: variant for name, (variant, _) in filled.items()}
            problems += [problem for _, below in filled.values() for problem in below]
        return (layer.model_copy(update=found) if found else layer), problems

    def result(self, written: Json) -> str:
        """Return the text of a tool's result: a text as it is, a file's text, any other value as JSON."""
        if isinstance(written, str):
            return written
        if isinstance(written, Mapping) and written.keys() == {"file"} and isinstance(written["file"], str):
            return self.text(written["file"])
        return json.dumps(written, ensure_ascii=False)


def _read_list(text: str) -> Json:
    try:
        return strict_json(text)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"these tools are not JSON: {error}", "Correct them, or name a file") from None


def _schema_name(file: str) -> str:
    """Return a name for a file's schema, of the letters that providers allow in it."""
    stem = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in Path(file).stem)
    return stem.strip("_")[:64] or "reply"
