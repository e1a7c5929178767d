"""Languages of a page: English from the code, other languages from gettext catalogues.

A text also holds its translation into a second language, so that a page can be switched between the two. To add a
language, put a file beside `locale/zh.po` and compile it to `.mo` with `pybabel compile`.

Sentences from other packages and from journals arrive in English. A catalogue has their translations in the context
`SENTENCE`, as templates whose `{names}` stand for the values in a sentence.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property, lru_cache, reduce
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from string import Formatter
from typing import Self

from runner.core.cjk_characters import FULL_WIDTH, HAN

ENGLISH = "en"
"""The language of the code."""

SENTENCE = "sentence"
LONGEST_SENTENCE = 2_000
"""Maximum number of characters of a sentence; longer text comes from a provider and is not translated."""

ONE_WORD = {"provider": r"\S+?"}
"""Placeholder -> its pattern, if it stands for one word. The placeholder before it may then contain the separator."""

LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that name a locale; the first that is set is used."""


LITTLE_ENDIAN = (0x950412DE).to_bytes(4, "little")
"""Magic number of a little-endian compiled catalogue; all others are big-endian."""


class Catalogue(GNUTranslations):
    """A compiled catalogue that can also translate sentences whose values are already filled in."""

    def __init__(self, compiled: bytes) -> None:
        super().__init__(BytesIO(compiled))
        self._compiled = compiled

    @cached_property
    def entries(self) -> Mapping[str, str]:
        """Text -> translation. A context precedes its text; NUL separates plural forms."""
        return dict(_entries_of(self._compiled))

    def translate(self, sentence: str) -> str:
        """Return a sentence translated by the template that it matches, or unchanged if it matches none."""
        return sentence if len(sentence) > LONGEST_SENTENCE else self._translate(sentence)

    @lru_cache(maxsize=1024)  # noqa: B019 -- catalogues live as long as the process, and names of targets recur
    def _translate(self, sentence: str) -> str:
        for template, translation in self._templates:
            values = _values_in(sentence, template)
            if values is not None:
                return _fill(translation, {name: self.translate(value) for name, value in values.items()})
        return sentence

    @cached_property
    def _templates(self) -> list[tuple[str, str]]:
        """Templates with their translations; the templates with the most literal text come first."""
        context = f"{SENTENCE}\x04"
        entries = {key.removeprefix(context): text for key, text in self.entries.items() if key.startswith(context)}
        return sorted(entries.items(), key=lambda entry: -sum(len(before) for before, _name in _parts_of(entry[0])))


def _entries_of(compiled: bytes) -> Iterator[tuple[str, str]]:
    """Yield pairs of text and translation of a compiled catalogue, which Python's gettext does not list.

    GNU gettext's manual describes the format under "The Format of GNU MO Files".
    """
    order = "<" if compiled.startswith(LITTLE_ENDIAN) else ">"
    number, *tables = struct.unpack_from(f"{order}3I", compiled, 8)
    for entry in range(number):
        places = (struct.unpack_from(f"{order}2I", compiled, table + 8 * entry) for table in tables)
        text, translation = (compiled[start : start + length].decode() for length, start in places)
        yield text, translation


def _values_in(sentence: str, template: str) -> dict[str, str] | None:
    """Return name -> value for a sentence made from a template; None if the template does not match."""
    if not all(before in sentence for before, _name in _parts_of(template)):
        return None  # the common case, which avoids compiling the pattern of a template that is not used
    found = _pattern_of(template).fullmatch(sentence)
    return None if found is None else found.groupdict()


@cache
def _pattern_of(template: str) -> re.Pattern[str]:
    """Return a pattern that matches the sentences made from a template."""
    parts = []
    for text, name in _parts_of(template):
        parts += [re.escape(text), f"(?P<{name}>{ONE_WORD.get(name, '.+?')})" if name else ""]
    return re.compile("".join(parts), re.DOTALL)


Translations = Catalogue | NullTranslations

_catalogues: ContextVar[tuple[Translations, Translations]] = ContextVar(
    "catalogues",
    default=(NullTranslations(), NullTranslations()),
)


# Texts


FULL_WIDTH_ENDS = "。！？；："


_WIDE = re.compile(f"[{HAN}{FULL_WIDTH}]")
"""Chinese characters and full-width punctuation."""


class BilingualText(str):
    """Text in the page's language; `other` is the same text in the language that the page can be switched to."""

    __slots__ = ("other",)

    other: str

    def __new__(cls, text: str, other: str) -> Self:
        """Return a text in two languages."""
        made = super().__new__(cls, text)
        made.other = other
        return made

    def __add__(self, more: str) -> "BilingualText":
        return BilingualText(str(self) + more, self.other + other_of(more))

    def __radd__(self, before: str) -> "BilingualText":
        return BilingualText(before + str(self), other_of(before) + self.other)


def other_of(text: str) -> str:
    """Return a text in the other language, or unchanged if it is not bilingual."""
    return text.other if isinstance(text, BilingualText) else text


def _(text: str, /, **values: object) -> BilingualText:
    """Return a text in the current languages, with values in place of its `{names}`."""
    here, there = _catalogues.get()
    return BilingualText(_fill(here.gettext(text), values), _fill_other(there.gettext(text), values))


def plural(number: int, one: str, many: str, /, **values: object) -> BilingualText:
    """Return a text in the singular or plural form for a number, with the number in place of `{n}`."""
    here, there = _catalogues.get()
    values = {"n": f"{number:,}", **values}
    return BilingualText(
        _fill(here.ngettext(one, many, number), values), _fill_other(there.ngettext(one, many, number), values)
    )


