"""A run's folder: its name, the checks before the run, and `latest`."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.commands import rederive
from runner.errors import CompareError, JournalError
from runner.storage import journal
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import (
    LATEST,
    check_outputs,
    claim_folder,
    name_latest,
    new_run_id,
    refuse_used_folder,
)
from tests.support.crafted_runs import answered, write_run
from tests.support.folder_names import names_in

CHECKOUT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SUFFIXES = (".csv", ".md")
LONG = "x" * 300


def test_links_that_were_never_named_latest_are_removed(tmp_path: Path) -> None:
    """A process that is killed between two steps leaves a link, which is removed after a minute."""
    (tmp_path / f".{LATEST}-01234567").write_text("old")
    os.utime(tmp_path / f".{LATEST}-01234567", (0, 0))
    (tmp_path / f".{LATEST}-89abcdef").write_text("new")
    name_latest(tmp_path / "run")
    assert names_in(tmp_path) == [f".{LATEST}-89abcdef", LATEST]


# The run's folder


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 10**8))
def test_run_ids_sort_by_time_and_are_valid_folder_names(first: str, second: str, seconds: int) -> None:
    """For any name of a suite, a run id is a plain name that sorts after earlier ones."""
    earlier, later = new_run_id(first, NOON), new_run_id(second, NOON + timedelta(seconds=seconds))
    assert earlier < later
    for name in (earlier, later):
        assert Path(name).name == name
        assert len(name.encode()) < 255
        assert not set(name) & set('/\\:*?"<>|\0. ')


def test_run_ids_of_one_second_differ() -> None:
    """Two runs that start together have two folders."""
    assert len({new_run_id("basic", NOON) for _ in range(20)}) > 15


def test_a_run_id_contains_the_suite_name() -> None:
    """A run can be found by its suite's name."""
    assert new_run_id("基础 suite/1", NOON).startswith("20260102T120000-基础-suite-1-")


def test_a_folder_with_a_run_is_refused(tmp_path: Path) -> None:
    """A new or empty folder can be used, and that of a run killed before its first line; one with a run cannot."""
    refuse_used_folder(tmp_path / "new")
    refuse_used_folder(tmp_path)
    (tmp_path / JOURNAL_FILE).write_text('{"kind":"head')
    refuse_used_folder(tmp_path)
    (tmp_path / JOURNAL_FILE).write_text('{"kind":"header"}\n')
    expected = (
        f"holds a run already; choose another folder with -o, or resume that run: compare run SUITE --resume {tmp_path}"
    )
    with pytest.raises(JournalError, match=expected):
        refuse_used_folder(tmp_path)


posix = pytest.mark.skipif(os.name != "posix", reason="elsewhere a folder cannot be locked")


@posix
def test_a_claimed_folder_is_refused_until_it_is_released(tmp_path: Path) -> None:
    """Folders that the claim created are removed with it; those that were there stay."""
    folder = tmp_path / "new" / "run"
    claim = claim_folder(folder)
    with pytest.raises(JournalError, match=f"{folder} is being written by another run"):
        claim_folder(folder)
    claim.release()
    assert names_in(tmp_path) == []
    del claim
    again = claim_folder(tmp_path)
    again.release()
    assert tmp_path.exists()


@posix
def test_a_dropped_claim_is_released(tmp_path: Path) -> None:
    """If a run ends before it begins, its folder is free at once."""
    claim = claim_folder(tmp_path / "run")
    del claim
    assert names_in(tmp_path) == []
    claim_folder(tmp_path / "run").release()


@posix
def test_a_claim_that_fails_is_released_though_its_error_is_kept(tmp_path: Path) -> None:
    """A notebook keeps the last error with its traceback; the folder is free nevertheless."""
    folder = write_run(tmp_path / "run", [answered()])
    with pytest.raises(JournalError, match="holds a run already") as kept:
        claim_folder(folder)
    claim_folder(folder, journal.read(folder)).release()
    assert kept.value.__traceback__ is not None


