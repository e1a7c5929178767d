"""Escaping of text from outside: for people to look at, for XML, for JSON and for spreadsheets.

Text that people look at goes through `printable` or `one_line`, so that it cannot drive a terminal, break a table or
reverse a line's direction. CSV and JSON keep every character.
"""

import json
import re

_INNER_START = re.compile("(?<=[;,\t\n\r])(?=[ \u00a0\"]*[=+@\t\r'-])")
_INNER_ESCAPE = re.compile("(?<=[;,\t\n\r])'")
_RISKY_START = re.compile("[ \u00a0]*[=+@\t\r'-]")
"""What a spreadsheet would not show as it is at the start of a cell; such text gets a `'` in front."""

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_BIDI_CONTROLS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_REPLACEMENTS = {
    **_CONTROL_PICTURES,
    0x7F: "\u2421",
    **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), *_BIDI_CONTROLS), "\ufffd"),
}
_CONTROL = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that drive a terminal, and that JSON may hold as they are."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold, not even escaped; a class of those that it can takes 4 ms to compile."""


def printable(text: str) -> str:
    """Replace control characters by visible ones, and every line end by a newline."""
    if text.isprintable():
        return text  # nothing of it is replaced; nearly all texts are, and translating one takes time
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_REPLACEMENTS)


def one_line(text: str, columns: int | None = None) -> str:
    """Make text printable and fold it into one line.

    `columns` cuts the line to a width in terminal columns; a Chinese character takes two.
    """
    line = " ".join(printable(text).split())
    return line if columns is None else _cut(line, columns)


def _cut(line: str, columns: int) -> str:
    from wcwidth import wcwidth  # noqa: PLC0415 -- `compare --help` cuts nothing

    width, end = 0, None
    for at, character in enumerate(line):
        width += max(wcwidth(character), 0)
        if end is None and width >= columns:
            end = at
        if width > columns:
            return line[:end].rstrip() + "…"
    return line


def escape_formulas(text: str) -> str:
    """Put a `'` wherever a spreadsheet may see the start of a cell and take what follows for a formula.

    That is the text's own start, and inside it behind each semicolon, comma, tab and line end: a spreadsheet that
    splits lines at semicolons, as Excel does in much of Europe, ends a quoted cell of a comma-separated file there.
    `unescape_formulas` is the exact reverse.
    """
    inner = _INNER_START.sub("'", text)
    return "'" + inner if _RISKY_START.match(text) else inner


def unescape_formulas(escaped: str) -> str:
    """Return the text that `escape_formulas` escaped."""
    return _INNER_ESCAPE.sub("", escaped).removeprefix("'")


def xml_text(text: str) -> str:
    """Replace the characters that XML cannot hold. `<` and `&` are left to the XML writer."""
    return _NOT_XML.sub("\ufffd", text)


def dump_json(value: object, indent: int | None = 2) -> str:
    """Return a value as JSON in which every character is kept, and that UTF-8 can encode; NaN is refused."""
    return escape_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent))


def escape_controls(json_text: str) -> str:
    r"""Write characters that drive a terminal, and half surrogate pairs, as JSON's `\uXXXX`; the values stay."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", escape_surrogates(json_text))


def escape_surrogates(json_text: str) -> str:
    r"""Write each half of a surrogate pair, which UTF-8 cannot encode, as JSON's `\uXXXX`."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
