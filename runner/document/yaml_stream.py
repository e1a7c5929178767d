"""Read the items of a long YAML list one by one, without holding the whole file in memory."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from runner.document.document_tree import START, Document, invalid_file
from runner.document.read_files import file_errors
from runner.document.yaml_errors import explain
from runner.document.yaml_parser import LOADER, Composer, data_of, position_of
from runner.errors import InvalidFile, Problem


def read_items(path: Path, key: str) -> Iterator[Document | Problem]:
    """Yield the items of the list in a YAML file, or of the list under `key`, each as a document or as its problem.

    Each item has the limits of a YAML file. An anchor (`&x`) is known only within its item.

    Raises:
        InvalidFile: the file cannot be read, is not valid YAML from some point on, or holds no list.

    """
    name = str(path)
    with file_errors(path), path.open("rb") as file:
        try:
            yield from _items(yaml.parse(file, Loader=LOADER), name, key)
        except yaml.reader.ReaderError as error:
            what = f"this is not text in UTF-8 that YAML may hold: {error.reason}"
            raise invalid_file(name, START, what, "Save the file as UTF-8") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise InvalidFile([explain(error, "", name)]) from None


def _items(events: Iterator[yaml.Event], name: str, key: str) -> Iterator[Document | Problem]:
    _skip_to_list(events, name, key)
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        composer = Composer(events, name)
        try:
            root = composer.item(event)
            if composer.problems:
                yield from composer.problems
            else:
                yield Document(name, data_of(root, name, foreign=True), root)
        except InvalidFile as error:
            yield from error.problems
            if not composer.is_complete:
                return
    for event in events:
        if isinstance(event, yaml.ScalarEvent):
            what = f"`{event.value[:40]}` stands beside the list of cases"
            raise invalid_file(
                name, position_of(event), what, f"Keep nothing but `{key}` in this file; the rest belongs in the suite"
            )


def _skip_to_list(events: Iterator[yaml.Event], name: str, key: str) -> None:
    """Read events up to the start of the list."""
    hint = f"Write a list of cases, or `{key}:` above it"
    for event in events:
        match event:
            case yaml.StreamStartEvent() | yaml.DocumentStartEvent() | yaml.MappingStartEvent():
                continue
            case yaml.SequenceStartEvent():
                return
            case yaml.ScalarEvent() if event.value == key:
                continue
            case yaml.StreamEndEvent():
                raise invalid_file(name, position_of(event), "the file is empty", hint)
        found = f", but `{event.value[:40]}`" if isinstance(event, yaml.ScalarEvent) else ""
        raise invalid_file(name, position_of(event), f"here is no list of cases{found}", hint)
