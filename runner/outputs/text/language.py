"""The languages of a page: English as it is written in the code, others by gettext's catalogues.

A text knows itself in a second language, too, so that a page can be switched between the two. A third language is a
file beside `locale/zh.po`, compiled to `.mo` by `pybabel compile`.

Sentences that other rooms write, and those that journals hold, are English when they come here. A catalogue has their
translations in the context `SENTENCE`, as templates whose `{names}` stand for what a sentence is filled with.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from string import Formatter
from typing import Self

ENGLISH = "en"
"""The language of the code."""

SENTENCE = "sentence"
LONGEST_SENTENCE = 2_000
"""A longer text is a provider's, not a sentence of ours."""

ONE_WORD = {"provider": r"\S+?"}
"""Placeholders that stand for one word, so that the words before it can hold what separates it from them."""

LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Where a locale is named; the first that is set counts."""


LITTLE_ENDIAN = (0x950412DE).to_bytes(4, "little")
"""How a compiled catalogue begins on most machines; on the others its numbers have the other order of bytes."""


class Catalogue(GNUTranslations):
    """A compiled catalogue, which can also translate a sentence that is filled already."""

    def __init__(self, compiled: bytes) -> None:
        super().__init__(BytesIO(compiled))
        self._compiled = compiled

    @cached_property
    def entries(self) -> Mapping[str, str]:
        """Each text, behind its context if it has one, with its translation; NUL divides the forms of a plural."""
        return dict(_entries_of(self._compiled))

    def say(self, sentence: str) -> str:
        """Return the translation of the template that a sentence fits; a sentence that fits none is itself."""
        return sentence if len(sentence) > LONGEST_SENTENCE else self._say(sentence)

    @lru_cache(maxsize=1024)  # noqa: B019 -- a catalogue is kept for ever; targets' names come again and again
    def _say(self, sentence: str) -> str:
        for pattern, translation in self._templates:
            if found := pattern.fullmatch(sentence):
                return _fill(translation, {name: self.say(value) for name, value in found.groupdict().items()})
        return sentence

    @cached_property
    def _templates(self) -> list[tuple[re.Pattern[str], str]]:
        """The templates with their translations; of two that a sentence fits, the one with more text of its own."""
        context = f"{SENTENCE}\x04"
        entries = {key.removeprefix(context): text for key, text in self.entries.items() if key.startswith(context)}
        ordered = sorted(entries, key=lambda each: -sum(len(before) for before, *_ in Formatter().parse(each)))
        return [(_pattern_of(template), entries[template]) for template in ordered]


def _entries_of(compiled: bytes) -> Iterator[tuple[str, str]]:
    """Yield the texts of a compiled catalogue with their translations, which Python's gettext does not list.

    The format is in GNU gettext's manual, "The Format of GNU MO Files".
    """
    order = "<" if compiled.startswith(LITTLE_ENDIAN) else ">"
    number, *tables = struct.unpack_from(f"{order}3I", compiled, 8)
    for entry in range(number):
        places = (struct.unpack_from(f"{order}2I", compiled, table + 8 * entry) for table in tables)
        text, translation = (compiled[start : start + length].decode() for length, start in places)
        yield text, translation


def _pattern_of(template: str) -> re.Pattern[str]:
    """Return a pattern of the sentences that a template can make."""
    parts = []
    for text, name, *_rest in Formatter().parse(template):
        parts += [re.escape(text), f"(?P<{name}>{ONE_WORD.get(name, '.+?')})" if name else ""]
    return re.compile("".join(parts), re.DOTALL)


Translations = Catalogue | NullTranslations

_catalogues: ContextVar[tuple[Translations, Translations]] = ContextVar(
    "catalogues",
    default=(NullTranslations(), NullTranslations()),
)


# Texts


FULL_WIDTH_ENDS = "。！？；："


_WIDE = re.compile("[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
"""Chinese characters and full-width punctuation."""


class BilingualText(str):
    """A text in the page's language; `other` is the same text in the language that the page can be switched to."""

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
    """Return a text in the other language; one that was not translated is itself."""
    return text.other if isinstance(text, BilingualText) else text


def _(text: str, /, **values: object) -> BilingualText:
    """Return a text in the current languages, its `{names}` filled with values."""
    here, there = _catalogues.get()
    return BilingualText(_fill(here.gettext(text), values), _fill_other(there.gettext(text), values))


