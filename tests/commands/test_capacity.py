"""`compare capacity` against a server with few slots: the capacity that it finds, and how a search is resumed."""

import json
import signal
from pathlib import Path

import pytest

from runner import capacity
from runner.analysis.capacity import CapacitySearch
from runner.commands.capacity import prepare_search, search_capacity
from runner.commands.run.options import RunOptions
from runner.commands.run.perform import FinishedRun
from runner.commands.run.prepared_run import PreparedRun
from runner.core.slo import parse_slo
from runner.errors import CompareError
from tests.conftest import RunCli
from tests.support.command import finish, start, write_yaml
from tests.support.wait_until import wait_until

SHORT = "sim/exact?ttft_ms=20&gap_ms=1&tokens=4"
SUITE = {"version": 1, "name": "one", "cases": [{"id": "hi", "prompt": "Hi."}], "targets": [SHORT]}
EASY = ("--slo", "total=60s", "--requests", "100", "--most", "4")


def test_a_search_writes_its_curve_and_reuses_its_runs(run_cli: RunCli, tmp_path: Path) -> None:
    """Each load is a run; a second search finds all of them, and sends nothing."""
    suite, folder = write_yaml(tmp_path / "s.yaml", SUITE), tmp_path / "search"
    first = run_cli("capacity", suite, "-o", folder, *EASY)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("[100] ") == 3
    assert f"{SHORT} (simulated) keeps at least 95 % of requests within total=60s up to 4 in flight" in first.stdout
    found = json.loads((folder / "capacity.json").read_text())
    assert [(each["load"], each["standing"]) for each in found["curve"]] == [(1, "kept"), (2, "kept"), (4, "kept")]
    left_out = [100 - each["goodput"]["n"] for each in found["curve"]]
    assert all(level * 2 <= out <= level * 4 for level, out in zip((1, 2, 4), left_out, strict=True)), left_out
    assert (found["highest_kept"], found["lowest_missed"]) == (4, None)
    assert (found["simulated"], first.stdout.count("simulated: the built-in simulator answered")) == (True, 1)

    again = run_cli("capacity", suite, "-o", folder, *EASY)
    assert again.stdout == first.stdout
    assert again.stderr.count("already there") == 3
    curve = capacity(suite, slo="total=60s", requests=100, most=4, output=folder)
    assert (curve["load"].tolist(), curve.attrs["highest_kept"]) == ([1, 2, 4], 4)
    assert curve.attrs["simulated"] is True
    assert curve.attrs["found"][SHORT]["sentence"] == curve.attrs["sentence"]

    other = run_cli("capacity", suite, "-o", folder, "--slo", "total=1ms", "--requests", "100")
    assert (other.returncode, "is of another search" in other.stderr) == (2, True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals as POSIX has them")
def test_a_killed_search_is_resumed(tmp_path: Path) -> None:
    """After a kill in the second load, the first is not sent again, and the second starts in a new folder."""
    write_yaml(tmp_path / "s.yaml", SUITE)
    arguments = ("capacity", "s.yaml", "-o", "search", "--slo", "total=60s", "--requests", "90", "--most", "2")
    first, second = (tmp_path / "search" / name / "journal.jsonl" for name in ("concurrency-1", "concurrency-2"))
    process = start(tmp_path, *arguments)
    try:
        wait_until(lambda: second.exists() and second.read_bytes().count(b'"kind":"record"') >= 3)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    sent, torn = first.read_bytes(), second.read_bytes()
    assert b'"kind":"end"' not in torn

    done = finish(start(tmp_path, *arguments))
    assert done.returncode == 0, done.stderr
    assert (done.stderr.count("already there"), done.stderr.count("tried")) == (1, 1)
    assert (first.read_bytes(), second.read_bytes()) == (sent, torn)
    assert (tmp_path / "search" / "concurrency-2.2" / "journal.jsonl").is_file()
    found = json.loads((tmp_path / "search" / "capacity.json").read_text())
    assert [(each["load"], each["standing"]) for each in found["curve"]] == [(1, "kept"), (2, "kept")]


def test_several_targets_are_searched_one_after_the_other(run_cli: RunCli, tmp_path: Path) -> None:
    """The results are a table and a list of all; a second search sends nothing. A load has a line."""
    targets = ["sim/exact?ttft_ms=5&gap_ms=1&tokens=3", "sim/exact?ttft_ms=8&gap_ms=1&tokens=3"]
    suite, folder = write_yaml(tmp_path / "s.yaml", {**SUITE, "targets": targets}), tmp_path / "search"
    # 73 decide; on a busy machine the ramp lasts longer, and more are left out.
    options = ("--slo", "total=60s", "--requests", "120", "--most", "2")
    done = run_cli("capacity", suite, "-o", folder, *options, "--progress", "none")
    assert (done.returncode, done.stderr.count("first text")) == (0, 0), done.stderr
    for target in targets:
        assert f"{target} (simulated) keeps at least 95 % of requests within total=60s up to 2 in flight" in done.stdout
        assert f"{target} concurrency 2 tried" in done.stderr
    found = json.loads((folder / "capacity.json").read_text())
    assert [(each["target"], each["highest_kept"]) for each in found] == [(target, 2) for target in targets]
    assert {path.parent.name[:-7] for path in folder.glob("*/concurrency-2")} == {
        f"sim-exact-ttft-ms-{ms}-gap-ms-1-tokens-3" for ms in (5, 8)
    }

    turned = run_cli("capacity", suite, "-m", targets[1], "-m", targets[0], "-o", folder, *options)
    assert turned.stderr.count("already there") == 4
    again = run_cli("capacity", suite, "-o", folder, *options)
    assert (again.stdout, again.stderr.count("already there")) == (done.stdout, 4)
    curve = capacity(suite, slo="total=60s", requests=120, most=2, output=folder)
    assert curve["target"].tolist() == [target for target in targets for _ in range(2)]
    assert {target: each["highest_kept"] for target, each in curve.attrs["found"].items()} == dict.fromkeys(targets, 2)
    assert "highest_kept" not in curve.attrs


FAST, SLOWER = (f"sim/exact?ttft_ms={ms}&gap_ms=1&tokens=3" for ms in (5, 8))


def test_loads_of_another_target_are_refused(run_cli: RunCli, tmp_path: Path) -> None:
    """The folder of a search of one target does not answer for another one, although the suite is the same."""
    targets = [FAST, SLOWER]
    suite, folder = write_yaml(tmp_path / "s.yaml", {**SUITE, "targets": targets}), tmp_path / "search"
    options = ("-o", folder, "--slo", "total=60s", "--requests", "80", "--most", "1")
    assert run_cli("capacity", suite, "-m", FAST, *options).returncode == 0
    other = run_cli("capacity", suite, "-m", SLOWER, *options)
    assert (other.returncode, "is of another search: its suite, target, SLO" in other.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "targets", "names"),
    [
        (("-p", "sim"), [FAST, SLOWER], [FAST, SLOWER]),
        (("--vary", "max_tokens=2,3"), [FAST], [f"{FAST}#max_tokens={most}" for most in (2, 3)]),
    ],
    ids=["provider", "vary"],
)
def test_targets_that_one_option_selects_are_searched_one_by_one(
    run_cli: RunCli, tmp_path: Path, options: tuple[str, str], targets: list[str], names: list[str]
) -> None:
    """`-p` selects the targets of a provider, and a name selects the variants of a target."""
    suite, folder = write_yaml(tmp_path / "s.yaml", {**SUITE, "targets": targets}), tmp_path / "search"
    done = run_cli("capacity", suite, *options, "-o", folder, "--slo", "total=60s", "--requests", "80", "--most", "1")
    assert done.returncode == 0, done.stderr
    assert [each["target"] for each in json.loads((folder / "capacity.json").read_text())] == names


