"""The limit of a reply: the bytes after which it is given up, so that no server decides how much memory a run needs."""

import re

MEBIBYTE = 1024 * 1024
REPLY_LIMIT = 16 * MEBIBYTE
"""Bytes that a reply may have unless the user sets another limit."""

LARGEST_REPLY_LIMIT = 64 * MEBIBYTE
"""The highest limit that can be set. No recording holds more, either."""

_SIZE = re.compile(r"([0-9]{1,9})[ ]?(B|kB|KiB|MB|MiB|)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kb": 1000, "kib": 1024, "mb": 1_000_000, "mib": MEBIBYTE}


def parse_reply_limit(text: str) -> int:
    """Return the bytes of a size such as `500kB`, `32MiB` or `1000000`; raise ValueError for any other text."""
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 0 < size <= LARGEST_REPLY_LIMIT:
        raise ValueError(f"`{text}` is not a reply limit. Write a size up to 64MiB, such as 500kB or 32MiB")
    return size


def describe_size(size: int) -> str:
    """Return a number of bytes with its unit, as it is written in a suite."""
    return f"{size // MEBIBYTE} MiB" if size % MEBIBYTE == 0 else f"{size:,} bytes"
