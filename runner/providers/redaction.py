"""Redact keys: known ones in every text, and in error texts also whatever looks like one."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from html import unescape
from html.entities import html5
from itertools import accumulate, pairwise
from urllib.parse import unquote, urlsplit

from runner.providers.endpoint import Endpoint
from runner.providers.key import Key

SHORTEST = 8
"""The shortest value that is redacted everywhere, since shorter ones occur in ordinary text by chance."""

SHORTEST_IN_ERRORS = 4
"""The shortest value that is redacted in headers and error texts, which no one counts or compares."""

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

IGNORED = "\\*_~`\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Characters that may stand inside a key: Markdown and terminals show the key without them."""

_WITHOUT_IGNORED = {ord(character): None for character in IGNORED}
_IGNORED = re.compile(f"[{re.escape(IGNORED)}]")
_ESCAPE = re.compile(r"%[0-9a-f]{2}|\\[ux][0-9a-f]{2}|&(?:#|[a-z]+;)", re.IGNORECASE)
_OPEN_ESCAPE = re.compile(
    r"""
      (?:%[cd][0-9a-f] | %e[0-9a-f](?:%[89ab][0-9a-f])? | %f[0-9a-f](?:%[89ab][0-9a-f]){0,2})?(?:%[0-9a-f]?)?\Z
    | (?:&(?:\#x?[0-9a-f]{0,7} | [a-z]{0,24}) | \\(?:[ux][0-9a-f]{0,3})?)\Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""An escape at the end of a text that may be incomplete."""

_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|x([0-9a-f]{2}))", re.IGNORECASE)
MAX_IGNORED = 3
"""Ignored characters that may stand between two characters of a key."""

MAX_NESTED = 2
"""Levels of escapes that are undone, such as a percent escape within JSON."""

LONGEST_ESCAPE = 12
"""Characters of one escaped character, at most."""

DEEPEST = 32
"""Levels of nesting of a JSON value; deeper ones are replaced, as they are in a journal."""


_ENTITIES: dict[str, list[str]] = {}
for _name, _character in html5.items():
    if _name.endswith(";") and len(_character) == 1 and (_character.isascii() or _character in IGNORED):
        _ENTITIES.setdefault(_character, []).append(_name)

SECRET_NAME = re.compile("auth|cookie|credential|key|pass|secret|session|signature|token", re.IGNORECASE)
"""A header or variable is secret if its name contains one of these."""

_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._~+/=-]{16,}")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


class _ValueMatcher:
    """Matches values in every form in which they may be written: in any case, escaped, or encoded."""

    __slots__ = ("__dict__", "_bare", "_encoded", "_lowered", "_values")

    def __init__(self, values: Iterable[str], *, whole_base64_only: bool = False) -> None:
        self._values = tuple(sorted(set(values), key=len, reverse=True))
        self._lowered = tuple(value.lower() for value in self._values)
        self._bare = tuple(value.translate(_WITHOUT_IGNORED) for value in self._lowered)
        encoded = {form for value in self._values for form in _encoded_forms(value, whole_only=whole_base64_only)}
        self._encoded = tuple(sorted(encoded, key=len, reverse=True))

    def __bool__(self) -> bool:
        return bool(self._values)

    def may_be_in(self, text: str) -> bool:
        """Return whether a text may contain a value: a quick test without false negatives."""
        if not self._values:
            return False
        lowered = text.lower()
        if any(value in lowered for value in self._lowered) or any(form in text for form in self._encoded):
            return True
        is_escaped = _ESCAPE.search(text) is not None
        if not is_escaped and not _IGNORED.search(text):
            return False
        for level in range(1 + MAX_NESTED if is_escaped else 1):
            text = _unescaped(text) if level else text
            bare = _IGNORED.sub("", text.lower())
            if any(value in bare for value in self._bare):
                return True
        return False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the values in all forms, the longest first."""
        encoded = [(len(form), re.escape(form) + "[A-Za-z0-9+/_-]?={0,2}") for form in self._encoded]
        written = [(len(value), f"(?i:{_pattern_of(value)})") for value in self._values]
        return re.compile("|".join(form for _, form in sorted((*encoded, *written), reverse=True)))

    def sub(self, text: str) -> str:
        """Return a text with the values replaced by a mark."""
        return self.pattern.sub(MARK, text) if self.may_be_in(text) else text

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each value in a text."""
        return [match.span() for match in self.pattern.finditer(text)] if self.may_be_in(text) else []

    @property
    def longest(self) -> int:
        """The length of the longest form; 0 if there is no value."""
        return max((len(value) * (MAX_IGNORED + 1) * LONGEST_ESCAPE for value in self._values), default=0)

    def open_at(self, text: str) -> int:
        """Return the index at which a value may begin that the text cuts off; the text's length if there is none."""
        firsts = {form[0] for form in (*self._lowered, *self._bare, *self._encoded) if form} | set("%&\\")
        for start in range(max(0, len(text) - self.longest), len(text)):
            if (text[start] in firsts or text[start].lower() in firsts) and self._may_begin(text[start:]):
                return start
        return len(text)

    def _may_begin(self, rest: str) -> bool:
        bare = rest
        for _ in range(MAX_NESTED):
            bare = _unescaped(_OPEN_ESCAPE.sub("", bare))
        bare = bare.lower().translate(_WITHOUT_IGNORED)
        return any(value.startswith(bare) for value in self._bare) or any(
            form.startswith(rest) for form in self._encoded
        )