def test_a_target_that_never_meets_the_slo_has_no_capacity(run_cli: RunCli, tmp_path: Path) -> None:
    """The search, also by rate, ends at the first load, and says so. Plain progress has a line for each request."""
    suite = write_yaml(tmp_path / "s.yaml", SUITE)
    missed = run_cli(
        "capacity", suite, "-o", tmp_path / "r", "--slo", "ttft=0.01ms", "--load", "rate", "--from", "20",
        "--requests", "40", "--loads", "1", "--progress", "plain",
    )  # fmt: skip
    assert missed.returncode == 0, missed.stderr
    assert missed.stderr.count("first text") >= 40
    assert "keeps at least 95 % of requests within ttft=0.01ms" in missed.stdout


def test_a_search_with_too_few_requests_says_how_many_it_needs(run_cli: RunCli, tmp_path: Path) -> None:
    """The message appears even if all requests met the SLO."""
    suite = write_yaml(tmp_path / "s.yaml", SUITE)
    done = run_cli("capacity", suite, "-o", tmp_path / "r", "--slo", "total=60s", "--requests", "20", "--loads", "2")
    assert done.returncode == 0, done.stderr
    assert "only with 73 judged requests or more, and none had more than" in done.stdout
    assert "give more requests at each load" in done.stdout


def test_limits_out_of_range_are_refused_together(tmp_path: Path) -> None:
    """The message names each limit as the user wrote it, on the command line and in Python."""
    suite, limits = write_yaml(tmp_path / "s.yaml", SUITE), CapacitySearch(share=1, first=9, most=4, loads=0)
    with pytest.raises(CompareError, match=r"--slo-share must be .*\n--from must be .* --most, 4\n--loads must be 1"):
        prepare_search(suite, RunOptions(), limits)
    with pytest.raises(CompareError, match=r"^share must be .*\nfirst must be above 0 and at most most, 4$"):
        capacity(suite, slo="ttft=1s", share=1, first=9, most=4)
    with pytest.raises(CompareError, match=r"^loads=0: give a whole number, 1 or more$"):
        capacity(suite, slo="ttft=1s", loads=0)
    with pytest.raises(CompareError, match=r"^output names the folder of the search"):
        capacity(suite, slo="ttft=1s", output="rows.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RunOptions(max_requests=10), "a capacity search needs an SLO"),
        (RunOptions(slo=parse_slo("ttft=1s")), "--requests 500"),
        (RunOptions(slo=parse_slo("ttft=1s"), max_requests=4), "--requests 4 is too few for a concurrency of 1"),
        (RunOptions(slo=parse_slo("ttft=1s"), max_requests=10, rate=3.0, repeat=2), "leave out --rate, --repeat"),
    ],
)
def test_wrong_options_of_a_search_are_refused(tmp_path: Path, options: RunOptions, said: str) -> None:
    """The message says what to do; nothing is sent."""

    def send_nothing(_: PreparedRun) -> FinishedRun:
        raise AssertionError("a request was sent")

    search = prepare_search(write_yaml(tmp_path / "s.yaml", SUITE), options, CapacitySearch())
    with pytest.raises(CompareError, match=said):
        list(search_capacity(search, send_nothing))
