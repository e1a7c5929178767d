"""An output never replaces a file that the command read, or one that belongs to a run."""

import shutil
from pathlib import Path

import pytest

import runner
from runner.errors import CompareError
from tests.support.command import compare, write_yaml

SAMPLES = Path(__file__).parents[1] / "samples" / "runs"
OWNED = "this file belongs to the run in"
READ = "this command reads that file, and would replace it"
JOURNAL = "journal.jsonl is where a run keeps what it observed"
RUN = ("run", "suite.yaml", "-m", "sim/quick", "-q", "-o", "out")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with two runs, a snapshot and a suite whose cases and prompts are in files."""
    for name in ("complete", "kept", "kept.snapshot"):
        shutil.copytree(SAMPLES / name, tmp_path / name)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "latest").symlink_to("../complete")
    (tmp_path / "cases.csv").write_text("id,prompt\na,Hello\n")
    (tmp_path / "rows.jsonl").write_text('{"id": "b", "prompt_file": "prompt.md"}\n')
    (tmp_path / "prompt.md").write_text("Hello again")
    (tmp_path / "same.csv").symlink_to("cases.csv")
    write_yaml(tmp_path / "suite.yaml", {"cases_from": "cases.csv"})
    write_yaml(tmp_path / "other.yaml", {"cases_from": "rows.jsonl"})
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((*RUN, "-o", "cases.csv"), READ),
        ((*RUN, "-o", "same.csv"), READ),
        (("run", "other.yaml", "-m", "sim/quick", "-o", "rows.jsonl"), READ),
        (("run", "other.yaml", "-m", "sim/quick", "-o", "prompt.md"), READ),
        ((*RUN, "-o", "complete/results.csv"), OWNED),
        ((*RUN, "-o", "complete/report.html"), OWNED),
        ((*RUN, "-o", "complete/RESULTS.md"), OWNED),
        ((*RUN, "-o", "kept.snapshot/timings.json"), OWNED),
        ((*RUN, "-o", "results/latest/results.csv"), OWNED),
        ((*RUN, "-o", "complete/journal.jsonl"), JOURNAL),
        ((*RUN, "-o", "out/journal.jsonl"), JOURNAL),
        ((*RUN, "-o", "journal.jsonl"), JOURNAL),
        (("run", "kept.yaml", "--resume", "kept", "-o", "kept/journal.jsonl"), JOURNAL),
        (("ask", "Hello", "-m", "sim/quick", "-o", "complete/results.md"), OWNED),
        (("snapshot", "suite.yaml", "-m", "sim/quick", "-o", "complete/results.md"), OWNED),
        (("plan", "suite.yaml", "-m", "sim/quick", "-o", "cases.csv"), READ),
        (("export", "complete", "-o", "complete/results.csv"), OWNED),
        (("export", "complete", "-o", "complete/report.html"), OWNED),
        (("export", "complete", "-o", "kept/results.csv"), OWNED),
        (("export", "complete", "--otel", "-o", "complete/journal.jsonl"), JOURNAL),
        (("export", "complete", "--excel", "-o", "complete/results.csv"), OWNED),
        (("export", "copy.jsonl", "--otel", "-o", "copy.jsonl"), READ),
        (("report", "complete", "-o", "kept/report.html"), OWNED),
        (("report", "complete", "kept", "-o", "kept/report.html"), OWNED),
        (("diff", "complete", "kept", "-o", "kept/results.md"), OWNED),
        (("diff", "complete", "kept", "-o", "kept.snapshot/timings.json"), OWNED),
        (("calibrate", "-o", "complete/journal.jsonl"), JOURNAL),
        (("calibrate", "-o", "complete/results.csv"), OWNED),
    ],
)
def test_no_output_replaces_a_file_that_is_needed(place: Path, arguments: tuple[str, ...], why: str) -> None:
    """For any name, through links and in any case, it is refused with exit code 2, and every file stays."""
    shutil.copy(SAMPLES / "kept.yaml", place)
    shutil.copy(place / "complete" / "journal.jsonl", place / "copy.jsonl")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    done = compare(place, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert why in done.stderr
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["report.html", "results.csv", "results.md", "recordings.bin", "difference.md"])
def test_a_run_replaces_no_file_of_a_folder_that_holds_no_run(place: Path, name: str) -> None:
    """A folder with the user's files, or one that the suite reads, is refused before anything is sent."""
    (place / "mine").mkdir()
    (place / "mine" / name).write_text("keep")
    for command in ("run", "plan"):
        done = compare(place, command, "suite.yaml", "-m", "sim/quick", "-o", "mine")
        assert done.returncode == 2
        assert f"mine holds no run, but {name}, which a run there would replace" in " ".join(done.stderr.split())
    assert [path.read_text() for path in (place / "mine").iterdir()] == ["keep"]


