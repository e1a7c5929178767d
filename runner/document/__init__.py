"""Read, validate and write YAML files, and read JSON: plain JSON data with the line and column of every key and value.

The syntax is YAML with the scalars of YAML 1.2: `no`, `12:30`, `2024-01-01` and `017` are text. Repeated
keys, tags, merge keys and several documents in one file are refused, as are files built to exhaust memory.
Merge keys are resolved in files of other tools.

A file is read and then validated with a pydantic model; the error lists every mistake at once:

    document = read(Path("compare.yaml"))
    config = validate(document, Config)
    raise InvalidFile([document.problem(("providers", "acme"), "what is wrong", "What to do")])

A model's own validators raise a ValueError with the text `what is wrong. What to do`. A number stays as it is written
where the model expects text, so that a model called 1.10 stays 1.10.
"""

from runner.document.document_tree import Document, Json, Position, Route, document_of
from runner.document.read_files import read, read_bytes, read_lines, read_text
from runner.document.strict_json import parse_json, strict_json
from runner.document.validation import validate
from runner.document.yaml_parser import data_of, parse
from runner.document.yaml_stream import read_items
from runner.document.yaml_writer import write

__all__ = [
    "Document",
    "Json",
    "Position",
    "Route",
    "data_of",
    "document_of",
    "parse",
    "parse_json",
    "read",
    "read_bytes",
    "read_items",
    "read_lines",
    "read_text",
    "strict_json",
    "validate",
    "write",
]
