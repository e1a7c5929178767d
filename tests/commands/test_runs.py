"""`compare runs` and `runner.runs`: the list of the runs in a folder."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

import runner
from runner.commands.runs import list_stored_runs
from runner.outputs.runs import render_runs
from runner.storage.find_run import find_run, folders_of_runs
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import RESULTS, SUMMARY_FILE, name_latest
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered, failed, write_run

MONDAY, TUESDAY, NOW = "20260105T090000-a-11", "20260106T090000-a-22", "20270107T090000-b-33"


def write_three() -> None:
    """Write three runs: of Monday with one target, of Tuesday with two, and one of another suite now."""
    now = datetime.now(UTC).isoformat()
    monday = [answered(BASE, "one", ttft_s=0.2), failed(BASE, "two")]
    write_run(RESULTS / MONDAY, monday, started_at="2026-01-05T09:00:00+00:00")
    tuesday = [answered(BASE), answered(NEW, ttft_s=0.1)]
    started = "2026-01-06T09:00:00+00:00"
    write_run(RESULTS / TUESDAY, tuesday, started_at=started)
    write_run(RESULTS / NOW, [answered(NEW)], suite="other", started_at=now)


def test_each_run_has_a_line_with_its_fastest_target(run_cli: RunCli) -> None:
    """The newest is first; failures are counted."""
    write_three()
    shown = run_cli("runs").stdout.splitlines()
    assert [line.split()[0] for line in shown[1:]][:1] == [NOW]
    (tuesday,) = (line for line in shown if line.startswith("20260106"))
    (monday,) = (line for line in shown if line.startswith("20260105"))
    assert "2 targets" in tuesday
    assert tuesday.split()[-4:-1] == ["acme/new", "100", "ms"]
    assert monday.split()[3:7] == ["crafted", "acme/old", "2", "1"]


def test_runs_of_the_same_second_are_in_the_order_in_which_they_began(run_cli: RunCli) -> None:
    """Ids have a resolution of a second, journals of a millisecond."""
    ids = {"20260105T090000-basic-ffff": 100, "20260105T090000-basic-0000": 200, "20260105T090000-basic-8888": 300}
    for id_, milliseconds in ids.items():
        write_run(RESULTS / id_, [answered(BASE)], started_at=f"2026-01-05T10:00:00.{milliseconds}+01:00")
    assert [folder.name for folder in folders_of_runs()] == list(reversed(ids))
    name_latest((RESULTS / "20260105T090000-basic-0000").absolute())
    assert find_run(Path("previous")).name == "20260105T090000-basic-ffff"
    assert run_cli("runs", "--json").returncode == 0


def test_a_list_is_narrowed_by_suite_target_and_age(run_cli: RunCli) -> None:
    """With a target only its figures are shown; all conditions hold together."""
    write_three()

    def ids(*options: str) -> list[str]:
        return [run["run_id"] for run in json.loads(run_cli("runs", "--json", *options).stdout)]

    assert len(ids()) == 3
    assert ids("--suite", "craft*") == [TUESDAY, MONDAY]
    assert ids("--target", "*/new", "--suite", "crafted") == [TUESDAY]
    assert len(ids("--since", "1d")) == 1
    assert ids("--suite", "nothing") == []
    (found,) = json.loads(run_cli("runs", "--json", "--target", "*/new", "--suite", "crafted").stdout)
    assert [each["target"] for each in found["targets"]] == [NEW]


def test_older_runs_are_counted_where_they_are_not_shown(run_cli: RunCli) -> None:
    """`-n` shows the newest; the number of others is on stderr."""
    write_three()
    done = run_cli("runs", "-n", "1")
    assert (NOW in done.stdout, TUESDAY in done.stdout) == (True, False)
    assert "2 older runs are not shown; --all shows them" in done.stderr
    assert "2 older runs are not shown" in run_cli("runs", "-n", "1", "--json").stderr
    contradicting = run_cli("runs", "-n", "1", "--all")
    assert contradicting.returncode == 2
    assert "Give one of them" in contradicting.stderr


def test_an_unreadable_journal_is_named_and_the_others_are_listed(run_cli: RunCli) -> None:
    """One broken folder among thousands does not prevent the list."""
    write_three()
    (RESULTS / "broken").mkdir()
    (RESULTS / "broken" / JOURNAL_FILE).write_text("nonsense\n")
    done = run_cli("runs", "--json")
    assert len(json.loads(done.stdout)) == 3
    assert "left out: " in done.stderr
    assert "broken" in done.stderr
    assert len(runner.runs().attrs["unreadable"]) == 1


def test_a_run_that_is_removed_during_the_list_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cleanup may run at the same time."""
    write_three()
    folders = [*folders_of_runs(), RESULTS / "removed"]
    monkeypatch.setattr("runner.commands.runs.folders_of_runs", lambda _: folders)
    table = runner.runs()
    assert (table["run_id"].nunique(), table.attrs["unreadable"]) == (
        3,
        ["results/removed cannot be read: No such file or directory"],
    )


def test_a_summary_is_derived_once_and_again_when_its_journal_grows(run_cli: RunCli) -> None:
    """A second list reads no journal; a deleted or stale summary is derived again."""
    write_three()
    run_cli("runs")
    path = RESULTS / MONDAY / SUMMARY_FILE
    first = path.stat().st_mtime_ns
    run_cli("runs")
    assert path.stat().st_mtime_ns == first
    path.unlink()
    run_cli("runs")
    assert path.exists()


