"""Recordings <-> bytes. Pure: a frame is understood without the ones around it."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from runner.storage.recordings.recording import Label, Reads, decode_label, encode_label

SIZES = struct.Struct("<IIIQ")
"""Bytes of the label, of the reads' steps and sizes, and of the body, each as compressed."""

LEVEL = 1
"""Streams repeat themselves so much that the fastest level leaves a tenth or less; the next takes twice the time."""


class Damaged(ValueError):
    """Bytes that are no recording."""


@dataclass(frozen=True, slots=True)
class PackedReads:
    """Reads, compressed: their stamps as steps, their sizes, and their bytes one behind the other."""

    steps: bytes
    sizes: bytes
    body: bytes


class ReadsPacker:
    """Compresses reads as they come, a few at a time: what is kept of a long stream stays small."""

    def __init__(self) -> None:
        self._last_ns = 0
        self._steps, self._sizes, self._body = _Deflated(), _Deflated(), _Deflated()

    def add(self, reads: Reads) -> bytes:
        """Take reads in, in the order in which they came; return their bytes, joined."""
        stamps_ns = [at_ns for at_ns, _ in reads]
        joined = b"".join([data for _, data in reads])
        self._steps.add(_numbers([b - a for a, b in pairwise((self._last_ns, *stamps_ns))]))
        self._sizes.add(_numbers([len(data) for _, data in reads]))
        self._body.add(joined)
        self._last_ns = stamps_ns[-1] if stamps_ns else self._last_ns
        return joined

    def finish(self) -> PackedReads:
        """Return all of them; nothing can be added any more."""
        return PackedReads(self._steps.finish(), self._sizes.finish(), self._body.finish())


class _Deflated:
    def __init__(self) -> None:
        self._deflater = zlib.compressobj(LEVEL)
        self._done = bytearray()

    def add(self, data: bytes) -> None:
        self._done += self._deflater.compress(data)

    def finish(self) -> bytes:
        return bytes(self._done + self._deflater.flush())


def pack_reads(reads: Reads) -> PackedReads:
    """Compress reads that are at hand as a whole."""
    packer = ReadsPacker()
    packer.add(reads)
    return packer.finish()


def unpack_reads(packed: PackedReads) -> list[tuple[int, bytes]]:
    """Undo the compression of reads; raise Damaged if that is not possible."""
    try:
        steps, sizes = _read_numbers(packed.steps), _read_numbers(packed.sizes)
        body = zlib.decompress(packed.body)
    except (zlib.error, struct.error) as error:
        raise Damaged(str(error)) from error
    if len(sizes) != len(steps) or min(sizes, default=0) < 0 or sum(sizes) != len(body):
        raise Damaged("its columns do not fit its bytes")
    bounds = pairwise(accumulate(sizes, initial=0))
    return [(at_ns, body[start:end]) for at_ns, (start, end) in zip(accumulate(steps), bounds, strict=True)]


def _numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def _read_numbers(packed: bytes) -> tuple[int, ...]:
    raw = zlib.decompress(packed)
    return struct.unpack(f"<{len(raw) // 8}q", raw)


def encode_frame(label: Label, reads: PackedReads) -> bytes:
    """Return a recording as a file holds it."""
    packed_label = zlib.compress(encode_label(label), LEVEL)
    sizes = SIZES.pack(len(packed_label), len(reads.steps), len(reads.sizes), len(reads.body))
    return b"".join((sizes, packed_label, reads.steps, reads.sizes, reads.body))


def read_label(packed: bytes) -> Label:
    """Return the label that a frame begins with; raise Damaged if it is none."""
    try:
        return decode_label(zlib.decompress(packed))
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(repr(error)) from error
