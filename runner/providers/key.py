"""Find a provider's API key in the environment variables of its row, check it, and never show it."""

import re
from collections.abc import Mapping
from typing import NoReturn

from runner.errors import MissingKey
from runner.providers.provider_row import ProviderRow

SHARED_VARIABLE = "OPENAI_API_KEY"
"""The variable that many tutorials use for another vendor's key."""

PLACEHOLDER = re.compile(
    r"""
      [<{\[(].*[>}\])] | \$.*                         # <key>, ${KEY}
    | ((sk|gsk|xai)[-_] ((proj|ant|or-v1)[-_])?)? [x*.\u2026_-]{3,}  # sk-xxx, ***, ...
    | (.*[-_ ])? your ([-_ ].*|api.*|key.*|token.*)?  # your-api-key, sk-your-key
    | .*\b(change|replace)[-_ ]?(me|this|it|with).*
    | .*(placeholder|api[-_ ]?key[-_ ]here|key[-_ ]here).*
    | (my|the|an?|enter|insert|put|paste|add|dummy|fake|sk)?[-_ ]?(api)?[-_ ]?key
    | (todo|tbd|none|null|changeme|secret)
    | .*(你的|您的|替换|请填|填入|填写|密钥|在此|这里).*
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Key:
    """A secret that no representation shows; only `reveal` returns its value."""

    __slots__ = ("_value", "variable")

    def __init__(self, value: str, variable: str) -> None:
        self._value = value
        self.variable = variable

    def reveal(self) -> str:
        """Return the value, for the request's header and for redaction."""
        return self._value

    def __repr__(self) -> str:
        return f"Key({self.variable})"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a key is not pickled; find it again where it is needed")


def find_key(provider: str, row: ProviderRow, environ: Mapping[str, str]) -> Key | None:
    """Return the key from the row's first variable that holds one; None if none is set and none is needed.

    Raises:
        MissingKey: a key is needed and none is set, or the value that is set cannot be a key.

    """
    filled = [name for name in row.api_key_env if environ.get(name, "").strip()]
    for variable in filled:
        value = environ[variable].strip()
        if row.keyless or not _is_placeholder(value, variable):  # a local server may accept any word
            return _checked_key(value, variable)
    if filled:
        raise MissingKey(
            f"{filled[0]} is set, but its value looks like a placeholder from an example. "
            f"Put the key of {row.label or provider} there."
        )
    if row.keyless:
        return None
    raise MissingKey(_describe_absence(provider, row, environ))


def _is_placeholder(value: str, variable: str) -> bool:
    return value == variable or PLACEHOLDER.fullmatch(value) is not None


def _checked_key(value: str, variable: str) -> Key:
    """Return the key; refuse a value that no header can carry, since a library would quote it in a traceback."""
    if not value.isascii() or not value.isprintable():
        where = next(i for i, character in enumerate(value, 1) if not ("!" <= character <= "~"))
        raise MissingKey(
            f"The value of {variable} holds a character no key has (a control or non-ASCII one, at place {where}). "
            "Copy the key again, without anything around it."
        )
    if re.search(r"""[\s"'`]""", value):
        raise MissingKey(f"The value of {variable} holds a space or a quotation mark. Set it to the bare key.")
    return Key(value, variable)


def _describe_absence(provider: str, row: ProviderRow, environ: Mapping[str, str]) -> str:
    if not row.api_key_env:
        return f"The row of {provider} names no variable for its key. Write api_key_env: NAME, or keyless: true."
    first, *others = row.api_key_env
    empty = [name for name in row.api_key_env if name in environ]
    what = f"{empty[0]} is set but empty" if empty else f"{first} is not set"
    also = f" ({', '.join(others)} would do too)" if others else ""
    sentence = (
        f"{what}{also}: {row.label or provider} cannot be asked without a key. Set it in the shell, "
        f"`export {first}=YOUR_KEY`, or write the line `{first}=YOUR_KEY` into a file .env beside the suite."
    )
    if environ.get(SHARED_VARIABLE, "").strip() and SHARED_VARIABLE not in row.api_key_env:
        sentence += (
            f" {SHARED_VARIABLE} is set and is not sent to {provider} unasked; if it holds the key of {provider}, "
            f"say so in compare.yaml:\n\n    providers:\n      {provider}:\n        api_key_env: {SHARED_VARIABLE}\n"
        )
    return sentence
