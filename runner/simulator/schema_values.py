"""Values that fit a JSON Schema, made from the words and numbers of a question. Performs no I/O.

The common keywords are supported: types, `enum`, `const`, `default`, bounds of numbers and lengths, lists, objects,
`anyOf`, `oneOf`, `allOf`, and references within the schema. Patterns are not.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from math import ceil, floor

MAX_PARTS, MAX_TEXT_LENGTH, MAX_ITEMS, MAX_NUMBER = 1_000, 10_000, 100, 1e15
"""Limits that hold for every schema: parts of a value, characters of a text, items of a list, size of a number."""

MAX_DEPTH = 12
"""Levels of nesting from which only required parts are made; beyond twice as many, none are."""

QUOTED = re.compile(r"[\"“「]([^\"“”「」]{1,80})[\"”」]")
NAMED = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'-]*(?:\s+(?:of\s+|de\s+)?[A-Z][\w'-]*)*")
NOT_NAMES = frozenset({"I", "I'm", "I'll", "I'd", "I've"})
NAMED_ZH = re.compile(
    "北京|上海|广州|深圳|杭州|成都|南京|武汉|西安|重庆|天津|苏州|香港|台北|东京|大阪|首尔|巴黎|柏林|伦敦|罗马|马德里|纽约|新加坡"
)
NUMBER = re.compile(r"(?<![\w.])-?[0-9]{1,15}(?:\.[0-9]{1,9})?(?![\w])")
WORD = re.compile(r"[^\W\d_]{3,}")
NEGATED = re.compile(r"\b(no|not|without)\b|不")

EXAMPLES = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}
"""Format of a text -> example of it."""

Schema = Mapping[str, object]


@dataclass(slots=True)
class QuestionWords:
    """The names and numbers of a question, each used in turn."""

    question: str
    names: list[str] = field(init=False)
    numbers: list[float] = field(init=False)
    _next_name: int = 0
    _next_number: int = 0
    parts: int = 0
    """Number of parts of a value that have been made."""

    def __post_init__(self) -> None:
        self.names = names_in(self.question)
        self.numbers = [float(found) for found in NUMBER.findall(self.question)]

    def next_name(self) -> str:
        """Return the next name; after the last one, that one again; without names, the question's longest word."""
        if not self.names:
            return max(WORD.findall(self.question), key=len, default=self.question[:40].strip() or "none")
        self._next_name += 1
        return self.names[min(self._next_name, len(self.names)) - 1]

    def next_number(self, otherwise: float) -> float:
        """Return the next number; `otherwise` if there is none left."""
        self._next_number += 1
        return self.numbers[self._next_number - 1] if self._next_number <= len(self.numbers) else otherwise

    @property
    def has_number(self) -> bool:
        """Whether there is a number left."""
        return self._next_number < len(self.numbers)

    def mentions(self, value: object) -> bool:
        """Return whether a text occurs as a word in the question."""
        if not isinstance(value, str) or not value:
            return False
        edges = ("", "") if not value[0].isascii() else (r"(?<!\w)", r"(?!\w)")
        return re.search(edges[0] + re.escape(value) + edges[1], self.question, re.IGNORECASE) is not None


def names_in(question: str) -> list[str]:
    """Return the names in a question: quoted words, capitalised words within a sentence, Chinese and other cities."""
    found = [(each.start(1), each[1]) for each in QUOTED.finditer(question)]
    found += [(each.start(), each[0]) for each in NAMED.finditer(question) if each[0] not in NOT_NAMES]
    found += [(each.start(), each[0]) for each in NAMED_ZH.finditer(question)]
    names = list(dict.fromkeys(name for _, name in sorted(found)))
    return [name for name in names if not any(name != other and name in other for other in names)]


def make_value(schema: object, words: QuestionWords) -> object:
    """Return a value that fits a schema."""
    return _Maker(schema if isinstance(schema, dict) else {}, words).make(schema, 0)


