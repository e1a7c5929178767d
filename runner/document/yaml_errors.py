"""Explain the errors of PyYAML's parser in terms of the file."""

import re

import yaml

from runner.document.document_tree import START, Position
from runner.errors import Problem

_QUOTE = "Put the whole value in quotes"
QUOTE_BRACES = "Put a text that starts with `{{` in quotes, such as '{{name}} ...'"

_ESCAPE = (
    "a backslash has a meaning between double quotes, and this is none",
    "Use single quotes, in which a backslash is plain, or write two backslashes",
)
_EXPLANATIONS = {
    "mapping values are not allowed": (
        "a second colon on this line, or a line indented too far",
        "Put a text that holds a colon and a space in quotes; align the keys of one mapping",
    ),
    "sequence entries are not allowed": ("a list item cannot start here", "Start the list on a line of its own"),
    r"character '\t'": ("a tab stands where only spaces may", "Indent with spaces"),
    "cannot start any token": ("no value can start with this character, unless it is quoted", _QUOTE),
    "could not find expected ':'": (
        "this line is neither a key with its value nor part of a text",
        "Write `key: value`, or indent the lines of a text below its key",
    ),
    "unexpected end of stream": ("the quoted text that starts here has no end", "Add the closing quote"),
    "unknown escape character": _ESCAPE,
    "expected escape sequence": _ESCAPE,
    "while parsing a flow": (
        "a comma or the closing bracket is missing after this bracket",
        "Close the bracket, or put the value in quotes if it is a text",
    ),
    "while scanning a block scalar": ("`|` or `>` must end its line", "Start the text on the next line, or quote it"),
    "while scanning an anchor": ("a value that starts with `&` names itself, and this is not a name", _QUOTE),
    "while scanning an alias": ("a value that starts with `*` repeats a named one, and this is not a name", _QUOTE),
    "found '-'": ("a list item stands where a key is expected", "Indent the list below its key"),
    "found '?'": ("a key stands where a list item is expected", "Align it with its neighbours, or start it with `- `"),
    "found '<scalar>'": ("text goes on after the end of the value", _QUOTE),
    "found '<block mapping start>'": ("a key is indented unlike its neighbours", "Align the keys of one mapping"),
    "found '<block sequence start>'": ("a list item is indented unlike its neighbours", "Align the items of one list"),
    "expected the node content": ("no value can start with this character, unless it is quoted", _QUOTE),
}
_NONEXISTENT_CHARACTER = re.compile(r"\\U(?!000[0-9A-F]|0010)[0-9A-F]{8}", re.IGNORECASE)


def explain(error: yaml.YAMLError | ValueError | OverflowError, text: str, path: str) -> Problem:
    """Return a problem that explains an error of PyYAML's parser."""
    if isinstance(error, yaml.reader.ReaderError):
        return _bad_character(error.position, text, path)
    if not isinstance(error, yaml.MarkedYAMLError):
        return _impossible_character(text, path)
    message = f"{error.context or ''} {error.problem or ''}"
    position = _position(error, message)
    fallback = (f"this is not YAML: {error.problem}", "Look at the lines around it")
    what, hint = next((found for part, found in _EXPLANATIONS.items() if part in message), fallback)
    line = text.split("\n")[position.line - 1 :][:1]
    if line and re.search(r"[:-]\s+\{\{", line[0]):
        what, hint = "a text that starts with `{{` is not quoted", QUOTE_BRACES
    return Problem(path, position.line, position.column, what, hint)


def _position(error: yaml.MarkedYAMLError, message: str) -> Position:
    """Return the position of the mistake; for something without an end, the position where it starts."""
    unclosed = message.startswith(("while scanning a", "while parsing a flow")) and "escape" not in message
    mark = (error.context_mark if unclosed else None) or error.problem_mark
    return Position(mark.line + 1, mark.column + 1) if mark else START


def _impossible_character(text: str, path: str) -> Problem:
    escape = _NONEXISTENT_CHARACTER.search(text)
    position = _position_at(escape.start() if escape else 0, text)
    what = "this escape names a character that does not exist"
    return Problem(path, position.line, position.column, what, "Write the character itself")


def _bad_character(offset: int, text: str, path: str) -> Problem:
    position = _position_at(offset, text)
    what = f"the character U+{ord(text[offset]):04X} is not allowed in YAML"
    hint = 'Remove it, or write it as an escape between double quotes, such as "\\x1b"'
    return Problem(path, position.line, position.column, what, hint)


def _position_at(offset: int, text: str) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - before.rfind("\n"))
