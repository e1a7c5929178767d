"""One recorded attempt: its label, its reads, and the frame that stores both. Performs no I/O."""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate, pairwise

import msgspec

from runner.core.events import Failed, Outcome
from runner.core.suite import DEFAULT_API, MAX_REPLY_LIMIT, NONCE, Api
from runner.core.target_name import TargetName
from runner.storage.stored_field_names import StoredNames

Reads = Sequence[tuple[int, bytes]]
"""Pairs of a timestamp in nanoseconds and the bytes of the body that a read returned."""

UNKEPT_HEADERS = frozenset({"set-cookie", "openai-organization", "openai-project"})
"""Headers of a response that are secret, or name the account."""


@dataclass(frozen=True, slots=True)
class Label:
    """A recording without its reads. Timestamps are `perf_counter_ns` of the process that read them, None if absent."""

    key: str
    attempt: int
    provider: str
    model: str
    conversation: str
    """Identifies the conversation in a replay: see `conversation_digest`."""
    epoch_ns: int
    sent_ns: int | None = None
    status: int | None = None
    """HTTP status of the response; None if no response began."""
    headers: Mapping[str, str] = field(default_factory=dict)
    headers_ns: int | None = None
    closed_ns: int | None = None
    """Time at which the response had ended or failed; None if none began, or the run was interrupted."""
    failed: Failed | None = None
    """The failure that ended the attempt and is not in its bytes: a timeout, the connection, an interrupted run."""
    flags: tuple[str, ...] = ()
    """The row's flags that do not follow from the body."""
    body_flags: tuple[str, ...] | None = None
    """Flags on the reception of the body that do not follow from the reads; None in older recordings."""
    warmup: bool = False
    withheld: bool = False
    """Whether the reads are not stored because a key is spread over several of them."""
    variant: str | None = None
    api: Api = DEFAULT_API
    """The dialect of the bytes."""

    @property
    def target(self) -> TargetName:
        """The target's name."""
        return TargetName(self.provider, self.model, self.variant)

    @property
    def is_interrupted(self) -> bool:
        """Whether the run was interrupted before the attempt ended, so that the rest of the reply is unknown."""
        return self.failed is not None and self.failed.outcome is Outcome.CANCELLED


def conversation_digest(model: str, messages: Iterable[tuple[str, str]]) -> str:
    """Return a digest of a model, with its variant if it has one, and messages, pairs of role and text.

    Parameters do not count.
    """
    texts = list(messages)
    if texts:
        role, text = texts[0]
        texts[0] = (role, NONCE.sub("", text))
    # A lone surrogate becomes a question mark, as it does in a request's UTF-8.
    return sha256(json.dumps([model, texts], ensure_ascii=False).encode(errors="replace")).hexdigest()[:16]


_LABEL = StoredNames(
    Label,
    *("key", "attempt", "provider", "model", "conversation", "epoch_ns", "sent_ns", "status", "headers", "headers_ns"),
    *("closed_ns", "failed", "flags", "body_flags", "warmup", "withheld", "api", "variant"),
)
_FAILED = StoredNames(
    Failed,
    *("at_ns", "outcome", "message", "error_type", "http_status", "code", "retry_after_s", "worth_repeating"),
)


def encode_label(label: Label) -> bytes:
    """Return a label as JSON."""
    members = _LABEL.encode(label)
    if label.failed is not None:
        members["failed"] = _FAILED.encode(label.failed)
    return json.dumps(members, separators=(",", ":")).encode()


def decode_label(data: bytes) -> Label:
    """Parse a label; names that this version does not know are ignored.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the data is not a label.

    """
    values = _LABEL.decode(json.loads(data))
    if values.get("failed") is not None:
        values["failed"] = _FAILED.decode(values["failed"])
    label: Label = msgspec.convert(values, Label)
    return label


SIZES = struct.Struct("<IIIQ")
"""Compressed sizes in bytes: of the label, of the reads' time steps and sizes, and of the body."""

COMPRESSION_LEVEL = 1
"""zlib's fastest level: it reduces a stream to a tenth or less, and the next level takes twice the time."""


MAX_SEPARATE_READS = 1_000_000
"""Number of reads of an attempt that are stored one by one; later ones are joined, one piece per time slice."""

MAX_LABEL_BYTES = 1024 * 1024
"""Limit on the bytes of a label, which contains a response's headers."""

