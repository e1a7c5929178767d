"""Escaping of text from outside for display, XML, JSON and spreadsheets.

Displayed text goes through `printable` or `one_line`, so that it cannot drive a terminal, break a table or reverse the
direction of a line. CSV and JSON keep every character.
"""

import re

from runner.core.surrogates import escape_surrogates

_INNER_START = re.compile("(?<=[;,\t\n\r])(?=[ \u00a0\"]*[=+@\t\r'-])")
_INNER_ESCAPE = re.compile("(?<=[;,\t\n\r])'")
_RISKY_START = re.compile("[ \u00a0]*[=+@\t\r'-]")
"""Start of a cell that a spreadsheet would not show literally; such text gets a `'` in front."""

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_BIDI_CONTROLS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_REPLACEMENTS = {
    **_CONTROL_PICTURES,
    0x7F: "\u2421",
    **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), *_BIDI_CONTROLS), "\ufffd"),
}
_CONTROL = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that can drive a terminal and that JSON may hold unescaped."""
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold, even escaped. The complementary pattern would take 4 ms to compile."""


def printable(text: str) -> str:
    """Return text with control characters replaced by visible ones, and every line end by a newline."""
    if text.isprintable():
        return text  # the common case; translate is slow
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_REPLACEMENTS)


def one_line(text: str, columns: int | None = None) -> str:
    """Return printable text on one line, with each run of white space replaced by a space.

    The line is cut to `columns`, its width on a terminal, where a Chinese character takes two columns.
    """
    line = " ".join(printable(text).split())
    return line if columns is None else _cut(line, columns)


def _cut(line: str, columns: int) -> str:
    from wcwidth import wcwidth  # noqa: PLC0415 -- `compare --help` does not need it

    width, end = 0, None
    for at, character in enumerate(line):
        width += max(wcwidth(character), 0)
        if end is None and width >= columns:
            end = at
        if width > columns:
            return line[:end].rstrip() + "…"
    return line


def escape_formulas(text: str) -> str:
    """Return text with a `'` wherever a spreadsheet may see the start of a cell that contains a formula.

    A cell may start at the start of the text, and after each semicolon, comma, tab and line end inside it. A
    spreadsheet that splits lines at semicolons, as Excel does in much of Europe, ends a quoted cell of a
    comma-separated file there. `unescape_formulas` is the exact inverse.
    """
    inner = _INNER_START.sub("'", text)
    return "'" + inner if _RISKY_START.match(text) else inner


def unescape_formulas(escaped: str) -> str:
    """Return the text that `escape_formulas` escaped."""
    return _INNER_ESCAPE.sub("", escaped).removeprefix("'")


def xml_text(text: str) -> str:
    """Return text with the characters that XML cannot hold replaced. The XML writer escapes `<` and `&`."""
    return _NOT_XML.sub("\ufffd", text)


def dump_json(value: object, indent: int | None = 2) -> str:
    """Return a value as JSON that keeps every character and that UTF-8 can encode.

    Raises:
        ValueError: a number is NaN or infinite.

    """
    import json  # noqa: PLC0415 -- `compare --help` does not need it

    return escape_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent))


def escape_controls(json_text: str) -> str:
    r"""Return JSON of the same values with terminal control characters and lone surrogates written as `\uXXXX`."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", escape_surrogates(json_text))
