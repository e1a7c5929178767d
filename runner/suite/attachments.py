"""Find, check and describe the images, files and audio that a suite attaches, without keeping them in memory.

A file's type is that of its first bytes. Like all files that a suite names, it is in the suite's folder or below it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from urllib.parse import urlsplit

from runner.core.attachment_parts import Attachment, Detail, Kind
from runner.core.media_types import FORMAT_NAMES, GIF, JPEG, MP3, PDF, PNG, TEXT, WAV, WEBP, Media, identify
from runner.document import read_bytes
from runner.errors import CompareError, InvalidFile, as_sentence
from runner.suite.errors import UnusableFile
from runner.suite.read_named_file import holds_private_key, locate

TYPES: Mapping[Kind, tuple[str, ...]] = {"image": (PNG, JPEG, GIF, WEBP), "file": (PDF, TEXT), "audio": (WAV, MP3)}
MAX_ATTACHMENT_BYTES: Mapping[Kind, int] = {"image": 20 << 20, "file": 32 << 20, "audio": 20 << 20}
MAX_ATTACHED_BYTES = 45 << 20
"""Limit on the bytes of all files of a case, which its last turn sends together; base64 adds a third."""

SUFFIXES = {
    PNG: (".png",),
    JPEG: (".jpg", ".jpeg", ".jpe", ".jfif"),
    GIF: (".gif",),
    WEBP: (".webp",),
    PDF: (".pdf",),
    WAV: (".wav", ".wave"),
    MP3: (".mp3",),
}
"""Media type -> suffixes reserved for it. A text file may have any other suffix."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?=//|[A-Za-z]+/)")


@dataclass(slots=True)
class AttachmentReader:
    """Finds the attachments that a suite names; each file is read once, even if many cases use it."""

    folder: Path
    _read: dict[tuple[Kind, str], Attachment | UnusableFile] = field(default_factory=dict)

    def find(self, kind: Kind, name: str, detail: Detail | None = None) -> Attachment:
        """Return an attachment of a kind, given the name of a file or a URL.

        Raises:
            UnusableFile: the file is missing, too large, of another type, or outside the folder; or the URL is bad.

        """
        if (kind, name) not in self._read:
            try:
                self._read[kind, name] = _find(self.folder, kind, name)
            except UnusableFile as error:
                self._read[kind, name] = error
        found = self._read[kind, name]
        if isinstance(found, UnusableFile):
            raise found
        return found if detail is None else replace(found, detail=detail)


def attach(names: Sequence[str | PathLike[str]], earlier: Sequence[Attachment] = ()) -> tuple[Attachment, ...]:
    """Return the attachments of files anywhere that the user names, and of URLs; the kind follows from the name.

    Args:
        names: paths and URLs.
        earlier: attachments that the conversation already sends.

    Raises:
        CompareError: some cannot be attached, each with its reason, or the files are too large together.

    """
    attached, faults = [], []
    for name in (os.fspath(each) for each in names):
        try:
            attached.append(_attach(name))
        except UnusableFile as error:
            faults.append(f"{name}: {error.what.removeprefix(f'`{Path(name).name}`: ')}. {as_sentence(error.hint)}")
    if faults:
        raise CompareError("\n".join(faults))
    size = sum(each.size or 0 for each in (*earlier, *attached))
    if size > MAX_ATTACHED_BYTES:
        raise CompareError(f"{describe_too_large('the files', size)}. Leave some out; they are sent in one request.")
    return tuple(attached)


def describe_too_large(files: str, size: int) -> str:
    """Return a message that the files of one request have too many bytes."""
    return f"{files} have {size / 1e6:.1f} MB together, more than {MAX_ATTACHED_BYTES >> 20} MiB"


def _attach(name: str) -> Attachment:
    is_url = _SCHEME.match(name) is not None
    suffix = Path(name.partition("?")[0].partition("#")[0] if is_url else name).suffix.lower()
    kinds = (kind for kind, types in TYPES.items() for type_ in types if suffix in SUFFIXES.get(type_, ()))
    path = Path(name)
    folder, found = (Path.cwd(), name) if is_url else (path.parent, path.name)
    return AttachmentReader(folder).find(next(kinds, "file"), found)


def _find(folder: Path, kind: Kind, name: str) -> Attachment:
    if name != name.strip() or not name.isprintable():
        raise UnusableFile(f"the name of this {kind} has characters that cannot be seen", "Write it without them")
    if _SCHEME.match(name):
        return _url(kind, name)
    path = locate(folder, name)
    try:
        data = read_bytes(path, MAX_ATTACHMENT_BYTES[kind], if_too_large=f"Make the {kind} smaller")
    except InvalidFile as error:
        raise UnusableFile.of(error, f"`{name}`: ") from None
    media = _media(kind, name, data)
    return Attachment(
        kind,
        name,
        path=str(path),
        digest=sha256(data).hexdigest(),
        media_type=media.type,
        size=len(data),
        width=media.width,
        height=media.height,
        pages=media.pages,
        seconds=media.seconds,
    )


def _url(kind: Kind, url: str) -> Attachment:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise UnusableFile(
            f"this {kind} is neither a file nor a URL that begins with http:// or https://",
            "Save it beside the suite and write its name",
        )
    if parts.username is not None:
        raise UnusableFile(f"the URL of this {kind} holds a user's name or password", "Save the file beside the suite")
    return Attachment(kind, parts._replace(query="", fragment="").geturl(), url=url)


def _media(kind: Kind, name: str, data: bytes) -> Media:
    """Return the media of a file's bytes; raise UnusableFile if it does not fit the kind or the file's name."""
    media, wanted = identify(data), _names(TYPES[kind])
    if not data:
        raise UnusableFile(f"`{name}` is empty", "Name another")
    if media is None or media.type not in TYPES[kind]:
        is_what = f"is {media.name} by its content" if media else "is of no known type, or damaged"
        other = next((f"write it as `{each}:`" for each, types in TYPES.items() if media and media.type in types), None)
        hint = f"Name a {wanted} file" + (f", or {other}" if other else "")
        raise UnusableFile(f"`{name}` {is_what}, and no {wanted}", hint)
    suffix = Path(name).suffix.lower()
    promised = next((type_ for type_, suffixes in SUFFIXES.items() if suffix in suffixes), None)
    if promised is not None and promised != media.type:
        raise UnusableFile(
            f"`{name}` is {media.name} by its content, and {FORMAT_NAMES[promised]} by its name",
            "Rename it, or convert it",
        )
    if media.type == TEXT and holds_private_key(data.decode()):
        raise UnusableFile(f"`{name}` holds a private key", "Take it out; the file would be sent")
    return media


def _names(types: tuple[str, ...]) -> str:
    *first, last = (FORMAT_NAMES[type_] for type_ in types)
    return f"{', '.join(first)} or {last}"