@posix
def test_a_repaired_run_keeps_its_folder_until_its_tables_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new run cannot be resumed while its tables are being written."""
    found, refused = write_run(tmp_path / "run", [answered()]), list[str]()

    def write_tables(*_: object) -> None:
        with pytest.raises(JournalError) as error:
            claim_folder(tmp_path / "new", journal.read(tmp_path / "new"))
        refused.append(str(error.value))

    monkeypatch.setattr(rederive, "write_by_suffix", write_tables)
    rederive.repair(found, tmp_path / "new")
    assert ["is being written by another run" in why for why in refused] == [True]
    claim_folder(tmp_path / "new", journal.read(tmp_path / "new")).release()


@posix
def test_a_killed_process_releases_its_folder(tmp_path: Path) -> None:
    """A claim leaves no file."""
    program = "import sys; from pathlib import Path; from runner.storage.run_folder import claim_folder\n"
    program += "claim = claim_folder(Path(sys.argv[1])); print('claimed', flush=True); input()"
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        with pytest.raises(JournalError, match="is being written by another run"):
            claim_folder(tmp_path / "run")
        process.kill()
        process.wait()
    claim_folder(tmp_path / "run").release()


@pytest.mark.parametrize("before", [b"", b'{"kind":"he'])
def test_a_journal_that_came_after_the_claim_is_not_written_to(tmp_path: Path, before: bytes) -> None:
    """If folders cannot be locked, the journal is checked again before the first line is written."""
    (tmp_path / JOURNAL_FILE).write_bytes(before)
    claim = claim_folder(tmp_path)
    claim.open().close()
    (tmp_path / JOURNAL_FILE).write_bytes(b'{"kind":"header"}\n')
    with pytest.raises(JournalError, match="another run went on with it"):
        claim.open()
    assert (tmp_path / JOURNAL_FILE).read_bytes() == b'{"kind":"header"}\n'


def test_a_run_that_another_process_resumed_meanwhile_is_not_resumed(tmp_path: Path) -> None:
    """That may happen between reading a journal and claiming its folder."""
    folder = write_run(tmp_path / "run", [answered()])
    read = journal.read(folder)
    claim_folder(folder, read).release()
    with journal.JournalWriter(folder) as writer:
        writer.append({"kind": "end"})
    with pytest.raises(JournalError, match="has changed since it was read: another run went on with it"):
        claim_folder(folder, read)


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    """A file and an impossible name are errors before anything is sent."""
    (tmp_path / "file").touch()
    for folder, expected in ((tmp_path / "file", "is a file, not a folder"), (tmp_path / LONG, "cannot be used")):
        with pytest.raises(JournalError, match=f"{expected}.*; choose another"):
            refuse_used_folder(folder)


# Outputs


def test_outputs_that_can_be_written_pass(tmp_path: Path) -> None:
    """Known suffixes in any case, in existing folders, are accepted; nothing is created yet."""
    (tmp_path / "old.md").write_text("old")
    check_outputs([tmp_path / "a.csv", tmp_path / "A.MD", tmp_path / "old.md", Path("b.md")], SUFFIXES)
    assert names_in(tmp_path) == ["old.md"]


def test_all_outputs_that_cannot_be_written_are_listed_at_once(tmp_path: Path) -> None:
    """Each has a line that says what is wrong; exit code 2."""
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "file").touch()
    bad = {
        "a.xlsx": "no output is called .xlsx. Known: .csv, .md.",
        "folder.md": "this is a folder.",
        "missing/a.md": "there is no folder ",
        "file/a.md": "there is no folder ",
        f"{LONG}.md": "File name too long.",
    }
    with pytest.raises(CompareError) as caught:
        check_outputs([tmp_path / "fine.md", *(tmp_path / name for name in bad)], SUFFIXES)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(bad)
    for (name, expected), line in zip(bad.items(), lines, strict=True):
        assert line.startswith(f"-o {tmp_path / name}: {expected}")
    assert caught.value.exit_code == 2


def test_an_output_in_a_read_only_folder_is_an_error(tmp_path: Path) -> None:
    """Permissions are checked before the run."""
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(CompareError, match="is not writable"):
        check_outputs([folder / "a.md"], SUFFIXES)


# The latest run


def test_latest_names_the_newest_run(tmp_path: Path) -> None:
    """It changes with each run, and stays valid when the results folder is moved."""
    results = tmp_path / "results"
    for name in ("first", "second"):
        (results / name).mkdir(parents=True)
        name_latest(results / name)
        assert (results / LATEST).resolve() == (results / name).resolve()
    assert names_in(results) == sorted(["first", "second", LATEST])
    moved = results.rename(tmp_path / "moved")
    assert (moved / LATEST).resolve() == (moved / "second").resolve()


def test_latest_is_a_file_where_links_do_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without symbolic links has the name in a file."""

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for name in ("first", "second"):
        name_latest(tmp_path / name)
        assert (tmp_path / LATEST).read_text(encoding="utf-8") == f"{name}\n"
    assert names_in(tmp_path) == [LATEST]


def test_a_folder_called_latest_is_not_replaced(tmp_path: Path) -> None:
    """The user's own folder stays, and no other file is left."""
    (tmp_path / LATEST / "mine").mkdir(parents=True)
    name_latest(tmp_path / "run")
    assert names_in(tmp_path) == [LATEST]
    assert names_in(tmp_path / LATEST) == ["mine"]


def test_a_leftover_that_cannot_be_removed_does_not_keep_latest_from_being_named(tmp_path: Path) -> None:
    """It may be a folder or another user's; the other leftovers are removed."""
    (tmp_path / f".{LATEST}-0000000a").mkdir()
    (tmp_path / f".{LATEST}-0000000b").touch()
    for name in names_in(tmp_path):
        os.utime(tmp_path / name, (0, 0))
    name_latest(tmp_path / "run")
    assert set(names_in(tmp_path)) == {LATEST, f".{LATEST}-0000000a"}
    assert (tmp_path / LATEST).readlink() == Path("run")


def test_a_failure_to_write_latest_is_ignored(tmp_path: Path) -> None:
    """`latest` is a convenience: a folder that cannot be written does not end a run."""
    name_latest(tmp_path / "missing" / "run")
    assert names_in(tmp_path) == []
