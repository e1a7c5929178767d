"""Keys taken out of text: known ones anywhere, and in error texts whatever looks like one."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from urllib.parse import quote

from runner.providers.key import Key

SHORTEST = 8
"""Shorter values occur in ordinary text by chance."""

MARK = "‹key›"
"""Stands where a key stood. It starts and ends outside ASCII, so no key can span it."""

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
    """Knows a run's keys and hides them. Its own repr shows nothing."""

    __slots__ = ("_forms", "_known")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        forms = {form for key in keys if len(key.reveal()) >= SHORTEST for form in _written_forms(key.reveal())}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._forms = tuple(form.encode() for form in longest_first)

    def by_value(self, text: str) -> str:
        """Hide the known keys and nothing else, so that no reply is falsified."""
        return self._known.sub(MARK, text) if self._known else text

    @property
    def longest(self) -> int:
        """Bytes of the longest form in which a known key may be written; 0 if none is known."""
        return max(map(len, self._forms), default=0)

    def occurs_in(self, data: bytes) -> bool:
        """Tell whether bytes hold a known key."""
        return any(form in data for form in self._forms)

    def in_pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Hide the known keys in bytes that came in pieces; a key cut in two is hidden in the piece it begins in."""
        joined = b"".join(pieces)
        found = re.finditer(b"|".join(map(re.escape, self._forms)), joined) if self._forms else ()
        spans = [match.span() for match in found]
        ends = accumulate(map(len, pieces), initial=0)
        return [_without(spans, joined, start, end) for start, end in pairwise(ends)]

    def in_errors(self, text: str) -> str:
        """Hide the known keys and whatever looks like one. For errors and logs, never for replies."""
        return LOOKS_LIKE_A_KEY.sub(MARK, self.by_value(text))


def _without(spans: Iterable[tuple[int, int]], data: bytes, start: int, end: int) -> bytes:
    """Return a part of some data without what is in the spans; a mark stands where one begins."""
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
    """Return a key as it may appear: bare, in a URL, in JSON, in the base64 of basic authentication."""
    encoded, quoted = value.encode(), json.dumps(value)[1:-1]
    return {
        value,
        quote(value, safe=""),
        quoted,
        quoted.replace("/", "\\/"),
        *(encode(prefix + encoded).decode().rstrip("=") for encode in BASE64 for prefix in (b"", b":")),
    }
