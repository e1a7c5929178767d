"""Files of attachments: the data of an attached file when it is sent, and a run's file of thumbnails.

Files are kept in memory up to a limit. Thumbnails are stored beside the journal, for the page; an attachment is known
by its digest.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from runner.core.attachment_parts import Attachment
from runner.core.media_types import GIF, JPEG, PNG, TEXT, WEBP, identify
from runner.errors import FileChanged
from runner.storage.atomic_write import write_atomically
from runner.storage.run_folder import THUMBNAILS_FILE

MAX_KEPT_CHARACTERS = 64 << 20
"""Limit on the characters of base64 in memory; the file that was read last is kept in any case."""


class AttachmentFiles:
    """Reads attached files; a file that has changed since the suite was read is refused."""

    def __init__(self, most_kept: int = MAX_KEPT_CHARACTERS) -> None:
        self._most_kept = most_kept
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def kept(self, attachment: Attachment) -> str | None:
        """Return the cached data of a file, or an empty text for a URL; None if the file must be read."""
        if attachment.path is None:
            return ""
        with self._lock:
            data = self._kept.get(attachment.digest or "")
            if data is not None:
                self._kept.move_to_end(attachment.digest or "")
            return data

    def read(self, attachment: Attachment) -> str:
        """Return the data to send of an attachment: the file in base64, or the text of a text file. May be slow.

        Raises:
            FileChanged: the file is missing, cannot be read, or has changed since the suite was read.

        """
        data = self.kept(attachment)
        if data is None:
            content = read_unchanged(attachment)
            data = content.decode() if attachment.media_type == TEXT else b64encode(content).decode("ascii")
            self._keep(attachment.digest or "", data)
        return data

    def _keep(self, digest: str, data: str) -> None:
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = data
                self._size += len(data)
            while self._size > self._most_kept and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped)


def read_unchanged(attachment: Attachment) -> bytes:
    """Return the bytes of an attached file.

    Raises:
        FileChanged: the file is missing, cannot be read, or has changed since the suite was read.

    """
    try:
        content = Path(attachment.path or "").read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise FileChanged(f"{attachment.path} cannot be read any more: {why}. {_HINT}") from None
    if sha256(content).hexdigest() != attachment.digest:
        raise FileChanged(f"{attachment.path} has changed since the run began. {_HINT}")
    return content


_HINT = "Put it back and resume the run, or run the suite again; the rows until now are kept"


MAX_THUMBNAIL_BYTES = 32_000
"""Limit on the bytes of a thumbnail; a larger one is left out."""

MAX_THUMBNAILS = 100
MAX_THUMBNAILS_FILE_BYTES = 2 * MAX_THUMBNAIL_BYTES * MAX_THUMBNAILS


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
            texts = json.loads(file.read(MAX_THUMBNAILS_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    found: dict[str, Thumbnail] = {}
    for digest, text in texts.items() if isinstance(texts, dict) else ():
        picture = _picture(text)
        if picture is not None and len(found) < MAX_THUMBNAILS:
            found[str(digest)] = picture
    return found


def _picture(text: object) -> Thumbnail | None:
    try:
        data = b64decode(text, validate=True) if isinstance(text, str) else b""
    except (NotBase64, ValueError):
        return None
    media = identify(data) if len(data) <= MAX_THUMBNAIL_BYTES else None
    return Thumbnail(media.type, data) if media is not None and media.type in (PNG, JPEG, GIF, WEBP) else None