@dataclass(frozen=True, slots=True)
class _Maker:
    """The maker of one value and its parts."""

    root: Schema
    words: QuestionWords

    def make(self, schema: object, depth: int) -> object:
        """Return a value for one part of the schema."""
        self.words.parts += 1
        merged = self._resolve(schema, depth)
        if "const" in merged:
            return merged["const"]
        options = merged.get("enum")
        if isinstance(options, list) and options:
            mentioned = (option for option in options if self.words.mentions(option))
            given = merged.get("default", options[0])
            return next(mentioned, given if given in options else options[0])
        return self._of_type(_type_of(merged), merged, depth)

    def _of_type(self, kind: str, schema: Schema, depth: int) -> object:
        """Return a value of type `kind`; a text for an unknown type."""
        makers: Mapping[str, Callable[[], object]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "integer": lambda: self._number(schema, is_whole=True),
            "number": lambda: self._number(schema, is_whole=False),
            "boolean": lambda: schema.get("default", NEGATED.search(self.words.question) is None),
            "null": lambda: None,
        }
        return makers.get(kind, lambda: self._text(schema))()

    def _resolve(self, schema: object, depth: int) -> dict[str, object]:
        """Return a schema merged with its reference, its parts and the first of its alternatives."""
        found = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(MAX_DEPTH):
            pointed = found.pop("$ref", None)
            parts = [self._find(pointed)] if isinstance(pointed, str) else []
            for name in ("allOf", "anyOf", "oneOf"):
                listed = found.pop(name, None)
                usable = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
                usable.sort(key=lambda each: each.get("type") == "null" or (depth > MAX_DEPTH and "$ref" in each))
                parts += usable if name == "allOf" else usable[:1]
            if not parts:
                break
            for part in parts:
                found = _merge(found, part)
        return found

    def _find(self, pointer: str) -> Schema:
        found: object = self.root
        for name in pointer.removeprefix("#").split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties, required = schema.get("properties"), schema.get("required")
        known = properties if isinstance(properties, dict) else {}
        needed = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        chosen = [name for name in known if name in needed or (depth < MAX_DEPTH and self._is_asked_for(known[name]))]
        chosen += [name for name in needed if name not in known]
        return {} if self._is_full(depth) else {name: self.make(known.get(name), depth + 1) for name in chosen}

    def _is_full(self, depth: int) -> bool:
        return depth > 2 * MAX_DEPTH or self.words.parts > MAX_PARTS

    def _is_asked_for(self, schema: object) -> bool:
        """Return whether a question gives a value for an optional property: one of its options, or a number."""
        found = self._resolve(schema, 0)
        options = found.get("enum")
        if isinstance(options, list):
            return any(map(self.words.mentions, options))
        return _type_of(found) in ("integer", "number") and self.words.has_number

    def _array(self, schema: Schema, depth: int) -> list[object]:
        items, least = schema.get("items"), _whole(schema.get("minItems"), 0)
        kind = _type_of(self._resolve(items, depth))
        given = self.words.names if kind == "string" else self.words.numbers if kind in ("integer", "number") else ()
        wanted = max(least, min(len(given) or 1, _whole(schema.get("maxItems"), 8)))
        if self._is_full(depth) or (depth > MAX_DEPTH and not least):
            return []
        return [self.make(items, depth + 1) for _ in range(min(wanted, MAX_ITEMS))]

    def _number(self, schema: Schema, *, is_whole: bool) -> float | int:
        low, high = _bounds(schema, is_whole=is_whole)
        given = _number_of(schema.get("default"))
        value = self.words.next_number(1 if given is None else given)
        value = low if low is not None and value < low else high if high is not None and value > high else value
        step = _number_of(schema.get("multipleOf"))
        if step is not None and step > 1 / MAX_NUMBER:
            value = step * (ceil(value / step) if low is not None else floor(value / step))
        return int(value) if is_whole or value == int(value) else value

    def _text(self, schema: Schema) -> str:
        kind = schema.get("format")
        if isinstance(kind, str) and kind in EXAMPLES:
            return EXAMPLES[kind]
        text, least = self.words.next_name(), min(_whole(schema.get("minLength"), 0), MAX_TEXT_LENGTH)
        text = text if len(text) >= least else "".join(islice(cycle(text), least))
        return text[: max(least, _whole(schema.get("maxLength"), len(text)))]


def _merge(schema: Mapping[str, object], part: Mapping[str, object]) -> dict[str, object]:
    """Return one schema with the conditions of both."""
    merged = {**part, **schema}
    for name in ("properties", "required"):
        own, other = schema.get(name), part.get(name)
        if isinstance(own, dict) and isinstance(other, dict):
            merged[name] = {**other, **own}
        elif isinstance(own, list) and isinstance(other, list):
            merged[name] = [*other, *own]
    return merged


def _type_of(schema: Schema) -> str:
    """Return the type that a value must have: the first one except null, else the one that other keywords imply."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema else "number" if {"minimum", "maximum"} & schema.keys() else "string"


def _bounds(schema: Schema, *, is_whole: bool) -> tuple[float | None, float | None]:
    """Return the smallest and the largest allowed number; None for no bound."""
    step = 1.0 if is_whole else 1e-6
    lows = [_shifted(schema.get("minimum"), 0), _shifted(schema.get("exclusiveMinimum"), step)]
    highs = [_shifted(schema.get("maximum"), 0), _shifted(schema.get("exclusiveMaximum"), -step)]
    low = max((each for each in lows if each is not None), default=None)
    high = min((each for each in highs if each is not None), default=None)
    if is_whole:
        return None if low is None else ceil(low), None if high is None else floor(high)
    return low, high


def _shifted(value: object, by: float) -> float | None:
    found = _number_of(value)
    return None if found is None else found + by


def _number_of(value: object) -> float | None:
    """Return a number in a schema; None for any other value and for a number that is too large."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and -MAX_NUMBER <= value <= MAX_NUMBER
    return float(value) if is_number and isinstance(value, int | float) else None


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