@pytest.mark.parametrize(("key", "name"), [("cases_from", "results.csv"), ("prompt_file", "results.md")])
def test_a_run_replaces_no_file_of_its_suite_with_its_tables(place: Path, key: str, name: str) -> None:
    """This holds for a folder named with -o, and for that of a resumed run."""
    out, copy = place / "out", f"copy-{name}"
    out.mkdir()

    def write_suite(file: str) -> None:
        (out / file).write_text("id,prompt\na,Hello\n")
        write_yaml(out / "suite.yaml", {key: file} if key == "cases_from" else {"cases": [{"id": "a", key: file}]})

    write_suite(copy)
    assert compare(place, *RUN[:1], "out/suite.yaml", *RUN[2:]).returncode == 0
    write_suite(name)
    before = (out / name).read_bytes()
    resumed = compare(place, "run", "out/suite.yaml", "--resume", "out", "-q")
    assert (resumed.returncode, READ in " ".join(resumed.stderr.split())) == (2, True), resumed.stderr
    (out / "journal.jsonl").unlink()
    new = compare(place, *RUN[:1], "out/suite.yaml", *RUN[2:])
    assert (new.returncode, name in new.stderr) == (2, True), new.stderr
    assert (out / name).read_bytes() == before


def test_a_run_replaces_no_file_that_prompts_from_python_name(place: Path) -> None:
    """They are read as the cases of a suite file are."""
    with pytest.raises(CompareError, match=READ):
        runner.run(prompts=[{"prompt_file": "prompt.md"}], targets="sim/quick", output="prompt.md", progress=False)
    assert (place / "prompt.md").read_text() == "Hello again"


def test_a_report_replaces_no_page_that_is_not_its_own_unless_it_is_named(place: Path) -> None:
    """The file at its default place, beside a journal or in the current folder, may be the user's."""
    for folder, runs in (("complete", ("complete",)), (".", ("complete", "kept"))):
        (place / folder / "report.html").write_text("<p>mine")
        done = compare(place, "report", *runs)
        assert (done.returncode, "is not a report of this command" in " ".join(done.stderr.split())) == (2, True)
        assert (place / folder / "report.html").read_text() == "<p>mine"
    for _ in range(2):
        assert compare(place, "report", "complete", "kept", "-o", "report.html").returncode == 0
    assert compare(place, "report", "complete", "kept").returncode == 0


def test_a_runs_own_views_may_be_written_again(place: Path) -> None:
    """By default a report is written into its run's folder, and it may be named there."""
    for arguments in ((), ("-o", "complete/report.html"), ("-o", "results/latest/report.html")):
        done = compare(place, "report", "complete", *arguments)
        assert done.returncode == 0, done.stderr


def test_an_unwritable_table_does_not_affect_the_others(place: Path) -> None:
    """It is named, and the exit code means that results are missing, not that there are none."""
    (place / "out" / "results.md" / "in-the-way").mkdir(parents=True)
    done = compare(place, *RUN, "-o", "more.csv")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "out/results.md cannot be written" in done.stderr
    for path in ("out/results.csv", "out/report.html", "out/journal.jsonl", "more.csv"):
        assert (place / path).stat().st_size > 0
