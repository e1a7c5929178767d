"""`summary.json` beside a journal: reading it back, when it is stale, and files of that name that are not ours."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.stored_summary import summarize_journal
from runner.storage import journal
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import SUMMARY_FILE
from runner.storage.stored_summary import StoredSummary, read_summary, write_summary
from tests.support.crafted_runs import BASE, NEW, answered, failed, write_run

RECORDS = (answered(BASE, "one", ttft_s=0.2), answered(BASE, "two", ttft_s=0.8), failed(BASE, block=3), answered(NEW))


def summarized(folder: Path, version: str = "1") -> StoredSummary:
    """Return the summary of a run in a folder."""
    return summarize_journal(journal.read(folder), (folder / JOURNAL_FILE).stat(), version)


def test_a_summary_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """All members are kept, and the file is standard JSON."""
    folder = write_run(tmp_path / "run", RECORDS)
    written = summarized(folder)
    write_summary(folder, written)
    assert read_summary(folder, "1") == written
    assert json.loads((folder / SUMMARY_FILE).read_text())["targets"][0]["target"] == BASE


def test_a_summary_has_the_figures_of_its_run(tmp_path: Path) -> None:
    """It has counts, medians with their n, and the geometric mean over the questions with equal weights."""
    folder = write_run(tmp_path / "run", [*RECORDS, answered(BASE, "two", 2, ttft_s=0.8)])
    base, new = summarized(folder).targets
    assert (base.n, base.failed, new.n, new.failed) == (4, 1, 1, 0)
    assert (base.medians["ttft_s"].value, base.medians["ttft_s"].n) == (0.8, 3)
    assert base.levels["ttft_s"] == pytest.approx((0.2 * 0.8) ** 0.5)
    assert "cost" not in base.levels  # no request of it has one: left out, not 0
    assert base.sent == 4


@pytest.mark.parametrize("change", ["version", "size", "time"])
def test_a_summary_of_another_journal_or_version_is_stale(tmp_path: Path, change: str) -> None:
    """A stale summary is derived again."""
    folder = write_run(tmp_path / "run", RECORDS)
    write_summary(folder, summarized(folder))
    if change == "size":
        with (folder / JOURNAL_FILE).open("a") as file:
            file.write("\n")
    if change == "time":
        os.utime(folder / JOURNAL_FILE, ns=(1, 1))
    assert read_summary(folder, "2" if change == "version" else "1") is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"kind":"run_summary","version":', b"[]"])
def test_a_file_that_is_no_summary_is_ignored(tmp_path: Path, content: bytes) -> None:
    """A torn or foreign file never stops a list."""
    folder = write_run(tmp_path / "run", RECORDS)
    (folder / SUMMARY_FILE).write_bytes(content)
    assert read_summary(folder, "1") is None


def test_a_foreign_file_named_summary_json_is_kept(tmp_path: Path) -> None:
    """`compare run -o results/mine/summary.json` writes such a file."""
    folder = write_run(tmp_path / "run", RECORDS)
    (folder / SUMMARY_FILE).write_text('{"rows": []}')
    write_summary(folder, summarized(folder))
    assert (folder / SUMMARY_FILE).read_text() == '{"rows": []}'


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_a_summary_or_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No exception is raised."""
    folder = tmp_path_factory.getbasetemp() / "summary"
    folder.mkdir(exist_ok=True)
    (folder / JOURNAL_FILE).touch()
    (folder / SUMMARY_FILE).write_bytes(content)
    assert read_summary(folder, "1") is None


def test_a_name_with_a_lone_surrogate_leaves_no_file(tmp_path: Path) -> None:
    """JSON in UTF-8 cannot hold it; the run is then derived from its journal each time."""
    folder = write_run(tmp_path / "run", RECORDS, suite="a\ud800")
    write_summary(folder, summarized(folder))
    assert not (folder / SUMMARY_FILE).exists()