class Redactor:
    """Hides a run's keys in texts and bytes. Its repr does not show them."""

    __slots__ = ("_everywhere", "_short", "_values")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._values = tuple(dict.fromkeys(key.reveal() for key in keys))
        self._everywhere = _ValueMatcher(value for value in self._values if len(value) >= SHORTEST)
        short = (value for value in self._values if SHORTEST_IN_ERRORS <= len(value) < SHORTEST)
        self._short = _ValueMatcher(short, whole_base64_only=True)

    def by_value(self, text: str) -> str:
        """Return a text with the known keys hidden and nothing else changed, as replies need it."""
        return self._everywhere.sub(text)

    def in_header_text(self, text: str) -> str:
        """Return a header's name or value, or a code, with the known keys hidden, short ones included."""
        return self._short.sub(self.by_value(text))

    def in_errors(self, text: str) -> str:
        """Return a text with known keys and whatever looks like one hidden: for errors and logs, not for replies."""
        return LOOKS_LIKE_A_KEY.sub(MARK, self.in_header_text(text))

    def in_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers with the known keys hidden in names and values; names that become the same are numbered."""
        hidden: dict[str, str] = {}
        for name, value in headers.items():
            hidden[_unused_name(self.in_header_text(name), hidden)] = self.in_header_text(value)
        return hidden

    def in_values(self, block: Mapping[str, str]) -> dict[str, str]:
        """Return a mapping with the known keys hidden in its values."""
        return {name: self.by_value(value) for name, value in block.items()}

    def in_json(self, value: Mapping[str, object]) -> dict[str, object]:
        """Return a JSON object with the known keys hidden in all its names and texts."""
        if not self._everywhere:
            return dict(value)
        return {self.by_value(name): self._in_member(member, DEEPEST) for name, member in value.items()}

    def _in_member(self, member: object, depth: int) -> object:
        if isinstance(member, str):
            return self.by_value(member)
        if not isinstance(member, dict | list):
            return member
        if not depth:
            return "(nested too deeply)"
        if isinstance(member, dict):
            return {self.by_value(name): self._in_member(each, depth - 1) for name, each in member.items()}
        return [self._in_member(item, depth - 1) for item in member]

    @property
    def longest(self) -> int:
        """The length in bytes of the longest form of a known key; 0 if there is none."""
        return self._everywhere.longest

    @property
    def has_short(self) -> bool:
        """Whether there are keys too short to be hidden in replies."""
        return bool(self._short)

    def with_short(self) -> "Redactor":
        """Return a redactor that hides the short keys everywhere, as failed responses need it."""
        strict = Redactor()
        strict._values = self._values
        strict._everywhere = _ValueMatcher(value for value in self._values if len(value) >= SHORTEST_IN_ERRORS)
        return strict

    def occurs_in(self, data: bytes) -> bool:
        """Return whether bytes contain a known key."""
        return bool(self._everywhere.spans(data.decode("latin-1")))

    def in_pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Return pieces of a byte stream with the known keys hidden; a key across pieces is hidden in its first one."""
        joined = b"".join(pieces)
        spans = self._everywhere.spans(joined.decode("latin-1"))  # a character is a byte
        ends = accumulate(map(len, pieces), initial=0)
        return [_redacted_slice(spans, joined, start, end) for start, end in pairwise(ends)]

    def stream(self) -> "StreamRedactor":
        """Return a redactor of one text that comes piece by piece."""
        return StreamRedactor(self._everywhere)


