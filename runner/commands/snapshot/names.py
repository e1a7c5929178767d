"""File names for cases and targets: any name becomes one that every file system keeps apart, and can be had back.

Small letters, digits, `-`, `_`, `.` and letters without case, such as Chinese, stand for themselves. A capital letter
is `^` and its small one, since disks of macOS and Windows take `A` and `a` for the same. All else is `%` and two digits
a byte. `+` never comes out of it, so that it can separate.
"""

import re
from unicodedata import normalize

from runner.errors import CompareError

MAX_BYTES = 200
"""Most file systems take 255 bytes a name."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)")
_ESCAPED = re.compile(r"\^([a-z])|((?:%[0-9a-f]{2})+)")


def escape(name: str) -> str:
    """Turn a name into a file's; raise CompareError if that would be too long."""
    escaped = "".join(map(_escape_character, name))
    if _WINDOWS_DEVICES.match(escaped) or escaped.startswith("."):
        escaped = _as_bytes(escaped[0]) + escaped[1:]
    if escaped.endswith("."):
        escaped = escaped[:-1] + _as_bytes(".")
    if len(escaped.encode()) > MAX_BYTES:
        raise CompareError(f"`{name[:40]}...` is too long for a file's name; shorten it to keep a snapshot of it")
    return escaped


def unescape(escaped: str) -> str:
    """Return the name that was escaped."""
    return _ESCAPED.sub(lambda match: match[1].upper() if match[1] else _from_bytes(match[2]), escaped)


def _escape_character(character: str) -> str:
    if character in _PLAIN:
        return character
    if character.isascii() and character.isupper():
        return f"^{character.lower()}"
    return character if _is_alike_everywhere(character) else _as_bytes(character)


def _is_alike_everywhere(character: str) -> bool:
    """Tell whether a letter beyond ASCII has no other case, and no other form that a disk might store instead."""
    forms = {character, character.lower(), character.upper(), *(normalize(form, character) for form in ("NFD", "NFKC"))}
    return not character.isascii() and character.isalpha() and forms == {character}


def _as_bytes(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogatepass"))


def _from_bytes(escaped: str) -> str:
    return bytes.fromhex(escaped.replace("%", "")).decode(errors="surrogatepass")
