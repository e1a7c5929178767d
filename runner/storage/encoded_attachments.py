"""Read attached files when they are sent: in base64, with the last ones kept in memory up to a bound."""

from base64 import b64encode
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from threading import Lock

from runner.core.attachment_parts import Attachment
from runner.core.media_types import TEXT
from runner.errors import FileChanged

MOST_KEPT = 64 << 20
"""Limit on the characters of base64 in memory; the file that was read last is kept in any case."""


class AttachmentFiles:
    """Reads attached files; a file that has changed since the suite was read is refused."""

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self._most_kept = most_kept
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def kept(self, attachment: Attachment) -> str | None:
        """Return the data to send if no file must be read for it, empty for a URL; else None."""
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
