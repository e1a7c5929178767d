"""Closed loops on the command line: how journal, tables and files describe both ends of each level."""

from pathlib import Path

import runner
from runner.analysis.run_results import Run
from runner.storage import journal
from tests.support.command import read_lines, read_rows
from tests.support.resumable_run import open_run

ANSWER = "exact?ttft_ms=20&gap_ms=1&tokens=4"


def test_every_output_names_the_requests_that_a_sweep_left_out(tmp_path: Path) -> None:
    """Slots open over a measured time unless `--ramp none` is given, and at once in files of older versions."""
    with open_run(tmp_path, ANSWER) as server:
        server.write_suite([{"id": "one", "prompt": "one"}])
        done = server.run("--sweep", "1,3", "--requests", "40")
        assert done.returncode == 0, done.stderr
        (header,) = read_lines(server.out, "header")
        assert header["load"] == {"max_requests": 40, "levels": [1, 3], "ramp": "auto"}
        assert [line["concurrency"] for line in read_lines(server.out, "level")] == [1, 3]
        flags = [row["flags"].split(";") for row in read_rows(server.out)]
        draining = [words for words in flags if "draining" in words]
        left_out = [words for words in flags if {"draining", "filling"} & {*words}]
        assert len(draining) == 1 + 3
        assert len(left_out) >= 2 * (1 + 3)
        table = runner.load(server.out)
        assert table["flags"].str.contains("draining").sum() == 4
        points = Run.of_journal(journal.read(server.out)).sweep
        assert [(each.concurrency, each.n + each.left_out) for each in points] == [(1, 40), (3, 40)]
        page = (server.out / "results.md").read_text(encoding="utf-8")
        assert "draining" in page
        assert "one of the last requests at its load" in page


def test_a_resumed_run_repeats_its_ramp(tmp_path: Path) -> None:
    """It keeps the ramp of its header, and each part has its own first and last requests."""
    with open_run(tmp_path, ANSWER) as server:
        server.write_suite([{"id": "one", "prompt": "one"}])
        assert server.run("--requests", "20", "--concurrency", "2", "--ramp", "auto").returncode == 0
        done = server.run("--requests", "40")
        assert done.returncode == 0, done.stderr
        assert len(read_lines(server.out, "level")) == 2
        assert journal.read(server.out).header.load == {"max_requests": 40, "ramp": "auto"}
        rows = read_rows(server.out)
        assert len(rows) == 40
        for part in (rows[:20], rows[20:]):
            assert sum("draining" in row["flags"] for row in part) == 2
            assert sum("filling" in row["flags"] for row in part) >= 2


def test_a_run_too_short_for_a_steady_state_has_a_message_in_place_of_figures(tmp_path: Path) -> None:
    """The message is on the terminal and in the file, with what to do."""
    with open_run(tmp_path, ANSWER) as server:
        server.write_suite([{"id": "one", "prompt": "one"}])
        done = server.run("--requests", "4", "--concurrency", "2")
        assert done.returncode == 0, done.stderr
        said = "no steady state, so no latencies: "
        page = (server.out / "results.md").read_text(encoding="utf-8")
        assert said in " ".join((done.stdout + done.stderr).split())
        assert said in page