MAX_READS = 2 * MAX_SEPARATE_READS
"""Limit on the reads of a recording; even a reply of single bytes has fewer."""


class DamagedRecording(ValueError):
    """The bytes are not a recording."""


@dataclass(frozen=True, slots=True)
class PackedReads:
    """Compressed reads: the differences of their timestamps, their sizes, and their bytes joined."""

    steps: bytes
    sizes: bytes
    body: bytes


class ReadsPacker:
    """Compresses reads as they arrive, a few at a time, so that a long stream takes little memory."""

    def __init__(self) -> None:
        self._last_ns = self._count = 0
        self._steps, self._sizes, self._body = _Compressed(), _Compressed(), _Compressed()

    def add(self, reads: Reads) -> bytes:
        """Add reads in the order in which they arrived; return their bytes, joined."""
        if self._count >= MAX_SEPARATE_READS and reads:
            reads = [(reads[-1][0], b"".join([data for _, data in reads]))]
        self._count += len(reads)
        times_ns = [at_ns for at_ns, _ in reads]
        joined = b"".join([data for _, data in reads])
        self._steps.add(_pack_numbers([b - a for a, b in pairwise((self._last_ns, *times_ns))]))
        self._sizes.add(_pack_numbers([len(data) for _, data in reads]))
        self._body.add(joined)
        self._last_ns = times_ns[-1] if times_ns else self._last_ns
        return joined

    def finish(self) -> PackedReads:
        """Return all reads, compressed; nothing can be added afterwards."""
        return PackedReads(self._steps.finish(), self._sizes.finish(), self._body.finish())


class _Compressed:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(COMPRESSION_LEVEL)
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += self._compressor.compress(data)

    def finish(self) -> bytes:
        return bytes(self._data + self._compressor.flush())


def pack_reads(reads: Reads) -> PackedReads:
    """Return reads, compressed."""
    packer = ReadsPacker()
    packer.add(reads)
    return packer.finish()


def unpack_reads(packed: PackedReads) -> list[tuple[int, bytes]]:
    """Return the reads that were compressed.

    Raises:
        DamagedRecording: the bytes are not compressed reads.

    """
    try:
        steps, sizes = _unpack_numbers(packed.steps), _unpack_numbers(packed.sizes)
        body = _unpack(packed.body, MAX_REPLY_LIMIT)
    except (zlib.error, struct.error) as error:
        raise DamagedRecording("its reads cannot be decompressed") from error
    if len(sizes) != len(steps) or min(sizes, default=0) < 0 or sum(sizes) != len(body):
        raise DamagedRecording("its columns do not fit its bytes")
    bounds = pairwise(accumulate(sizes, initial=0))
    return [(at_ns, body[start:end]) for at_ns, (start, end) in zip(accumulate(steps), bounds, strict=True)]


def _pack_numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def _unpack(packed: bytes, limit: int) -> bytes:
    """Return decompressed bytes, `limit` at most: a few kilobytes of a foreign file could become gigabytes."""
    stream = zlib.decompressobj()
    data = stream.decompress(packed, limit + 1)
    if len(data) > limit:
        raise DamagedRecording("its reads are larger than those of any recording")
    if not stream.eof:
        raise DamagedRecording("its compressed data are incomplete")
    return data


def _unpack_numbers(packed: bytes) -> tuple[int, ...]:
    raw = _unpack(packed, MAX_READS * 8)
    return struct.unpack(f"<{len(raw) // 8}q", raw)


def encode_frame(label: Label, reads: PackedReads) -> bytes:
    """Return the frame that stores a recording."""
    packed_label = zlib.compress(encode_label(label), COMPRESSION_LEVEL)
    sizes = SIZES.pack(len(packed_label), len(reads.steps), len(reads.sizes), len(reads.body))
    return b"".join((sizes, packed_label, reads.steps, reads.sizes, reads.body))


def read_label(packed: bytes) -> Label:
    """Return the label at the beginning of a frame.

    Raises:
        DamagedRecording: the bytes are not a label.

    """
    try:
        return decode_label(_unpack(packed, MAX_LABEL_BYTES))
    except DamagedRecording:
        raise
    except zlib.error as error:
        raise DamagedRecording("its label cannot be decompressed") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedRecording("its label is not one that this version writes") from error
