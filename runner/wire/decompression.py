"""Undoes a compression that nobody asked for, read by read."""

import zlib

import aiohttp

LONGEST = 16 * 1024 * 1024
"""Bytes that one read may become: memory stays bounded."""

ZLIB_OR_GZIP = zlib.MAX_WBITS + 32
KNOWN = frozenset({"gzip", "x-gzip", "deflate"})


def is_compressed(coding: str) -> bool:
    """Whether a Content-Encoding changes what is sent."""
    return coding.strip().lower() not in ("", "identity")


class BadCompression(aiohttp.ClientPayloadError):
    """What came was compressed, and cannot be read."""


class Decompressor:
    """Takes the reads of one body; raises `BadCompression` where they cannot be what they claim to be."""

    def __init__(self, coding: str) -> None:
        if coding.strip().lower() not in KNOWN:
            raise BadCompression(f"{coding!r} was not asked for")
        self._stream = zlib.decompressobj(ZLIB_OR_GZIP)

    def feed(self, data: bytes) -> bytes:
        """Return what a read was before it was compressed."""
        try:
            plain = self._stream.decompress(data, LONGEST)
        except zlib.error as error:
            raise BadCompression(str(error)) from error
        if self._stream.unconsumed_tail:
            raise BadCompression("one read became too long")
        return plain
