r"""Surrogates: JSON may write a character as two halves, `\ud83d\ude00`; UTF-8 cannot encode a lone half."""

import re

SURROGATE = re.compile("[\ud800-\udfff]")


def join_surrogates(text: str) -> str:
    """Return a text with pairs of surrogates joined and lone ones replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def repair_surrogates(text: str) -> tuple[str, bool]:
    """Return a text with pairs joined and lone surrogates replaced by U+FFFD, and whether there were lone ones."""
    if text.isascii() or SURROGATE.search(text) is None:
        return text, False
    joined = join_surrogates(text)
    return joined, "\ufffd" in joined and joined.count("\ufffd") > text.count("\ufffd")


def count_utf8_bytes(text: str) -> int:
    """Return the number of bytes of a text in UTF-8; a lone surrogate counts three."""
    return len(text.encode(errors="surrogatepass"))


def escape_surrogates(json_text: str) -> str:
    r"""Return JSON with lone surrogates, which UTF-8 cannot encode, written as `\uXXXX`."""
    return SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", json_text)


def rest_of(whole: str, received: str) -> str | None:
    """Return the part of a whole text that follows the received part; None if the whole does not begin with it.

    The received text may hold the two halves of a character apart, or end with the first half of one: then the rest
    begins with the second half. A lone half may be U+FFFD in the whole text.
    """
    if whole.startswith(received):
        return whole[len(received) :]
    if received.isascii() or SURROGATE.search(received) is None:
        return None
    units, begun = (text.encode("utf-16-le", "surrogatepass") for text in (whole, received))
    if units.startswith(begun):
        return units[len(begun) :].decode("utf-16-le", "surrogatepass")
    replaced = join_surrogates(received)
    return whole[len(replaced) :] if whole.startswith(replaced) else None
