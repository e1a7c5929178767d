"""The run that a name means: folder, journal, id, prefix of an id, `latest`, and earlier ones."""

from pathlib import Path

import pytest

from runner.errors import JournalError
from runner.storage.find_run import find_run, list_runs
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import LATEST, RESULTS, name_latest

LONG = "x" * 300


def make_runs(*names: str) -> None:
    """Make runs in results/, the last of which is the latest."""
    for name in names:
        (RESULTS / name).mkdir(parents=True)
        (RESULTS / name / JOURNAL_FILE).touch()
        name_latest(RESULTS / name)


def test_a_run_is_found_by_folder_journal_id_and_latest(tmp_path: Path) -> None:
    """`latest` resolves to the folder's own name."""
    folder = RESULTS / "mine"
    folder.mkdir(parents=True)
    (folder / JOURNAL_FILE).touch()
    name_latest(folder)
    for name in (folder, folder / JOURNAL_FILE, Path("mine"), Path(LATEST), RESULTS / LATEST, tmp_path / folder):
        assert find_run(name).resolve() == folder.resolve()
        assert find_run(name).name == "mine"


def test_latest_is_read_from_a_file_where_links_do_not_exist() -> None:
    """A file with the folder's name works like a link."""
    folder = RESULTS / "mine"
    folder.mkdir(parents=True)
    (folder / JOURNAL_FILE).touch()
    (RESULTS / LATEST).write_text("mine\n")
    assert find_run(Path(LATEST)) == folder


def test_a_name_of_no_run_is_an_error() -> None:
    """A missing folder, one without a journal and an impossible name have clear messages."""
    (RESULTS / "empty").mkdir(parents=True)
    expected = {
        "latest": "there is no results/latest here; name a run's folder",
        "nothing": "there is no nothing. Name a run's folder",
        "empty": "empty holds no journal.jsonl",
        LONG: "cannot be read: File name too long",
    }
    for name, sentence in expected.items():
        with pytest.raises(JournalError, match=sentence):
            find_run(Path(name))


MONDAY, TUESDAY, WEDNESDAY = ("20260105T090000-a-11", "20260106T090000-b-22", "20260107T090000-a-33")


def test_earlier_runs_are_counted_from_the_latest() -> None:
    """`previous` is the one before, `latest~2` the one before that, `latest~0` the latest itself."""
    make_runs(MONDAY, TUESDAY, WEDNESDAY)
    expected = {"latest~0": WEDNESDAY, "latest~1": TUESDAY, "previous": TUESDAY, "latest~2": MONDAY}
    assert {name: find_run(Path(name)).name for name in expected} == expected


def test_a_run_that_began_after_the_latest_does_not_count() -> None:
    """It is in progress or was killed: the run before the latest began before it."""
    make_runs(MONDAY, WEDNESDAY, TUESDAY)
    assert find_run(Path("previous")).name == MONDAY


def test_a_folder_with_a_name_of_its_own_is_ordered_by_its_journal() -> None:
    """`-o results/mine` has no time in its name; the journal was last written when it ended, which is now."""
    make_runs(MONDAY, "mine")
    assert list_runs() == [LATEST, "mine", MONDAY]
    assert find_run(Path("previous")).name == MONDAY


def test_a_unique_prefix_of_an_id_names_a_run() -> None:
    """The folder before it is optional; an ambiguous prefix is refused, and the message names the ids."""
    make_runs(MONDAY, TUESDAY)
    assert find_run(Path("20260106")).name == find_run(RESULTS / "20260106T09").name == TUESDAY
    with pytest.raises(JournalError, match=f"2026 is the beginning of 2 runs: {TUESDAY}, {MONDAY}; write more"):
        find_run(Path("2026"))


def test_an_ambiguous_prefix_names_the_newest_runs() -> None:
    """The message does not list a thousand names."""
    make_runs(*(f"2026010{day}T090000-a-11" for day in range(1, 9)))
    with pytest.raises(JournalError, match=r"the beginning of 8 runs: 20260108.* and 3 more"):
        find_run(Path("2026"))


def test_a_run_further_back_than_there_are_is_an_error() -> None:
    """The message has the number of runs, and where they are listed."""
    make_runs(MONDAY, TUESDAY)
    with pytest.raises(JournalError, match="no latest~2: results holds 1 run before the latest; `compare runs` lists"):
        find_run(Path("latest~2"))
    for name in ("latest~x", "latest~-1", "latest~9999999999"):
        with pytest.raises(JournalError, match=r"names no run: a number must follow ~, such as latest~2"):
            find_run(Path(name))


def test_without_a_latest_run_nothing_can_be_counted_from_it() -> None:
    """The message names what is missing."""
    with pytest.raises(JournalError, match="there is no results/latest here, which previous counts from"):
        find_run(Path("previous"))


def test_a_folder_called_previous_is_itself() -> None:
    """An existing folder takes precedence over the meaning of its name."""
    make_runs(MONDAY, TUESDAY)
    Path("previous").mkdir()
    (Path("previous") / JOURNAL_FILE).touch()
    assert find_run(Path("previous")) == Path("previous")


def test_a_mistyped_name_is_refused_with_the_nearest() -> None:
    """`lates` is close to `latest`, an id with a wrong letter close to that id."""
    make_runs("20260102-030405-basic-ab12")
    for wrong, near in (
        ("lates", LATEST),
        ("previus", "previous"),
        ("20260102-030405-basic-ab13", "20260102-030405-basic-ab12"),
    ):
        with pytest.raises(JournalError, match=rf"there is no {wrong}\. Did you mean `{near}`"):
            find_run(Path(wrong))
    with pytest.raises(JournalError, match=rf"there is no {RESULTS / 'nothing'}\."):
        find_run(RESULTS / "nothing")
