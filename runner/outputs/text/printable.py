"""Text from outside made fit to be looked at: it cannot drive a terminal, break a table or turn a line around.

Only what people look at goes through here; CSV and JSON keep every character.
"""

import re

from wcwidth import wcwidth

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_BIDI_CONTROLS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {
    **_PICTURES,
    0x7F: "\u2421",
    **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), *_BIDI_CONTROLS), "\ufffd"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """Show control characters instead of obeying them; every line end becomes a newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)


def one_line(text: str, columns: int | None = None) -> str:
    """Fold text into one line, cut to a width in terminal columns, of which a Chinese character takes two."""
    line = " ".join(printable(text).split())
    return line if columns is None else _cut(line, columns)


def _cut(line: str, columns: int) -> str:
    width, end = 0, None
    for at, character in enumerate(line):
        width += max(wcwidth(character), 0)
        if end is None and width >= columns:
            end = at
        if width > columns:
            return line[:end].rstrip() + "…"
    return line


def escape_surrogates(json_text: str) -> str:
    r"""Write half a surrogate pair, which UTF-8 cannot hold, as JSON's `\uXXXX`, which can."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
