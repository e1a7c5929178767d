"""A file is written completely or not at all."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import CompareError, WriteFailed
from runner.storage.atomic_write import write_atomically, write_each
from runner.storage.run_folder import claim_folder
from tests.support.folder_names import names_in

CHECKOUT = Path(__file__).parents[2]
LONG = "x" * 300


@pytest.mark.parametrize("text", ["", "a\r\nb\rc\nd\u2028", "你好\0"])
def test_a_written_file_has_the_given_content(tmp_path: Path, text: str) -> None:
    """Line ends are not translated, and no other file is left in the folder."""
    path = tmp_path / "results.csv"
    path.write_text("old")
    write_atomically(path, text)
    assert path.read_bytes() == text.encode()
    assert names_in(tmp_path) == ["results.csv"]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """The caller chooses the encoding."""
    write_atomically(tmp_path / "a.csv", "a", "utf-8-sig")
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbfa"


def test_a_relative_path_is_in_the_working_folder(tmp_path: Path) -> None:
    """`-o table.md` is written where the command was run."""
    write_atomically(Path("table.md"), "a")
    assert names_in(tmp_path) == ["table.md"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a folder cannot be locked")
def test_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """The next write removes files of ended processes; links, and files that another process is writing, stay."""
    program = (
        "import sys; from pathlib import Path; from runner.storage.atomic_write import write_atomically\n"
        "def slowly():\n    yield 'a'\n    print('begun', flush=True)\n    yield input()\n"
        "write_atomically(Path(sys.argv[1]), slowly())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "other.md")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        (temporary,) = names_in(tmp_path)
        (tmp_path / f".compare-{'0' * 16}.tmp").symlink_to("target")
        write_atomically(tmp_path / "a.md", "a")
        assert temporary in names_in(tmp_path)
        process.kill()
        process.wait()
    write_atomically(tmp_path / "a.md", "a")
    assert names_in(tmp_path) == [f".compare-{'0' * 16}.tmp", "a.md"]
    (tmp_path / temporary).write_text("a")
    claim_folder(tmp_path).release()
    assert temporary not in names_in(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no mode")
def test_a_written_file_respects_the_umask(tmp_path: Path) -> None:
    """The file has the permissions that the umask allows."""
    path = tmp_path / "a.md"
    before = os.umask(0o027)
    try:
        write_atomically(path, "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    """The error of a faulty writer is raised, and the old file stays."""
    path = tmp_path / "a.md"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new\ud83d")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.md"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """No partial file is left; the message says that the journal is complete."""
    pytest.importorskip("resource")
    path = tmp_path / "a.md"
    path.write_text("old")
    program = (
        "import resource, sys; from pathlib import Path; from runner.errors import CompareError\n"
        "from runner.storage.atomic_write import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]), 'x' * 5000)\n"
        "except CompareError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    expected = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert expected.startswith(f"{path} cannot be written: ")
    assert expected.endswith("; the journal is complete\n")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.md"]


@pytest.mark.parametrize("name", ["missing/a.md", "file/a.md", "folder", f"{LONG}.md"])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path, name: str) -> None:
    """A missing folder, a file in its place and a name that is too long are error messages."""
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(CompareError, match="cannot be written"):
        write_atomically(tmp_path / name, "a")
    assert names_in(tmp_path) == ["file", "folder"]


def test_a_failed_output_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each output that failed is named, for any error."""

    def write(path: Path) -> None:
        if path.suffix == ".csv":
            raise OverflowError("too large")
        write_atomically(path, "a")

    (tmp_path / "b.md").mkdir()
    (tmp_path / "b.md" / "x").touch()
    with pytest.raises(WriteFailed) as refused:
        write_each([tmp_path / "b.md", tmp_path / "c.md", tmp_path / "missing" / "d.md"], write)
    assert str(refused.value).count("cannot be written") == 2
    assert (tmp_path / "c.md").read_text() == "a"
    with pytest.raises(OverflowError) as fault:
        write_each([tmp_path / "a.csv", tmp_path / "b.md", tmp_path / "e.md"], write)
    (note,) = fault.value.__notes__
    assert "a.csv was not written: OverflowError: too large" in note
    assert "b.md cannot be written" in note
    assert (tmp_path / "e.md").read_text() == "a"
