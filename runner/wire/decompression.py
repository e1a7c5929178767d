"""Decompression, read by read, of bodies that servers compress although no request asks for it.

Some servers name codings that do not exist (`none`, `utf-8`), name one but send plain text, split gzip into members, or
omit zlib's header. This module performs no I/O.
"""

import re
import zlib
from collections.abc import Mapping

import aiohttp

from runner.core.suite import REPLY_LIMIT

GZIP = frozenset({"gzip", "x-gzip"})
KNOWN = GZIP | {"deflate", "zlib", "br", "zstd", "compress", "x-compress", "dcb", "dcz"}
"""Names of codings. Any other word in the header is ignored."""

MAX_CODINGS = 5
"""Maximum number of nested codings of a body; each needs memory of its own."""

GZIP_MAGIC = b"\x1f\x8b"
PLAIN_START = re.compile(rb"[\s\xef\xbb\xbf]*(data|event|id|retry|error)?[:{\[<\"]")
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
DECIDING_BYTES = 24
"""Number of bytes after which a body that may be plain is treated as compressed."""


class BadCompression(aiohttp.ClientPayloadError):
    """The body is compressed and cannot be decompressed."""


def find_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings that a response's headers really name, in the order in which they were applied."""
    named = headers.get("content-encoding", "").lower().split(",")
    return [coding for name in named if (coding := name.strip(" \t\"'").partition(";")[0]) in KNOWN]


class Decompression:
    """Undoes the codings of one body.

    Each coding yields little more than `limit` bytes, however far a small body expands. `feed` and `finish` raise
    `BadCompression` if the body cannot be decompressed.
    """

    def __init__(self, codings: list[str], limit: int = REPLY_LIMIT) -> None:
        self._codings = codings
        self._limit = limit
        self._layers: list[_Layer] | None = None
        self._begin = b""
        self.is_compressed = False
        """Whether the body is compressed, judged by its first bytes; False until they arrive."""

    @property
    def overflowed(self) -> bool:
        """Whether a coding has yielded more than the limit."""
        return any(layer.overflowed for layer in self._layers or ())

    def feed(self, data: bytes) -> bytes:
        """Return a read, decompressed; nothing until the first bytes show whether the body is compressed."""
        if self._layers is None or self._begin:
            self._begin += data
            if self._layers is None and not self._decide():
                return b""
            data, self._begin = self._begin, b""
        for layer in self._layers or ():
            data = layer.feed(data)
        return data

    def finish(self) -> bytes:
        """Return what was held back, at the end of the body."""
        if self._layers is not None or not self._begin:
            return b""
        self._start_decompressing()
        return self.feed(b"")

    def _decide(self) -> bool:
        """Decide from the first bytes whether the body is compressed; return False if more bytes are needed."""
        begin = self._begin
        if CONTROL.search(begin) is None and PLAIN_START.match(begin):
            self._layers = []
            return True
        if len(begin) < 2 or (self._could_be_plain(begin) and len(begin) < DECIDING_BYTES):
            return False
        self._start_decompressing()
        return True

    def _start_decompressing(self) -> None:
        """Treat the body as compressed.

        Raises:
            BadCompression: a coding is not supported, or there are too many.

        """
        unknown = [coding for coding in self._codings if coding not in GZIP | {"deflate", "zlib"}]
        if unknown:
            raise BadCompression(f"{unknown[0]!r} was not asked for")
        if len(self._codings) > MAX_CODINGS:
            raise BadCompression(f"{len(self._codings)} nested codings")
        self._layers = [_Layer(self._limit) for _ in self._codings]
        self.is_compressed = True

    def _could_be_plain(self, begin: bytes) -> bool:
        return begin.isascii() and CONTROL.search(begin) is None


class _Layer:
    """One coding: gzip in any number of members, zlib, or raw deflate."""

    def __init__(self, limit: int) -> None:
        self._left = limit + 1
        """Number of bytes that may still be output: at first one more than the limit, so that an overflow shows."""
        self._stream: zlib._Decompress | None = None
        self._waiting = b""
        self._had_member = False
        self._over = False

    @property
    def overflowed(self) -> bool:
        """Whether the output exceeds the limit; further output is dropped."""
        return self._left <= 0

    def feed(self, data: bytes) -> bytes:
        """Return one read, decompressed."""
        plain = bytearray()
        data = self._waiting + data
        self._waiting = b""
        while data and not self._over and not self.overflowed:
            if self._stream is None and not self._open(data):
                break
            piece, data = self._decompress(data)
            plain += piece
            self._left -= len(piece)
        return bytes(plain)

    def _open(self, data: bytes) -> bool:
        """Begin a member and return True, if its first two bytes are here; data after the last member is padding."""
        if len(data) < 2:
            self._waiting = data
            return False
        if self._had_member and not data.startswith(GZIP_MAGIC):
            self._over = True
            return False
        self._stream = zlib.decompressobj(_window_bits(data))
        return True

    def _decompress(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the decompressed bytes, at most as many as are left, and the input after the end of the member."""
        assert self._stream is not None
        try:
            plain = self._stream.decompress(data, self._left)
        except zlib.error as error:
            if self._had_member:
                self._over = True  # it only looked like another member
                return b"", b""
            raise BadCompression(str(error)) from error
        rest = self._stream.unused_data
        if self._stream.eof:
            self._stream, self._had_member = None, True
        return plain, rest


def _window_bits(data: bytes) -> int:
    """Return zlib's `wbits` for a member, given its first two bytes."""
    if data.startswith(GZIP_MAGIC):
        return zlib.MAX_WBITS + 16
    has_zlib_header = data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0
    return zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS
