"""Make thumbnails of a run's images for its page, after the run, so that the measurement is not disturbed."""

from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from runner.core.attachment_parts import Attachment
from runner.core.suite import Case
from runner.errors import FileChanged, WriteFailed
from runner.storage.attachment_files import (
    MAX_THUMBNAIL_BYTES,
    MAX_THUMBNAILS,
    Thumbnail,
    read_thumbnails,
    read_unchanged,
    write_thumbnails,
)

SIDE = 320
"""Length of a thumbnail's longer side in pixels."""

MAX_PIXELS = 50_000_000
"""Pixels above which an image is not opened, since it would take hundreds of megabytes of memory."""

QUALITY = 75


def add_thumbnails(folder: Path, cases: Iterable[Case]) -> None:
    """Add thumbnails of the images in these cases to those in a run's folder."""
    thumbnails = read_thumbnails(folder)
    known = len(thumbnails)
    for image in (each for case in cases for each in case.attachments if each.kind == "image"):
        if image.digest is None or image.digest in thumbnails:
            continue
        if len(thumbnails) == MAX_THUMBNAILS:
            break
        if (made := _thumbnail(image)) is not None:
            thumbnails[image.digest] = made
    if len(thumbnails) > known:
        with suppress(WriteFailed):  # a full disk: writing the tables, which comes next, reports it
            write_thumbnails(folder, thumbnails)


def _thumbnail(image: Attachment) -> Thumbnail | None:
    """Return a thumbnail, which for a small image is the image itself; None if none can be made."""
    try:
        content = read_unchanged(image)
    except FileChanged:
        return None
    if len(content) <= MAX_THUMBNAIL_BYTES:
        return Thumbnail(image.media_type or "", content)
    if (image.width or 0) * (image.height or 0) > MAX_PIXELS:
        return None
    small = _shrunk(content)
    return None if small is None or len(small) > MAX_THUMBNAIL_BYTES else Thumbnail("image/jpeg", small)


def _shrunk(content: bytes) -> bytes | None:
    """Return an image as a small JPEG; None if it cannot be read or Pillow is not installed."""
    try:
        from PIL import Image, UnidentifiedImageError  # an extra
    except ImportError:
        return None
    try:
        with Image.open(BytesIO(content)) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            image.thumbnail((SIDE, SIDE))
            opaque = Image.new("RGB", image.size, "white")
            pixels = image.convert("RGBA")
            opaque.paste(pixels, mask=pixels)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # a damaged image is sent unchanged, and the provider reports what is wrong with it
    written = BytesIO()
    opaque.save(written, "JPEG", quality=QUALITY, optimize=True)
    return written.getvalue()