def test_the_runs_are_a_table_in_python() -> None:
    """A row for each run and target, with timestamps, levels and NA for what is absent."""
    write_three()
    table = runner.runs()
    assert len(table) == 4
    assert table["started_at"].is_monotonic_decreasing
    row = table[(table["run_id"] == TUESDAY) & (table["target"] == NEW)].iloc[0]
    assert row["ttft_s"] == pytest.approx(0.1)
    assert row["ttft_s_level"] == pytest.approx(0.1)
    assert row.isna()["cost"]
    assert table["started_at"].max() > datetime.now(UTC) - timedelta(minutes=1)


def test_a_folder_that_does_not_exist_is_an_error(run_cli: RunCli) -> None:
    """An empty results/ is not an error: there is no run yet."""
    assert "nowhere does not exist; name the folder" in run_cli("runs", "nowhere").stderr
    with pytest.raises(runner.CompareError, match="does not exist"):
        runner.runs("nowhere")
    assert "there are no runs here: results does not exist; `compare run` makes" in run_cli("runs").stderr
    RESULTS.mkdir()
    assert "no run in results yet" in run_cli("runs").stderr
    assert runner.runs().empty


def test_a_partial_run_is_marked_in_the_list(run_cli: RunCli) -> None:
    """A run that was stopped is marked beside its name."""
    write_three()
    path = RESULTS / MONDAY / JOURNAL_FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"kind":"end"' not in line))
    shown = run_cli("runs").stdout
    assert f"{MONDAY} (partial)" in shown
    assert f"{TUESDAY} (partial)" not in shown


@pytest.mark.parametrize(
    ("reason", "mark"),
    [
        ("stopped after 20 requests (--requests 20)", ""),
        ("stopped after 60 s (--duration)", ""),
        (
            "the budget of 1 USD is reached: 1 USD spent, up to 0.1 USD for one more conversation",
            " (ended by --budget)",
        ),
    ],
)
def test_a_run_that_an_option_ended_is_complete(run_cli: RunCli, reason: str, mark: str) -> None:
    """It has all that was asked for; one that spent its budget may not."""
    write_three()
    path = RESULTS / MONDAY / JOURNAL_FILE
    path.write_text(path.read_text().replace('"kind":"end"', f'"kind":"end","reason":"{reason}"'))
    (line,) = [line for line in run_cli("runs").stdout.splitlines() if line.startswith(MONDAY)]
    assert line.partition("  ")[0] == f"{MONDAY}{mark}"


@pytest.mark.parametrize("name", ["previous", "latest~1", "20260106"])
def test_other_commands_take_latest_and_the_run_before_it(run_cli: RunCli, tmp_path: Path, name: str) -> None:
    """A report of the run before the latest needs no id."""
    write_three()
    (RESULTS / "latest").symlink_to(NOW, target_is_directory=True)
    run_cli("report", name, "-o", tmp_path / "page.html")
    assert TUESDAY in (tmp_path / "page.html").read_text()


def test_only_what_is_shown_is_derived(run_cli: RunCli) -> None:
    """`-n 1` of a thousand runs reads one journal; the others are counted, and read when they are shown."""
    write_three()
    done = run_cli("runs", "-n", "1")
    assert "2 older runs are not shown; --all shows them" in done.stderr
    assert [(RESULTS / name / SUMMARY_FILE).exists() for name in (NOW, TUESDAY, MONDAY)] == [True, False, False]
    narrowed = run_cli("runs", "-n", "1", "--suite", "crafted")
    assert TUESDAY in narrowed.stdout
    assert "1 older run is not shown; --all shows it, if it fits" in narrowed.stderr
    assert not (RESULTS / MONDAY / SUMMARY_FILE).exists()
    run_cli("runs", "--all")
    assert (RESULTS / MONDAY / SUMMARY_FILE).exists()


@pytest.mark.parametrize("columns", [60, 80, 100, 119, 140])
def test_no_id_is_folded_however_narrow_the_terminal(columns: int) -> None:
    """Ids are there to be copied; other columns are dropped, and named."""
    write_three()
    path = RESULTS / MONDAY / JOURNAL_FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"kind":"end"' not in line))
    table, left_out = render_runs(list_stored_runs().runs, columns)
    console = Console(width=columns)
    with console.capture() as capture:
        console.print(table)
    drawn = capture.get().splitlines()
    assert all(len(line.rstrip()) <= columns for line in drawn)
    assert sum(line.startswith((NOW, TUESDAY, MONDAY)) for line in drawn) == 3
    assert "(partial)" in capture.get()
    assert [name for name in ("started", "suite", "cost", "failed") if name not in drawn[0].split()] == [
        name for name in ("started", "suite", "cost", "failed") if name in left_out
    ]
    assert bool(left_out) == (columns <= 100)


def test_a_report_and_a_diff_take_each_run_once(run_cli: RunCli, tmp_path: Path) -> None:
    """A run that is named twice is one column of a page, and no comparison."""
    run = write_run(tmp_path / "run", [answered(BASE), answered(NEW)])
    shown = run_cli("report", str(run), f"{run}/")
    assert (shown.returncode, "run 2026" in shown.stdout) == (0, False), shown.stderr
    assert (run / "report.html").is_file()
    refused = run_cli("diff", str(run), f"{run}/")
    assert (refused.returncode, "are the same run" in refused.stderr) == (2, True)