def translate(sentence: str) -> BilingualText:
    """Translate a sentence made by another package or read from a journal; an unknown one is unchanged."""
    here, there = (each.translate(sentence) if isinstance(each, Catalogue) else sentence for each in _catalogues.get())
    return BilingualText(here, there)


def _fill(text: str, values: Mapping[str, object]) -> str:
    """Return a template filled with values; a space beside a value is dropped if it would separate wide characters."""
    if not values:
        return text
    parts = [part for before, name in _parts_of(text) for part in (before, str(values[name]) if name else "")]
    filled = "".join(parts)
    return reduce(_append, parts, "") if _WIDE.search(filled) else filled


@cache
def _parts_of(template: str) -> tuple[tuple[str, str | None], ...]:
    """Return the literal texts of a template, each with the name of the value after it, if any.

    The cache is bounded by the number of templates in the code.
    """
    return tuple((before, name) for before, name, *_rest in Formatter().parse(template))


def _append(text: str, more: str) -> str:
    if more[:1] == " " and text and _WIDE.match(text[-1]) and _WIDE.match(more.lstrip(" ")):
        return text + more.lstrip(" ")
    if text[-1:] == " " and _WIDE.match(more) and _WIDE.match(text.rstrip(" ")[-1:]):
        return text.rstrip(" ") + more
    return text + more


def _fill_other(text: str, values: Mapping[str, object]) -> str:
    return _fill(text, {name: other_of(value) if isinstance(value, str) else value for name, value in values.items()})


def join(separator: str, texts: Iterable[str]) -> BilingualText:
    """Return texts joined by a separator in both languages."""
    parts = list(texts)
    return BilingualText(separator.join(parts), other_of(separator).join(map(other_of, parts)))


def comma_list(texts: Iterable[str]) -> BilingualText:
    """Return names or figures as a list: `a, b`."""
    return join(_(", "), texts)


MAX_NAMED = 6
"""Maximum number of targets or vendors that a sentence names; it counts the others."""


def name_some(parts: Sequence[str], separator: str | None = None) -> BilingualText:
    """Return the first parts joined by commas or another separator, with a count of the others."""
    more = len(parts) - MAX_NAMED
    shown = [*parts[:MAX_NAMED], *([_("{n} more", n=more)] if more > 0 else [])]
    return join(_(", ") if separator is None else separator, shown)


def clauses(texts: Iterable[str]) -> BilingualText:
    """Return joined clauses: `a; b`."""
    return join(_("; "), texts)


def sentences(texts: Iterable[str]) -> BilingualText:
    """Return joined sentences, with a space between them except after full-width punctuation."""
    kept = list(texts)
    return BilingualText(_join_sentences(map(str, kept)), _join_sentences(map(other_of, kept)))


def _join_sentences(texts: Iterable[str]) -> str:
    spaced = ""
    for text in texts:
        spaced += (" " if spaced and spaced[-1] not in FULL_WIDTH_ENDS else "") + text
    return spaced


def labelled(label: str, text: str) -> BilingualText:
    """Return a text preceded by its label: `a: b`."""
    return _("{label}: {text}", label=label, text=text)


def capitalized(text: str) -> BilingualText:
    """Return a text with its first letter in upper case."""
    other = other_of(text)
    return BilingualText(text[:1].upper() + text[1:], other[:1].upper() + other[1:])


# Languages


@cache
def languages() -> tuple[str, ...]:
    """Return the available languages of a page: English, then those with a catalogue."""
    names = (each.name for each in files("runner.outputs").joinpath("locale").iterdir())
    return (ENGLISH, *sorted(name.removesuffix(".mo") for name in names if name.endswith(".mo")))


def language_of(environ: Mapping[str, str]) -> str:
    """Return the language that the locale variables select by gettext's rules; English if it is not available.

    `LANGUAGE` lists languages in order of preference; it is ignored if the locale is `C` or `POSIX`.
    """
    locale = next((environ[name] for name in LOCALE_VARIABLES if environ.get(name)), "C")
    if locale.partition(".")[0] in {"C", "POSIX"}:
        return ENGLISH
    wanted = [*filter(None, environ.get("LANGUAGE", "").split(":")), locale]
    names = [name for each in wanted for name in _names_of(each)]
    return next((name for name in names if name in languages()), ENGLISH)


def _names_of(locale: str) -> tuple[str, str]:
    """Return the possible names of a locale's catalogue: `pt_BR.UTF-8` -> `pt_BR`, `pt`."""
    name = re.split("[.@]", locale)[0].replace("-", "_")
    return name, name.partition("_")[0]


@contextmanager
def in_language(language: str | None) -> Iterator[None]:
    """Set the language of texts inside the block; None selects that of the process's locale.

    The other language is English or, if the language is English, the first one with a catalogue.

    Raises:
        FileNotFoundError: the language has no catalogue.

    """
    language = language or language_of(os.environ)
    other = ENGLISH if language != ENGLISH else next(iter(languages()[1:]), ENGLISH)
    token = _catalogues.set((_catalogue(language), _catalogue(other)))
    try:
        yield
    finally:
        _catalogues.reset(token)


@cache
def _catalogue(language: str) -> Translations:
    if language == ENGLISH:
        return NullTranslations()
    return Catalogue(files("runner.outputs").joinpath("locale", f"{language}.mo").read_bytes())
