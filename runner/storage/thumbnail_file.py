"""The thumbnails of a run's images, in a file beside its journal: small pictures for people, and nothing else."""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.core.media_types import GIF, JPEG, PNG, WEBP, identify
from runner.storage.atomic_write import write_atomically
from runner.storage.run_folder import THUMBNAILS_FILE

MOST_BYTES = 32_000
"""Limit on the bytes of a thumbnail; a larger one is left out."""

MOST_THUMBNAILS = 100
MOST_FILE_BYTES = 2 * MOST_BYTES * MOST_THUMBNAILS


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture: its media type, and its bytes."""

    media_type: str
    data: bytes

    @property
    def data_url(self) -> str:
        """The picture as a `data:` URL."""
        return f"data:{self.media_type};base64,{b64encode(self.data).decode('ascii')}"


def write_thumbnails(folder: Path, thumbnails: Mapping[str, Thumbnail]) -> None:
    """Write the thumbnails of images by the SHA-256 of each image; no file if there are none."""
    if thumbnails:
        texts = {digest: b64encode(each.data).decode("ascii") for digest, each in thumbnails.items()}
        write_atomically(folder / THUMBNAILS_FILE, json.dumps(texts, indent=0))


def read_thumbnails(folder: Path) -> dict[str, Thumbnail]:
    """Return the thumbnails in a run's folder; since the file may be foreign, only small pictures are accepted."""
    try:
        with (folder / THUMBNAILS_FILE).open("rb") as file:
            texts = json.loads(file.read(MOST_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    found: dict[str, Thumbnail] = {}
    for digest, text in texts.items() if isinstance(texts, dict) else ():
        picture = _picture(text)
        if picture is not None and len(found) < MOST_THUMBNAILS:
            found[str(digest)] = picture
    return found


def _picture(text: object) -> Thumbnail | None:
    try:
        data = b64decode(text, validate=True) if isinstance(text, str) else b""
    except (NotBase64, ValueError):
        return None
    media = identify(data) if len(data) <= MOST_BYTES else None
    return Thumbnail(media.type, data) if media is not None and media.type in (PNG, JPEG, GIF, WEBP) else None