class StreamRedactor:
    """Hides keys in a text that comes in pieces; it holds back an end that may be the beginning of a key."""

    __slots__ = ("_held", "_matcher")

    def __init__(self, matcher: _ValueMatcher) -> None:
        self._matcher = matcher
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the text that can be shown now."""
        if not self._matcher:
            return text
        text = self._matcher.sub(self._held + text)
        end = self._matcher.open_at(text)
        self._held = text[end:]
        return text[:end]

    def flush(self) -> str:
        """Return the text that was held back, after the last piece."""
        held, self._held = self._held, ""
        return held


def secrets_of(endpoints: Iterable[Endpoint], environ: Mapping[str, str]) -> list[Key]:
    """Return all secrets that a request may carry: keys, secret headers, passwords of proxies."""
    listed = list(endpoints)
    keys = [endpoint.key for endpoint in listed if endpoint.key is not None]
    headers = {name: value for endpoint in listed for name, value in endpoint.row.headers.items()}
    secret = [
        Key(value, name) for name, value in headers.items() if SECRET_NAME.search(name) or _TOKEN.fullmatch(value)
    ]
    # The first word of an `Authorization`-like value, such as Token or Basic, is not secret.
    parts = [Key(part, key.variable) for key in secret for part in key.reveal().split()[1:] if len(part) >= SHORTEST]
    return [*keys, *secret, *parts, *proxy_secrets(environ)]


def proxy_secrets(environ: Mapping[str, str]) -> list[Key]:
    """Return the passwords in the proxy variables, each alone and as `user:password`, as the header has it."""
    found = []
    for name in (spelling for each in PROXY_VARIABLES for spelling in (each, each.upper())):
        try:
            parts = urlsplit(environ.get(name, "") if "://" in environ.get(name, "") else f"//{environ.get(name, '')}")
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
        except ValueError:
            continue
        if password:
            found += [Key(password, name), Key(f"{user}:{password}", name)]
    return found


def short_key_notes(endpoints: Iterable[Endpoint]) -> list[str]:
    """Return a note on each key that is too short to be hidden everywhere."""
    return [
        f"{each.provider}: the value of {each.key.variable} has fewer than {SHORTEST} characters, so it is hidden in "
        "headers and error texts, and not in replies, which may hold such a word by chance."
        for each in endpoints
        if each.key is not None and len(each.key.reveal()) < SHORTEST
    ]


def _unescaped(text: str) -> str:
    """Return a text with the escapes of URLs, HTML and JSON replaced by what they stand for."""
    plain = _JSON_ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    return unquote(unescape(plain))


def _unused_name(name: str, taken: Iterable[str]) -> str:
    """Return a name that is not taken: a number is added to it."""
    number, wanted = 2, name
    while wanted in taken:
        number, wanted = number + 1, f"{name} {number}"
    return wanted


def _redacted_slice(spans: Iterable[tuple[int, int]], data: bytes, start: int, end: int) -> bytes:
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


def _encoded_forms(value: str, *, whole_only: bool) -> set[str]:
    """Return a value in base64, for each offset that it may have in the encoded data, and in hexadecimal."""
    encoded = value.encode()
    prefixes = (b"",) if whole_only else (b"", b":")  # a colon: basic authentication without a user
    whole = {encode(prefix + encoded).decode().rstrip("=") for encode in BASE64 for prefix in prefixes}
    within = {
        _unambiguous_characters(encode(bytes(offset) + encoded), offset, len(encoded))
        for encode in BASE64
        for offset in range(3)
    }
    return whole if whole_only else {*whole, *within, encoded.hex(), encoded.hex().upper()}


def _unambiguous_characters(encoded: bytes, offset: int, length: int) -> str:
    """Return the characters of a base64 text that depend only on the `length` bytes from an offset."""
    first, end = -(-offset * 8 // 6), (offset + length) * 8 // 6
    return encoded[first:end].decode()


def _pattern_of(value: str) -> str:
    """Return a pattern for a value whose characters may be escaped, with ignored characters between them."""
    pattern = ""
    for place, character in enumerate(value):
        pattern += (f"{_any_ignored(but=character)}{{0,{MAX_IGNORED}}}?" if place else "") + _any_form(character)
    return pattern


def _any_ignored(*, but: str) -> str:
    """Return a pattern for one ignored character, which may be escaped as those of the value may be."""
    return f"(?:{'|'.join(_any_form(character) for character in IGNORED if character != but)})"


_BACKSLASH = r"(?:\\|%(?:25)*5c|&\#0{0,5}92;?|&\#x0{0,5}5c;?|&bsol;)"
"""A backslash before an escape, which may itself be escaped."""


def _any_form(character: str) -> str:
    code = ord(character)
    forms = [
        re.escape(character),
        "".join(f"%(?:25)*{byte:02x}" for byte in character.encode()),
        rf"{_BACKSLASH}u{code:04x}",
        rf"&\#0{{0,5}}{code};?",
        rf"&\#x0{{0,5}}{code:x};?",
        *(rf"{_BACKSLASH}x{code:02x}" for _ in range(code < 0x100)),
        *(f"&{re.escape(name)}" for name in _ENTITIES.get(character, ())),
    ]
    return f"(?:{'|'.join(forms)})"
