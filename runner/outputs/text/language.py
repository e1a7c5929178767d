"""The languages of a page: English as it is written in the code, others by gettext's catalogues.

A text knows itself in a second language, too, so that a page can be switched between the two. A third language is a
file beside `locale/zh.po`, compiled to `.mo` by `pybabel compile`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Self

LANGUAGES = ("en", "zh")
"""The languages of a page: the first is that of the code."""

ENGLISH = NullTranslations()

_catalogues: ContextVar[tuple[NullTranslations, NullTranslations]] = ContextVar(
    "catalogues",
    default=(ENGLISH, ENGLISH),
)


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


def _(text: str, **values: object) -> BilingualText:
    """Return a text in the current languages, its `{names}` filled with values."""
    here, there = _catalogues.get()
    return BilingualText(_fill(here.gettext(text), values), _fill_other(there.gettext(text), values))


def plural(number: int, one: str, many: str, **values: object) -> BilingualText:
    """Return a text in the form that a number takes, `{n}` filled with the number."""
    here, there = _catalogues.get()
    values = {"n": f"{number:,}", **values}
    return BilingualText(
        _fill(here.ngettext(one, many, number), values), _fill_other(there.ngettext(one, many, number), values)
    )


def _fill(text: str, values: dict[str, object]) -> str:
    return text.format(**values) if values else text


def _fill_other(text: str, values: dict[str, object]) -> str:
    return _fill(text, {name: other_of(value) if isinstance(value, str) else value for name, value in values.items()})


def join(separator: str, texts: Iterable[str]) -> BilingualText:
    """Return texts joined, in both languages."""
    listed = list(texts)
    return BilingualText(separator.join(listed), other_of(separator).join(map(other_of, listed)))


@contextmanager
def in_language(language: str) -> Iterator[None]:
    """Write texts in a language inside the block; the other one is English, or Chinese where it is English itself."""
    other = LANGUAGES[0] if language != LANGUAGES[0] else LANGUAGES[1]
    token = _catalogues.set((_catalogue(language), _catalogue(other)))
    try:
        yield
    finally:
        _catalogues.reset(token)


@cache
def _catalogue(language: str) -> NullTranslations:
    if language == LANGUAGES[0]:
        return ENGLISH
    compiled = files("runner.outputs").joinpath("locale", f"{language}.mo").read_bytes()
    return GNUTranslations(BytesIO(compiled))
