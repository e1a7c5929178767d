"""Attached files are read when they are sent, checked against their digest, and cached up to a bound."""

from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest

from runner.core.attachment_parts import Attachment
from runner.errors import FileChanged
from runner.storage.attachment_files import AttachmentFiles


def attachment(path: Path, content: bytes, media_type: str = "image/png") -> Attachment:
    """Write a file; return its attachment."""
    path.write_bytes(content)
    digest = sha256(content).hexdigest()
    return Attachment("image", path.name, path=str(path), digest=digest, media_type=media_type, size=len(content))


def test_a_file_is_encoded_as_base64_and_a_text_is_not(tmp_path: Path) -> None:
    """No file is read for a URL."""
    files = AttachmentFiles()
    assert b64decode(files.read(attachment(tmp_path / "a.png", b"\x00\xffabc"))) == b"\x00\xffabc"
    assert files.read(attachment(tmp_path / "a.txt", "Grüße".encode(), "text/plain")) == "Grüße"
    assert files.kept(Attachment("image", "u", url="https://h/a.png")) == ""


def test_the_last_files_stay_in_memory_up_to_a_bound(tmp_path: Path) -> None:
    """The least recently used is dropped first; one above the bound stays until the next."""
    files = AttachmentFiles(most_kept=100)
    first, second, third = (attachment(tmp_path / f"{n}.png", bytes([n]) * 30) for n in range(3))
    for each in (first, second, first, third):
        files.read(each)
    assert [files.kept(each) is not None for each in (first, second, third)] == [True, False, True]
    large = attachment(tmp_path / "large.png", bytes(1000))
    files.read(large)
    assert files.kept(large) is not None
    assert files.kept(first) is None
    files.read(second)
    assert files.kept(large) is None


def test_equal_contents_are_kept_once(tmp_path: Path) -> None:
    """Two files with the same image take memory once."""
    files = AttachmentFiles()
    files.read(attachment(tmp_path / "a.png", b"same"))
    assert files.kept(attachment(tmp_path / "b.png", b"same")) is not None


def test_a_changed_or_missing_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """The message names the file, and says how to continue the run."""
    changed, gone = attachment(tmp_path / "a.png", b"1"), attachment(tmp_path / "b.png", b"2")
    (tmp_path / "a.png").write_bytes(b"3")
    (tmp_path / "b.png").unlink()
    for each, why in ((changed, "a.png has changed since"), (gone, "b.png cannot be read any more: no such file")):
        with pytest.raises(FileChanged, match=rf"{why}.*Put it back and resume the run") as caught:
            AttachmentFiles().read(each)
        assert caught.value.exit_code == 3