def plural(number: int, one: str, many: str, /, **values: object) -> BilingualText:
    """Return a text in the form that a number takes, `{n}` filled with the number."""
    here, there = _catalogues.get()
    values = {"n": f"{number:,}", **values}
    return BilingualText(
        _fill(here.ngettext(one, many, number), values), _fill_other(there.ngettext(one, many, number), values)
    )


def said(sentence: str) -> BilingualText:
    """Return a sentence of another room, or of a journal, in the current languages; an unknown one is itself."""
    here, there = (each.say(sentence) if isinstance(each, Catalogue) else sentence for each in _catalogues.get())
    return BilingualText(here, there)


def _fill(text: str, values: Mapping[str, object]) -> str:
    """Return a text filled; its blanks around a value fall away where they would stand between wide characters."""
    if not values:
        return text
    filled = ""
    for before, name in _parts_of(text):
        filled = _append(filled, before)
        filled = _append(filled, str(values[name])) if name else filled
    return filled


@cache
def _parts_of(template: str) -> tuple[tuple[str, str | None], ...]:
    """Return the texts of a template, each with the name of the value behind it; there are as many as in the code."""
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
    """Return texts joined, in both languages."""
    listed = list(texts)
    return BilingualText(separator.join(listed), other_of(separator).join(map(other_of, listed)))


def listed(texts: Iterable[str]) -> BilingualText:
    """Return names or figures one after another: `a, b`."""
    return join(_(", "), texts)


MAX_NAMED = 6
"""Of more targets or vendors than this, a sentence counts the others."""


def name_some(parts: Sequence[str], separator: str | None = None) -> BilingualText:
    """Return the first parts, joined by commas or another separator, and how many more there are."""
    more = len(parts) - MAX_NAMED
    shown = [*parts[:MAX_NAMED], *([_("{n} more", n=more)] if more > 0 else [])]
    return join(_(", ") if separator is None else separator, shown)


def clauses(texts: Iterable[str]) -> BilingualText:
    """Return clauses one after another: `a; b`."""
    return join(_("; "), texts)


def sentences(texts: Iterable[str]) -> BilingualText:
    """Return whole sentences one after another, with a blank between them where full-width punctuation has none."""
    kept = list(texts)
    return BilingualText(_space(map(str, kept)), _space(map(other_of, kept)))


def _space(texts: Iterable[str]) -> str:
    spaced = ""
    for text in texts:
        spaced += (" " if spaced and spaced[-1] not in FULL_WIDTH_ENDS else "") + text
    return spaced


def labelled(label: str, text: str) -> BilingualText:
    """Return a text behind its label: `a: b`."""
    return _("{label}: {text}", label=label, text=text)


def capitalized(text: str) -> BilingualText:
    """Return a text that begins with a capital."""
    other = other_of(text)
    return BilingualText(text[:1].upper() + text[1:], other[:1].upper() + other[1:])


# Languages


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that a page can be in: that of the code, then those that have a catalogue."""
    names = (each.name for each in files("runner.outputs").joinpath("locale").iterdir())
    return (ENGLISH, *sorted(name.removesuffix(".mo") for name in names if name.endswith(".mo")))


def language_of(environ: Mapping[str, str]) -> str:
    """Return the language of a locale's variables, as gettext reads them, if a page can be in it; else English.

    `LANGUAGE` lists languages in order of preference; it counts where the locale is not that of the C language.
    """
    locale = next((environ[name] for name in LOCALE_VARIABLES if environ.get(name)), "C")
    if locale.partition(".")[0] in {"C", "POSIX"}:
        return ENGLISH
    wanted = [*filter(None, environ.get("LANGUAGE", "").split(":")), locale]
    names = [name for each in wanted for name in _names_of(each)]
    return next((name for name in names if name in languages()), ENGLISH)


def _names_of(locale: str) -> tuple[str, str]:
    """Return what a catalogue of a locale may be called: `pt_BR.UTF-8` -> `pt_BR`, `pt`."""
    name = re.split("[.@]", locale)[0].replace("-", "_")
    return name, name.partition("_")[0]


@contextmanager
def in_language(language: str | None) -> Iterator[None]:
    """Write texts in a language inside the block, without one in that of this process's locale.

    The other language is English, or where it is English itself the first one that has a catalogue.
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
