"""A check that the suite `complete` brings along."""

from typing import Any


def is_short(record: Any) -> bool | str:
    """Return True for a short reply, else why it fails."""
    return True if len(record.reply) < 400 else "too long"
