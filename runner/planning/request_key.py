"""The digest of a request's content: equal content has an equal key, in every version."""

import json
from hashlib import sha256
from typing import Any

from runner.core.attachment_parts import sent_content
from runner.core.changed_fields import changed_fields
from runner.core.suite import Message

_ALWAYS_KEYED = frozenset(
    {
        *("system", "temperature", "max_tokens", "top_p", "seed", "stop", "thinking", "stream", "cache"),
        *("timeouts", "connect", "first_token", "idle", "total", "extra_body", "role", "content"),
    }
)
"""Fields of parameters, timeouts and messages that are in every request's key. Any other field is in the key only if it
differs from its default: so a new field changes no key, and older runs can be resumed."""


def _keyed_fields(value: Any) -> dict[str, object]:
    """Return the fields of a dataclass that a request's key digests."""
    # The reply limit is not sent: a run can be resumed with another one.
    keyed = changed_fields(value, always=_ALWAYS_KEYED, never=("reply_limit",))
    if isinstance(value, Message) and keyed.pop("parts", None):
        keyed["content"] = sent_content(value.content, value.parts)
    return keyed


encode = json.JSONEncoder(sort_keys=True, default=_keyed_fields).encode
"""Return plain data and dataclasses as the JSON that keys digest: with sorted keys."""


def digest(content: object, **encoded: str) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of plain data and dataclasses, as JSON with sorted keys.

    Args:
        content: the data; a mapping if there are `encoded` members.
        encoded: further members of the mapping, as `encode` has returned their values.

    """
    if not isinstance(content, dict):
        return _digest_text(encode(content))
    members = {name: encode(value) for name, value in content.items()} | encoded
    return _digest_text("{" + ", ".join(f"{encode(name)}: {members[name]}" for name in sorted(members)) + "}")


def _digest_text(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
