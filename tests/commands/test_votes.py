"""`compare votes`, `compare report --votes` and `runner.votes`: votes on crafted runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runner
from runner.errors import CompareError
from runner.storage.run_folder import RESULTS
from runner.storage.vote_file import read_vote_files
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered, failed, write_run

RUN, OTHER = "20260105T090000-a-11", "20260106T090000-a-22"
CASES = tuple("abcdefgh")


def make_run(run_id: str = RUN, cases: Sequence[str] = CASES) -> Path:
    """Write a run of two targets; the second failed in the last case."""
    records = [answered(BASE, case, reply=f"old {case}") for case in cases]
    records += [answered(NEW, case, reply=f"new {case}") for case in cases[:-1]]
    return write_run(RESULTS / run_id, [*records, failed(NEW, cases[-1])], cases=tuple(cases))


def vote(case: str, winner: str = BASE, **more: Any) -> dict[str, Any]:
    """Return one vote as a page exports it."""
    plain = {"case": case, "turn": 1, "repeat": 1, "targets": [NEW, BASE], "winner": winner}
    return {**plain, "at": f"2026-01-07T10:00:{ord(case) % 60:02}.000Z", **more}


def write_votes(name: str, cast: Sequence[Any], **more: Any) -> Path:
    """Write a file of votes."""
    plain = {"format": 1, "run_id": RUN, "suite_digest": "d1", "voter": name, "votes": list(cast), **more}
    path = Path(f"{name}.json")
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def test_votes_of_several_people_are_counted(run_cli: RunCli) -> None:
    """Terminal, JSON, Markdown and Python have the same figures, each with its n."""
    make_run()
    ada = write_votes("ada", [vote(case) for case in CASES[:6]])
    at = {"at": "2026-01-08T10:00:00+08:00"}
    lin = write_votes("lin", [*(vote(case, NEW, **at) for case in "ab"), *(vote(case, **at) for case in "cde")])
    shown = run_cli("votes", RUN, str(ada), str(lin), "-o", "votes.md", "-o", "votes.json")
    assert "81.8 %" in shown.stdout
    assert "11 votes by 2 people on 6 cases" in shown.stdout
    assert "5 questions with two or more votes" in shown.stdout
    assert "(n 11)" in Path("votes.md").read_text(encoding="utf-8")
    plain = json.loads(Path("votes.json").read_text(encoding="utf-8"))
    assert plain == json.loads(run_cli("votes", RUN, str(ada), str(lin), "--json").stdout)
    (pair,) = plain["together"]["rates"]["pairs"]
    assert (pair["target"], pair["wins"], pair["losses"], pair["n"], pair["cases"]) == (BASE, 9, 2, 11, 6)
    assert [(each["voter"], each["votes"]) for each in plain["voters"]] == [("ada", 6), ("lin", 5)]
    assert (plain["agreement"]["units"], plain["agreement"]["values"]) == (5, 10)

    counted = runner.votes(RUN, ada, lin)
    together = counted.frame[counted.frame["voter"].isna()].set_index("target")
    assert together.loc[BASE, "win_rate"] == pytest.approx(9 / 11)
    assert together.loc[BASE, "strength"] == pytest.approx(plain["together"]["rates"]["strengths"][0]["value"])
    assert counted.pairs.loc[0, "n"] == 11
    assert counted.alpha == pytest.approx(plain["agreement"]["alpha"])
    assert "81.8 %" in repr(counted)


def test_files_in_the_folder_are_found(run_cli: RunCli) -> None:
    """votes*.json beside the journal are counted without being named, by the report as well."""
    folder = make_run()
    write_votes("ada", [vote(case) for case in "abc"]).rename(folder / "votes-ada.json")
    assert "3 votes by 1 person on 3 cases" in run_cli("votes", RUN).stdout
    assert len(runner.votes(RUN).frame) == 4
    assert len(runner.votes(runner.load(RUN)).frame) == 4
    assert "3 votes by 1 person" in run_cli("report", RUN).stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="blind-votes"' in page
    assert "3 票" in page


def test_votes_without_a_file_or_a_run_say_what_to_do(run_cli: RunCli) -> None:
    """No file is named and none is in the folder, or no run is named."""
    make_run()
    assert "open the report, press b, vote, export as JSON" in refusal(run_cli, "votes", RUN)
    assert "name the run that was voted on" in refusal(run_cli, "votes", "ada.json")
    Path("basic.yaml").write_text("version: 1\n", encoding="utf-8")
    assert "votes*.json" not in refusal(run_cli, "votes", RUN, "basic.yaml")
    with pytest.raises(CompareError, match=r"no votes\*\.json"):
        runner.votes(RUN)


def refusal(run_cli: RunCli, *arguments: str) -> str:
    """Run a command that must be refused; return its message on one line."""
    ran = run_cli(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    return " ".join(ran.stderr.split())


PROBLEMS: tuple[tuple[dict[str, Any], str], ...] = (
    (vote("a", "acme/odd"), "the winner 'acme/odd' is not among the targets"),
    (vote("a", targets=["acme/nwe", BASE]), "has no target 'acme/nwe'. Did you mean `acme/new`?"),
    (vote("A"), "has no such case"),
    (vote("a", repeat=2), "has no reply in repeat 2"),
    (vote("h", NEW), "the winner 'acme/new' has no reply in repeat 1"),
    (vote("a", targets=[BASE, BASE]), "a target is listed twice"),
    (vote("a", targets=[BASE]), "fewer than two targets"),
    (vote("a", at="2026-01-07T10:00:00"), "no offset from UTC"),
    (vote("a", at="yesterday"), "Invalid RFC3339"),
    (vote("a", turn="1"), "Expected `int`, got `str`"),
    (vote("a", comment="good"), "unknown field `comment`"),
    (vote("a", runs=[1, 1]), "are only for a file on several runs"),
)


def test_all_problems_of_all_vote_files_are_named_at_once(run_cli: RunCli) -> None:
    """Each has its place; nothing is counted."""
    make_run()
    for at, (wrong, _) in enumerate(PROBLEMS):
        write_votes(f"v{at}", [vote("b", at=f"2026-01-09T10:00:{at:02}Z"), wrong])
    files = [f"v{at}.json" for at in range(len(PROBLEMS))]
    shown = refusal(run_cli, "votes", RUN, *files)
    for file, (_, problem) in zip(files, PROBLEMS, strict=True):
        assert f"{file}: vote 2" in shown
        assert problem in shown


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"run_id": "another"}, "votes on run another, not on"),
        ({"suite_digest": "d2"}, "had the digest d2 when it was voted on, and has d1"),
        ({"run_id": None}, "names its run by"),
        ({"format": 2}, "Invalid enum value 2"),
        ({"votes": {}}, "Expected `array`, got `object`"),
    ],
)
def test_votes_on_another_run_suite_or_format_are_refused(run_cli: RunCli, more: dict[str, Any], problem: str) -> None:
    """The message says which of them differs."""
    make_run()
    write_votes("ada", [vote("a")], **more)
    assert problem in refusal(run_cli, "votes", RUN, "ada.json")


def test_missing_and_malformed_vote_files_are_refused(run_cli: RunCli) -> None:
    """A missing file and one that is not JSON are two problems."""
    make_run()
    Path("odd.json").write_bytes(b"\xff{")
    shown = refusal(run_cli, "votes", RUN, "odd.json", "none.json")
    assert "odd.json: not a file of votes" in shown
    assert "none.json: cannot be read: No such file" in shown


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (("ada-again", {"voter": "ada"}), "ada has voted on the same replies already, in ada.json"),
        (("renamed", {}), "this is the vote in ada.json, cast at the same moment"),
    ],
)
def test_a_second_vote_of_one_voter_is_refused(
    run_cli: RunCli, second: tuple[str, dict[str, Any]], problem: str
) -> None:
    """So is the same export under another name."""
    make_run()
    write_votes("ada", [vote("a"), vote("b")])
    write_votes(second[0], [vote("a")], **second[1])
    assert problem in refusal(run_cli, "votes", RUN, "ada.json", f"{second[0]}.json")


def test_votes_of_a_page_with_several_runs_need_all_of_them(run_cli: RunCli) -> None:
    """Targets are distinguished by their runs; the runs may be named in any order."""
    make_run()
    make_run(OTHER)
    runs = [{"run_id": RUN, "suite_digest": "d1"}, {"run_id": OTHER, "suite_digest": "d1"}]
    both = [vote(case, targets=[BASE, BASE], runs=[2, 1], winner_run=2) for case in "abc"]
    write_votes("ada", both, run_id=None, suite_digest=None, runs=runs)
    plain = json.loads(run_cli("votes", OTHER, RUN, "ada.json", "--json").stdout)
    # Equal replies of two runs tie.
    (pair,) = plain["together"]["rates"]["pairs"]
    assert {pair["target"], pair["against"]} == {f"{BASE} · run 1", f"{BASE} · run 2"}
    assert (pair["ties"], pair["n"]) == (3, 3)
    assert f"votes on run {OTHER}, not on {RUN}" in refusal(run_cli, "votes", RUN, "ada.json")
    write_votes("lin", [vote("a", runs=[1, 2], winner_run=1)], run_id=None, suite_digest=None, runs=runs)
    assert "`winner_run` does not fit `runs`" in refusal(run_cli, "votes", OTHER, RUN, "lin.json")


def test_a_report_notes_votes_that_it_cannot_count(run_cli: RunCli) -> None:
    """A file in the folder that does not fit is a note; one that is named is an error."""
    folder = make_run()
    wrong = write_votes("ada", [vote("a", "acme/odd")])
    assert "not among the targets" in refusal(run_cli, "report", RUN, "--votes", str(wrong))
    wrong.rename(folder / "votes-ada.json")
    shown = run_cli("report", RUN)
    assert "no votes are shown" in shown.stderr
    assert 'id="blind-votes"' not in (folder / "report.html").read_text(encoding="utf-8")


def test_a_report_counts_named_files(run_cli: RunCli) -> None:
    """`--votes` may be repeated."""
    make_run()
    for name, at in (("ada", "2026-01-08T10:00:00Z"), ("lin", "2026-01-08T10:00:01Z")):
        write_votes(name, [vote("a", at=at)])
    assert (
        "2 votes by 2 people on 1 case" in run_cli("report", RUN, "--votes", "ada.json", "--votes", "lin.json").stdout
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["format", "votes", "runs", "case", "run_id"]), inner)
        ),
    )
)
def test_any_json_is_read_as_votes_or_a_problem(document: object) -> None:
    """Whatever JSON a file holds, no exception is raised."""
    path = Path("any.json")
    path.write_text(json.dumps(document), encoding="utf-8")
    files, problems = read_vote_files([path])
    assert files == ()
    assert len(problems) == 1
