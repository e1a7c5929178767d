"""Lenient decoding and encoding of JSON values: whatever the bytes, decoding raises nothing but `ValueError`."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from runner.core.surrogates import join_surrogates

T = TypeVar("T")

# Lenient where providers are sloppy: control characters in strings are accepted, NaN and Infinity become None.
_DECODER = json.JSONDecoder(strict=False, parse_constant=lambda _: None)


def read_json(data: bytes) -> tuple[object, bool]:
    """Return the value of some bytes, and whether characters in it had to be replaced because they are not valid text.

    Raises:
        ValueError: the bytes are not one whole JSON value.

    """
    try:
        return msgspec.json.decode(data), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # msgspec refuses some of what providers send. The standard library decides on those bytes.
        return _read_leniently(data)


def read_json_halves(data: bytes) -> object:
    """Return the value of some bytes with lone surrogates unchanged, since another value may hold the other half.

    Raises:
        ValueError: the bytes are not one whole JSON value.

    """
    return _DECODER.decode(data.decode(errors="replace"))


def decode_together(decoder: msgspec.json.Decoder[T], objects: Sequence[bytes]) -> list[T]:
    """Return the values of the first JSON objects that a decoder accepts, up to one that it does not.

    If it accepts all, one call decodes them. Each object must begin with `{` and end with `}` and, of several, none may
    have a line end inside. Then none can be the rest of the one before it, since no value has `}` before `{`. So if
    there are as many values as objects, each object is one value.
    """
    values: list[T] = []
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = decoder.decode_lines(b"\n".join(objects))
    if len(values) == len(objects):
        return values
    values = []
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        for each in objects:
            values.append(decoder.decode(each))
    return values


def _read_leniently(data: bytes) -> tuple[object, bool]:
    try:
        text, replaced = data.decode(), False
    except UnicodeDecodeError:
        text, replaced = data.decode(errors="replace"), True
    try:
        value: object = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            value, repaired = _repair_surrogates(value)
            replaced = replaced or repaired
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value, replaced


def write_json(value: object) -> str:
    """Return a JSON value as compact text for people to read."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deeply)"


def encode_json(value: object) -> bytes:
    """Return a value as JSON bytes, to be sent."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half of a surrogate pair (an emoji cut in two), which only the standard library encodes.
        return json.dumps(value, separators=(",", ":")).encode()


def as_object(value: object) -> dict[str, object]:
    """Return a JSON object unchanged, and an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def _repair_surrogates(value: object) -> tuple[object, bool]:
    r"""Replace halves of `\ud83d\ude00` pairs, which cannot be encoded; also return whether there were any."""
    text = json.dumps(value, ensure_ascii=False)
    repaired = join_surrogates(text)
    return (value, False) if repaired == text else (_DECODER.decode(repaired), True)
