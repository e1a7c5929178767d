"""Bytes that ought to be one JSON value. Whatever they are, nothing but `ValueError` is raised."""

import json

import msgspec

# Lenient where providers are sloppy: raw control characters in strings pass, NaN and Infinity are nothing.
_DECODER = json.JSONDecoder(strict=False, parse_constant=lambda _: None)


def read_json(data: bytes) -> tuple[object, bool]:
    """Return the value, and whether characters in it had to be replaced to make it text.

    Raises:
        ValueError: this is not one whole JSON value.

    """
    try:
        return msgspec.json.decode(data), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Stricter than what providers send. The standard library is the judge of what it refuses.
        return _read_leniently(data)


def _read_leniently(data: bytes) -> tuple[object, bool]:
    try:
        text, replaced = data.decode(), False
    except UnicodeDecodeError:
        text, replaced = data.decode(errors="replace"), True
    try:
        value: object = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            value, mended = _mend_surrogates(value)
            replaced = replaced or mended
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value, replaced


def write_json(value: object) -> str:
    """Render a part of a JSON value compactly, to be read by a person."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deeply)"


def encode_json(value: object) -> bytes:
    """Return a value as it is sent."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half an emoji: rare, and no reason not to ask.
        return json.dumps(value, separators=(",", ":")).encode()


def as_object(value: object) -> dict[str, object]:
    """Return a JSON object as it is, and an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def _mend_surrogates(value: object) -> tuple[object, bool]:
    r"""Replace halves of `\ud83d\ude00` pairs, which no encoder could write down again."""
    text = json.dumps(value, ensure_ascii=False)
    mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return (value, False) if mended == text else (_DECODER.decode(mended), True)
