"""Locate and read a file that a suite names.

It must be in the suite's folder or below it, and not be a file that usually contains secrets: a foreign suite must not
send your own files to a provider.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path

from runner.document import Json, read_text
from runner.errors import InvalidFile
from runner.suite.errors import UnusableFile

MAX_TEXT_BYTES = 1 << 20

SECRET_FILES = (
    *(".env", ".env.*", ".env-*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd"),
    *(".git-credentials", "credentials", "credentials.json", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.ppk", "*.asc", "*.gpg"),
)
"""Names of files that usually contain secrets; none of them can be a prompt."""

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-\d")


def holds_private_key(value: Json) -> bool:
    """Return whether a text, or a text anywhere in a value, contains a private key."""
    if isinstance(value, str):
        return _PRIVATE_KEY.search(value) is not None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(holds_private_key, inner))


def read_named_text(folder: Path, name: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file that a suite in `folder` names.

    Raises:
        UnusableFile: the file is missing, unreadable, too large, or outside the folder.

    """
    path = locate(folder, name)
    try:
        text = read_text(path, max_bytes)
    except InvalidFile as error:
        line = error.problems[0].line
        raise UnusableFile.of(error, f"`{name}`{f', line {line}' if line > 1 else ''}: ") from None
    if holds_private_key(text):
        raise UnusableFile(f"`{name}` holds a private key", "Take it out; the file's text would be sent")
    return text


def holds_secrets(name: str) -> bool:
    """Return whether a file, or a folder on its path, usually contains secrets, by its name in any case."""
    parts = Path(name).parts
    folders = {".ssh", ".aws", ".gnupg", ".kube", ".docker"}
    return any(part.lower() in folders for part in parts) or any(
        fnmatchcase(part.lower(), pattern) for part in parts[-1:] for pattern in SECRET_FILES
    )


def locate(folder: Path, name: str) -> Path:
    """Return the path of a file that a suite in `folder` names.

    Raises:
        UnusableFile: it is outside the folder, is not a file, or usually contains secrets.

    """
    try:
        home, path = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError, ValueError):
        raise UnusableFile("this is not a file name", "Correct it") from None
    if not path.is_relative_to(home):
        raise UnusableFile(
            f"`{name}` lies outside the suite's folder", "Move it beside the suite, or into a folder there"
        )
    if holds_secrets(name) or holds_secrets(str(path.relative_to(home))):
        raise UnusableFile(f"`{name}` is a file that holds keys, by its name", "Name another; its text would be sent")
    if path.exists() and not path.is_file():
        raise UnusableFile(f"`{name}` is not a file", "Name a file")
    return path
