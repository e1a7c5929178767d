"""Small images, documents and sounds, made by the specifications of their formats."""

import struct
import zlib


def png(width: int, height: int, fill: int = 0) -> bytes:
    """Return a PNG image of one grey."""
    rows = (b"\0" + bytes([fill]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(width: int, height: int) -> bytes:
    """Return the head of a GIF image, and its end."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b";"


def jpeg(width: int, height: int, frame: int = 0xC0) -> bytes:
    """Return a JPEG image up to its frame header, with segments of other kinds before it."""
    app = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    tables = b"\xff\xc4" + struct.pack(">H", 5) + b"abc"  # a Huffman table, whose marker is among those of frames
    head = struct.pack(">HBHHB", 8, 8, height, width, 0)
    return b"\xff\xd8" + app + tables + b"\xff" + bytes([0xFF, frame]) + head + b"\xff\xd9"


def webp(width: int, height: int, kind: bytes) -> bytes:
    """Return the head of a WebP image of one of its three kinds: `VP8X`, `VP8L` and `VP8 `."""
    if kind == b"VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def wav(samples: int, rate: int = 8000) -> bytes:
    """Return a WAV file of silence, 16 bits a sample."""
    data, shape = bytes(2 * samples), struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + shape + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def mp3(frames: int, *, tagged: bool = False) -> bytes:
    """Return an MP3 file of silence: MPEG 1, layer 3, 128 kbit/s, 44.1 kHz, so that a frame has 417 bytes."""
    tag = b"ID3\x04\0\0" + bytes([0, 0, 1, 0]) + bytes(128) if tagged else b""
    return tag + (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def pdf(pages: int) -> bytes:
    """Return the objects of a PDF that name its pages."""
    objects = b"".join(b"%d 0 obj<</Type /Page /Parent 1 0 R>>endobj\n" % number for number in range(2, pages + 2))
    return b"%PDF-1.7\n1 0 obj<</Type/Pages>>endobj\n" + objects + b"%%EOF\n"
