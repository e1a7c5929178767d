"""The language of a text that people read: English as it is written here, others by catalogues of gettext."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from gettext import NullTranslations

_catalogue: ContextVar[NullTranslations] = ContextVar("catalogue", default=NullTranslations())  # noqa: B039 -- has no state


def _(text: str, **values: object) -> str:
    """Return a text in the current language, its `{names}` filled with values."""
    found = _catalogue.get().gettext(text) if text else ""
    return found.format(**values) if values else found


def plural(number: int, one: str, many: str, **values: object) -> str:
    """Return a text in the form that a number takes, `{n}` filled with the number."""
    return _catalogue.get().ngettext(one, many, number).format(n=f"{number:,}", **values)


@contextmanager
def in_language(catalogue: NullTranslations) -> Iterator[None]:
    """Write texts by a catalogue inside the block."""
    token = _catalogue.set(catalogue)
    try:
        yield
    finally:
        _catalogue.reset(token)
