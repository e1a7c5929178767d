"""Import the variables of promptfoo's tests."""

from dataclasses import dataclass
from pathlib import Path

from runner.document.nodes import ScalarNode
from runner.suite.faults import NotImportable
from runner.suite.fill_templates import is_template
from runner.suite.imports.imported_suite import Draft, ImportSource, text_of
from runner.suite.imports.promptfoo.files import SCHEME, ending_of, named_document, named_files, named_text

TEXT_ENDINGS = frozenset(
    {"", ".css", ".diff", ".htm", ".html", ".log", ".markdown", ".md", ".rst", ".sql", ".tex", ".txt", ".xml"}
)
"""Endings of files whose text is a variable's value; promptfoo converts or runs files with other endings."""

WORDS = frozenset({"n", "no", "off", "on", "y", "yes"})
"""Words that promptfoo reads as texts, although some YAML parsers read them as truth values."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: its text, its texts for several cases, or why the cases that use it cannot be imported."""

    texts: tuple[str, ...] = ()
    is_list: bool = False
    is_text: bool = True
    """Whether it is written as a text; promptfoo computes with numbers and truth values."""
    fault: NotImportable | None = None


def read_variables(draft: Draft, source: ImportSource) -> dict[str, Variable]:
    """Return a test's variables: those written there, or in the files that it names.

    Raises:
        NotImportable: they are not a mapping, or a file of them cannot be used.

    """
    written = source.get("vars")
    if isinstance(written, dict):
        return {name: _read_variable(draft, source.at("vars", name), name) for name in written}
    if written is None:
        return {}
    variables: dict[str, Variable] = {}
    for place in source.at("vars").items():
        if not isinstance(place.data, str):
            raise NotImportable("this test's variables are not a mapping", "Write each with its name and its text")
        folder = Path(source.document.path).parent
        for name in named_files(place.data, draft, folder):
            whole = ImportSource(named_document(name, draft))
            if not isinstance(whole.data, dict):
                raise NotImportable(f"`{name}` holds no variables", "Write each with its name and its text")
            variables |= {key: _read_variable(draft, whole.at(key), key) for key in whole.data}
    return variables


def _read_variable(draft: Draft, source: ImportSource, name: str) -> Variable:
    items = source.items()
    is_list = isinstance(source.data, list)
    if fault := _fault_of_list(items, name):
        return Variable(fault=fault)
    try:
        texts = tuple(text for item in items for text in _texts(draft, item, name))
    except NotImportable as reason:
        return Variable(fault=reason)
    return Variable(texts, is_list or len(texts) > 1, all(map(_is_text, items)))


def _fault_of_list(items: list[ImportSource], name: str) -> NotImportable | None:
    if not items:
        return NotImportable(f"the variable `{name}` is an empty list", "Write a text in it")
    if isinstance(items[0].route[-1], int) and not _is_text(items[0]):
        return NotImportable(
            f"the variable `{name}` is a list that promptfoo fills in as a whole, as its first item is no text",
            "Put its items in quotes for several cases",
        )
    return None


def _is_text(source: ImportSource) -> bool:
    node = source.document.node(source.route)
    return isinstance(node, ScalarNode) and (isinstance(node.value, str) or str(node.written).lower() in WORDS)


def _printed(source: ImportSource) -> str | None:
    """Return a number or truth value as promptfoo fills it in: 1.10 as 1.1, True as true."""
    value = source.data
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value) if isinstance(value, int | float) and "e" not in repr(value) else text_of(source)


def _texts(draft: Draft, source: ImportSource, name: str) -> list[str]:
    text = text_of(source) if _is_text(source) else _printed(source)
    if text is None:
        raise NotImportable(f"the variable `{name}` is not text", "Write a text, or a list of texts for several cases")
    texts = [text.removesuffix("\n")]
    if text.startswith(SCHEME):
        texts = [_text_in_file(file, name, draft) for file in named_files(text, draft)]
    if any(map(is_template, texts)):
        raise NotImportable(f"the variable `{name}` holds a template itself", "Write its text out")
    return texts


def _text_in_file(file: str, name: str, draft: Draft) -> str:
    if ending_of(file) not in TEXT_ENDINGS:
        what = f"the variable `{name}` stands for the file `{file}`, which is not plain text"
        raise NotImportable(what, "Write its text out, or into a .txt file")
    return named_text(file, draft).strip()
