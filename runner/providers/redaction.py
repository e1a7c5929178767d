"""Redact keys: known ones in every text, and in error texts also whatever looks like one."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from urllib.parse import quote

from runner.providers.key import Key

SHORTEST = 8
"""The shortest value that is redacted, since shorter ones occur in ordinary text by chance."""

MARK = "‹key›"
"""The replacement of a key. It starts and ends with characters outside ASCII, so that no key can span it."""

LOOKS_LIKE_A_KEY = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|xai|nvapi|hf|r8|pplx)[-_][\w.*\u2026-]{6,}   # vendors shorten them with stars or dots
    | \bAIza[\w-]{20,}
    | \bbce-v3/[\w*.-]+(?:/[\w*.-]+)?
    | \beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?                             # JSON web tokens
    | \b[0-9a-f]{32}\.[0-9A-Za-z]{8,}\b                              # id.secret of Zhipu; bare hex is a request's id
    | (?<=bearer[ ])[^\s"',;<>]{4,}
    | (?<=://)[^\s/@:]+:[^\s/@]+(?=@)
    """,
    re.VERBOSE | re.IGNORECASE,
)

BASE64 = (base64.b64encode, base64.urlsafe_b64encode)


class Redactor:
    """Hides a run's keys in texts and bytes. Its repr does not show them."""

    __slots__ = ("_forms", "_known")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        forms = {form for key in keys if len(key.reveal()) >= SHORTEST for form in _written_forms(key.reveal())}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._forms = tuple(form.encode() for form in longest_first)

    def by_value(self, text: str) -> str:
        """Return a text with the known keys hidden and nothing else changed, as replies need it."""
        return self._known.sub(MARK, text) if self._known else text

    @property
    def longest(self) -> int:
        """The length in bytes of the longest form of a known key; 0 if there is none."""
        return max(map(len, self._forms), default=0)

    def occurs_in(self, data: bytes) -> bool:
        """Return whether bytes hold a known key."""
        return any(form in data for form in self._forms)

    def in_pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Return pieces of a byte stream with the known keys hidden; a key across pieces is hidden in its first one."""
        joined = b"".join(pieces)
        found = re.finditer(b"|".join(map(re.escape, self._forms)), joined) if self._forms else ()
        spans = [match.span() for match in found]
        ends = accumulate(map(len, pieces), initial=0)
        return [_without(spans, joined, start, end) for start, end in pairwise(ends)]

    def in_errors(self, text: str) -> str:
        """Return a text with known keys and whatever looks like one hidden: for errors and logs, not for replies."""
        return LOOKS_LIKE_A_KEY.sub(MARK, self.by_value(text))


def _without(spans: Iterable[tuple[int, int]], data: bytes, start: int, end: int) -> bytes:
    """Return `data[start:end]` without the spans; a mark stands where a span starts."""
    kept = bytearray()
    for first, behind in spans:
        if behind <= start:
            continue
        if first >= end:
            break
        kept += data[start : max(start, first)]
        if first >= start:
            kept += MARK.encode()
        start = min(behind, end)
    return bytes(kept + data[start:end])


def _written_forms(value: str) -> set[str]:
    """Return the forms in which a key may appear: bare, in a URL, in JSON, in the base64 of basic authentication."""
    encoded, quoted = value.encode(), json.dumps(value)[1:-1]
    return {
        value,
        quote(value, safe=""),
        quoted,
        quoted.replace("/", "\\/"),
        *(encode(prefix + encoded).decode().rstrip("=") for encode in BASE64 for prefix in (b"", b":")),
    }
