"""Decompression of bodies that no request asked to be compressed, read by read.

Servers name codings that are none (`none`, `utf-8`), name one and send plain text, cut gzip into members, or leave out
zlib's header. Performs no I/O.
"""

import re
import zlib
from collections.abc import Mapping

import aiohttp

LONGEST_DECOMPRESSED = 16 * 1024 * 1024
"""Bytes that one read may become when decompressed, so that memory stays bounded."""

GZIP = frozenset({"gzip", "x-gzip"})
KNOWN = GZIP | {"deflate", "zlib", "br", "zstd", "compress", "x-compress", "dcb", "dcz"}
"""Names of codings; any other word in the header names none, and the body is plain."""

GZIP_MAGIC = b"\x1f\x8b"
PLAIN_START = re.compile(rb"[\s\xef\xbb\xbf]*(data|event|id|retry|error)?[:{\[<\"]")
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
DECIDING_BYTES = 24
"""Bytes after which a body is compressed or plain."""


class BadCompression(aiohttp.ClientPayloadError):
    """The body is compressed and cannot be decompressed."""


def find_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings that a response's headers really name, in the order in which they were applied."""
    named = headers.get("content-encoding", "").lower().split(",")
    return [coding for name in named if (coding := name.strip(" \t\"'").partition(";")[0]) in KNOWN]


class Decompression:
    """Undoes the codings of one body; raises `BadCompression` where that is not possible."""

    def __init__(self, codings: list[str]) -> None:
        self._codings = codings
        self._layers: list[_Layer] | None = None
        self._begin = b""
        self.is_compressed = False
        """Whether the body was really compressed; False until its first bytes are here."""

    def feed(self, data: bytes) -> bytes:
        """Return one read, decompressed; nothing while the first bytes do not show what they are."""
        if self._layers is None or self._begin:
            self._begin += data
            if self._layers is None and not self._decide():
                return b""
            data, self._begin = self._begin, b""
        for layer in self._layers or ():
            data = layer.feed(data)
        return data

    def finish(self) -> bytes:
        """Return what was held back at the end of the body."""
        if self._layers is not None or not self._begin:
            return b""
        self._accept()
        return self.feed(b"")

    def _decide(self) -> bool:
        """Decide from the first bytes whether the body is compressed; return whether that is known."""
        begin = self._begin
        if CONTROL.search(begin) is None and PLAIN_START.match(begin):
            self._layers = []
            return True
        if len(begin) < 2 or (self._could_be_plain(begin) and len(begin) < DECIDING_BYTES):
            return False
        self._accept()
        return True

    def _accept(self) -> None:
        """Take the body for compressed."""
        unknown = [coding for coding in self._codings if coding not in GZIP | {"deflate", "zlib"}]
        if unknown:
            raise BadCompression(f"{unknown[0]!r} was not asked for")
        self._layers = [_Layer() for _ in self._codings]
        self.is_compressed = True

    def _could_be_plain(self, begin: bytes) -> bool:
        return begin.isascii() and CONTROL.search(begin) is None


class _Layer:
    """One coding: gzip in any number of members, zlib, or raw deflate."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None
        self._waiting = b""
        self._had_member = False
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Return one read, decompressed."""
        plain = b""
        data = self._waiting + data
        self._waiting = b""
        while data and not self._over:
            if self._stream is None and not self._open(data):
                break
            piece, data = self._decompress(data, LONGEST_DECOMPRESSED - len(plain))
            plain += piece
        return plain

    def _open(self, data: bytes) -> bool:
        """Begin a member, if its first two bytes are here; what is behind the last one is padding."""
        if len(data) < 2:
            self._waiting = data
            return False
        if self._had_member and not data.startswith(GZIP_MAGIC):
            self._over = True
            return False
        self._stream = zlib.decompressobj(_window_bits(data))
        return True

    def _decompress(self, data: bytes, limit: int) -> tuple[bytes, bytes]:
        """Return decompressed bytes, and those behind the end of the member."""
        assert self._stream is not None
        try:
            plain = self._stream.decompress(data, max(limit, 1))
        except zlib.error as error:
            if self._had_member:
                self._over = True  # only looked like one more member
                return b"", b""
            raise BadCompression(str(error)) from error
        if self._stream.unconsumed_tail:
            raise BadCompression("one read became too long")
        rest = self._stream.unused_data
        if self._stream.eof:
            self._stream, self._had_member = None, True
        return plain, rest


def _window_bits(data: bytes) -> int:
    """Return what zlib needs to know about a member, from its first two bytes."""
    if data.startswith(GZIP_MAGIC):
        return zlib.MAX_WBITS + 16
    has_zlib_header = data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0
    return zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS
