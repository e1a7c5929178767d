"""One attempt as it was heard: a label, and reads with their stamps. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from runner.core.events import Failed, Outcome

Reads = Sequence[tuple[int, bytes]]
"""Pairs of a stamp in nanoseconds and the bytes of the body that a read brought."""

NONCE = re.compile(r"\[[0-9a-f]{12}\] ")
"""What `cache: bust` begins a conversation with; it differs from run to run, and says nothing."""

UNKEPT_HEADERS = frozenset({"set-cookie", "openai-organization", "openai-project"})
"""Headers of a response that are a secret between two, or tell whose account was used."""


@dataclass(frozen=True, slots=True)
class Label:
    """All of a recording but its reads. Stamps are of the clock that heard it, None where there was no such moment."""

    key: str
    attempt: int
    provider: str
    model: str
    conversation: str
    """By which the same question is known when it is asked again: see `conversation_digest`."""
    epoch_ns: int
    sent_ns: int | None = None
    status: int | None = None
    """None where no answer began."""
    headers: Mapping[str, str] = field(default_factory=dict)
    headers_ns: int | None = None
    closed_ns: int | None = None
    """When it was clear that nothing more would be heard; None if no answer began, or the run was interrupted."""
    failed: Failed | None = None
    """What ended the attempt that its bytes do not tell: a timer, the connection, an interrupted run."""
    flags: tuple[str, ...] = ()
    """What the row's flags held beside those that the body tells."""
    warmup: bool = False
    withheld: bool = False
    """Whether the reads are missing because a key is scattered among them."""

    @property
    def target(self) -> str:
        """Who was asked, as it is written everywhere."""
        return f"{self.provider}/{self.model}"

    @property
    def is_interrupted(self) -> bool:
        """Whether the run ended before the attempt did: nobody knows what would have come."""
        return self.failed is not None and self.failed.outcome is Outcome.CANCELLED


def conversation_digest(model: str, said: Iterable[tuple[str, str]]) -> str:
    """Digest a question by its model and its messages, pairs of role and text; parameters do not count."""
    messages = list(said)
    if messages:
        role, text = messages[0]
        messages[0] = (role, text[nonce.end() :] if (nonce := NONCE.match(text)) else text)
    # Half an emoji becomes a question mark, as it does in a request's UTF-8.
    return sha256(json.dumps([model, messages], ensure_ascii=False).encode(errors="replace")).hexdigest()[:16]


def encode_label(label: Label) -> bytes:
    """Turn a label into JSON."""
    return json.dumps(asdict(label), separators=(",", ":")).encode()


def decode_label(data: bytes) -> Label:
    """Turn JSON back into a label; a name this version does not know is ignored.

    Raises:
        ValueError, KeyError, TypeError: this is no label.

    """
    values: dict[str, Any] = json.loads(data)
    known = {name: values[name] for name in Label.__dataclass_fields__ if name in values}
    failed = known.get("failed")
    known["failed"] = None if failed is None else Failed(**{**failed, "outcome": Outcome(failed["outcome"])})
    known["flags"] = tuple(known.get("flags", ()))
    return Label(**known)
