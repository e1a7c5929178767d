"""Snapshots: file names for any file system, ways to compare, states of questions, and which replies are kept."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.reply_diff import WholeReply
from runner.analysis.run_results import Run
from runner.analysis.snapshot import (
    ComparedQuestion,
    SnapshotState,
    SuiteScope,
    comparable,
    compare_snapshot,
    normalized,
)
from runner.commands.load_stored_run import load_run
from runner.commands.snapshot import (
    MAX_FILE_NAME_BYTES,
    escape,
    path_of,
    read_replies,
    remove_reply,
    strip,
    stripped_lines,
    unescape,
    write_reply,
)
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.core.tool_call import ToolCall, canonical_calls, read_calls, write_calls
from runner.errors import CompareError
from runner.storage import journal
from tests.support.command import ROOT, call, compare, read_lines, write_yaml
from tests.support.crafted_runs import header

NAMES = st.text(min_size=1, max_size=12)


@given(NAMES)
def test_an_escaped_name_is_unescaped_to_itself(name: str) -> None:
    """Any name of a case or model can be read back from its file's name."""
    assert unescape(escape(name)) == name


@given(NAMES, NAMES)
def test_escaped_names_differ_on_any_file_system(one: str, other: str) -> None:
    """Two names differ even where case is ignored or Unicode is normalized."""
    if one != other:
        assert normalize("NFD", escape(one)).casefold() != normalize("NFD", escape(other)).casefold()


@given(NAMES)
def test_an_escaped_name_is_a_valid_file_name(name: str) -> None:
    """It has no separator, no character that a system forbids, and no dot or blank at an end."""
    escaped = escape(name)
    assert not set(escaped) & set('/\\:*?"<>|+,\0 ')
    assert escaped[0] != "."
    assert escaped[-1] != "."
    assert escaped.isprintable()


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("who-are-you", "who-are-you"),
        ("你是谁", "你是谁"),
        ("Qwen/Qwen3-8B", "^qwen%2f^qwen3-8^b"),
        ("con", "%63on"),
        ("lpt1.x", "%6cpt1.x"),
        ("..", "%2e%2e"),
        ("é", "%c3%a9"),
        ("a b", "a%20b"),
    ],
)
def test_common_names_are_escaped_readably(name: str, escaped: str) -> None:
    """Common names look like themselves; devices of Windows and relative paths do not get through."""
    assert escape(name) == escaped


def test_a_name_too_long_for_a_file_is_refused() -> None:
    """The error holds the name and a hint."""
    assert len(escape("a" * MAX_FILE_NAME_BYTES)) == MAX_FILE_NAME_BYTES
    with pytest.raises(CompareError, match="too long for a file's name; shorten it"):
        escape("谁" * MAX_FILE_NAME_BYTES)


CALLS = st.lists(
    st.builds(
        ToolCall,
        st.text(),
        st.text() | st.dictionaries(st.text(), st.text() | st.floats() | st.lists(st.integers())).map(json.dumps),
    ),
    max_size=3,
)


def as_in_files(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Return calls with line ends and half surrogate pairs as files hold them."""
    written = write_calls(canonical_calls(calls))
    return canonical_calls(read_calls(comparable(written))) if written else ()


@given(text=st.text(), calls=CALLS, question=st.builds(ComparedQuestion, NAMES, st.integers(1, 12), NAMES))
def test_a_reply_is_read_back_from_its_file(
    tmp_path_factory: pytest.TempPathFactory, text: str, calls: list[ToolCall], question: ComparedQuestion
) -> None:
    """Line ends and blanks included, under the question it answers; and once removed, nothing is left of it."""
    folder = tmp_path_factory.mktemp("s")
    question = replace(question, target=f"acme/{question.target}")
    write_reply(folder, question, WholeReply(text, canonical_calls(calls)))
    assert read_replies(folder) == {question: WholeReply(comparable(text), as_in_files(calls))}
    remove_reply(folder, question)
    assert read_replies(folder) == {}
    assert list((folder / "replies").iterdir()) == []


def test_line_ends_changed_by_git_are_ignored(tmp_path: Path) -> None:
    """A file checked out with CR LF is the reply that was written."""
    question = ComparedQuestion("a", 1, "acme/m")
    write_reply(tmp_path, question, WholeReply("one\ntwo\n"))
    path = path_of(tmp_path, question)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_replies(tmp_path) == {question: WholeReply("one\ntwo\n")}


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
@pytest.mark.parametrize("place", ["replies", "replies/a", "replies/a/acme", "replies/a/acme/m.txt", "timings.json"])
def test_links_in_a_snapshot_are_not_followed(tmp_path: Path, place: str) -> None:
    """A foreign snapshot neither shows nor overwrites a file that lies elsewhere."""
    folder, outside = tmp_path / "s.snapshot", tmp_path / "outside"
    question = ComparedQuestion("a", 1, "acme/m")
    write_reply(outside, question, WholeReply("secret"))
    target = outside / place if (outside / place).exists() else outside
    (folder / place).parent.mkdir(parents=True)
    (folder / place).symlink_to(target)
    for read in (read_replies, load_run):
        with pytest.raises(CompareError, match="is a link; a snapshot holds folders and files alone"):
            read(folder)


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_a_snapshot_outside_of_its_suites_folder_is_refused(tmp_path: Path) -> None:
    """The snapshot folder itself may not be a link that leads out, either."""
    (tmp_path / "work").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "work" / "s.snapshot").symlink_to(tmp_path / "outside")
    with pytest.raises(CompareError, match="leads out of the suite's folder"):
        read_replies(tmp_path / "work" / "s.snapshot")


def test_a_damaged_snapshot_file_is_named(tmp_path: Path) -> None:
    """A file that is no text, or has a foreign name, is an error that names it."""
    path = path_of(tmp_path, ComparedQuestion("a", 1, "acme/m"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff")
    with pytest.raises(CompareError, match=r"m\.txt was not written by compare"):
        read_replies(tmp_path)
    path.rename(path.with_name("%zz.txt")).write_bytes(b"A text, under a name that is not an escape.")
    with pytest.raises(CompareError, match=r"%zz\.txt was not written by compare"):
        read_replies(tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("It is  10:42.\n", "it is 9:05.", True),
        ("Order 123e4567-e89b-12d3-a456-426614174000", "order 00000000-e89b-12d3-a456-426614174999", True),
        ("call_a81bc81bdead4e5d is done", "call_9f1e7c2ab03d44aa is done", True),
        ("On 2026-01-05 it rained", "On 2025-12-31 it rained", True),
        ("On March 5, 2026", "on April 17, 2027", True),
        ("共３５个头", "共 35个头", False),
        ("Paris", "Rome", False),
        ("may rain", "will rain", False),
        ("1 apple", "1 pear", False),
    ],
)
def test_numbers_dates_and_ids_are_not_compared(one: str, other: str, same: bool) -> None:
    """Case, blanks, numbers, dates and ids are normalized; words are not."""
    assert (normalized(one) == normalized(other)) is same


HEADER = header("r", ("acme/m",), suite="s", simulated=True, cases=("a",), path="secret/suite.yaml")
A = ComparedQuestion("a", 1, "acme/m")
SCOPE = SuiteScope({"a": 1}, None)


def replied(
    reply: str | None,
    *calls: ToolCall,
    simulated: bool = True,
    repeat: int = 1,
    outcome: Outcome = Outcome.OK,
) -> Record:
    """Make a record of one request."""
    return Record(
        identity=Identity(f"k{repeat}", "a", 1, repeat, repeat, "acme", "m", "my question", simulated=simulated),
        timestamps=Timestamps(sent=0, first_event=1, last_event=2),
        outcome=outcome,
        text_events=TextEvents(at_us=(5, 9), channels="ra", lengths=(4, 4)),
        reply=reply,
        reasoning="my thoughts",
        tool_calls="my tools",
        calls=calls,
        error="my error",
        request_id="my id",
        response_model="m-2026",
    )


def state_of(
    kept: str | WholeReply | None,
    *replies: Record,
    expected_checks: Mapping[str, object] | None = None,
    scope: SuiteScope = SCOPE,
) -> list[SnapshotState]:
    """Compare replies with the kept ones; return the state of each question."""
    run = Run.of(replace(HEADER, checks={"a": expected_checks} if expected_checks else {}), replies)
    held = WholeReply(kept) if isinstance(kept, str) else kept
    return [each.state for each in compare_snapshot({} if held is None else {A: held}, run, scope)]


@pytest.mark.parametrize(
    ("kept", "now", "expected_checks", "state"),
    [
        ("x", replied("x"), None, SnapshotState.SAME),
        ("x", replied("X"), None, SnapshotState.CHANGED),
        ("x", replied("X"), {"match": "normalized"}, SnapshotState.SAME),
        ("a b c d", replied("a b c e"), {"match": "similar 0.75"}, SnapshotState.SAME),
        ("a b c d", replied("a b c e"), {"match": "similar 0.76"}, SnapshotState.CHANGED),
        (None, replied("x"), None, SnapshotState.NEW),
        ("x", replied(None, outcome=Outcome.TIMEOUT), None, SnapshotState.MISSING),
        ("x", replied("y", simulated=False), None, SnapshotState.NOT_COMPARED),
        ("x", replied("y", simulated=False), {"match": "exact"}, SnapshotState.CHANGED),
        ("x", replied("y", simulated=False), {"checks": {"equals": "y"}}, SnapshotState.PASSED),
        ("x", replied("y", simulated=False), {"checks": {"equals": "x"}}, SnapshotState.FAILED),
        ("x", replied("y", simulated=False), {"checks": {"language": "en"}}, SnapshotState.NOT_COMPARED),
        ("x", replied("y"), {"match": "checks-only"}, SnapshotState.NOT_COMPARED),
    ],
)
def test_a_question_is_compared_as_its_case_says(
    kept: str | None, now: Record, expected_checks: Mapping[str, object] | None, state: SnapshotState
) -> None:
    """The default is exact for the simulator and by checks for live models."""
    assert state_of(kept, now, expected_checks=expected_checks) == [state]


PARIS = ToolCall("get_weather", '{"city": "Paris", "days": 2}', "call_1")
ROME = ToolCall("get_weather", '{"city": "Rome", "days": 2}')
AT_NINE = ToolCall("remind", '{"at": "09:00"}')


@pytest.mark.parametrize(
    ("kept", "now", "match", "state"),
    [
        ([PARIS], [ToolCall("get_weather", '{"days":2.0,\n"city":"Paris"}', "call_9")], "exact", SnapshotState.SAME),
        ([PARIS, ROME], [ROME, PARIS], "exact", SnapshotState.SAME),
        ([PARIS], [ROME], "exact", SnapshotState.CHANGED),
        ([PARIS], [ROME], "similar 0.1", SnapshotState.CHANGED),
        ([PARIS], [PARIS, PARIS], "exact", SnapshotState.CHANGED),
        ([PARIS], [], "normalized", SnapshotState.CHANGED),
        ([], [PARIS], "exact", SnapshotState.CHANGED),
        ([AT_NINE], [ToolCall("remind", '{"at": "21:30"}')], "normalized", SnapshotState.SAME),
        ([AT_NINE], [ToolCall("remind", '{"at": "21:30"}')], "exact", SnapshotState.CHANGED),
        ([ToolCall("f", "")], [ToolCall("f", "{}")], "exact", SnapshotState.SAME),
        ([ToolCall("f", "Paris")], [ToolCall("f", "paris")], "exact", SnapshotState.CHANGED),
    ],
)
def test_calls_are_compared_by_name_and_by_the_value_of_their_arguments(
    kept: list[ToolCall], now: list[ToolCall], match: str, state: SnapshotState
) -> None:
    """Order, ids and JSON formatting do not count; other calls are a change in all modes but `checks-only`."""
    for text in (None, "I shall look."):
        held = WholeReply(text or "", canonical_calls(kept))
        if text or now:
            assert state_of(held, replied(text, *now), expected_checks={"match": match}) == [state]
    assert state_of(
        WholeReply("", canonical_calls(kept)), replied("", *now), expected_checks={"match": "checks-only"}
    ) == [SnapshotState.NOT_COMPARED]


def test_a_reply_of_calls_alone_is_kept(tmp_path: Path) -> None:
    """It is a reply, not a missing one; its files hold an empty text and the calls in readable form."""
    assert state_of(None, replied(None, PARIS)) == [SnapshotState.NEW]
    write_reply(tmp_path, A, WholeReply("", canonical_calls([PARIS])))
    path = path_of(tmp_path, A)
    assert path.read_text(encoding="utf-8") == "\n"
    calls = path.with_name("m.calls.json")
    assert calls.read_text(encoding="utf-8").splitlines()[1:4] == [
        "  {",
        '    "name": "get_weather",',
        '    "arguments": {',
    ]
    write_reply(tmp_path, A, WholeReply("now in words"))
    assert not calls.exists()


def test_a_file_of_calls_that_is_no_list_of_calls_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    write_reply(tmp_path, A, WholeReply("", canonical_calls([PARIS])))
    path_of(tmp_path, A).with_name("m.calls.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(CompareError, match=r"m\.calls\.json was not written by compare, or changed since"):
        read_replies(tmp_path)


def test_the_first_ok_repeat_is_compared() -> None:
    """A failed first repeat does not hide a good second one."""
    assert state_of("x", replied(None, outcome=Outcome.TIMEOUT), replied("x", repeat=2)) == [SnapshotState.SAME]


def test_a_question_removed_from_the_suite_is_orphaned() -> None:
    """So is a removed turn or target, but not a question that this run left out."""
    run = Run.of(HEADER, [replied("x")])
    kept = {
        A: WholeReply("x"),
        ComparedQuestion("b", 1, "acme/m"): WholeReply(""),
        ComparedQuestion("a", 2, "acme/m"): WholeReply(""),
        ComparedQuestion("a", 1, "acme/n"): WholeReply(""),
    }
    listed = compare_snapshot(kept, run, SuiteScope({"a": 1, "b": 1}, {"acme/m"}))
    assert [each.question for each in listed if each.state is SnapshotState.ORPHANED] == [
        ComparedQuestion("a", 2, "acme/m"),
        ComparedQuestion("a", 1, "acme/n"),
    ]
    unlisted = compare_snapshot(kept, run, SuiteScope({"a": 2, "b": 1}, None))
    assert [each.state for each in unlisted] == [SnapshotState.SAME]


def test_a_stripped_journal_holds_times_and_no_texts(tmp_path: Path) -> None:
    """It has no prompt, reply, error or suite path, but every duration."""
    record = replied("my reply", ToolCall("my_tool", "{}", "my id"))
    with journal.JournalWriter(tmp_path) as writer:
        for line in stripped_lines(HEADER, [record], {"kind": "end"}):
            writer.append(line)
    text = (tmp_path / "journal.jsonl").read_text(encoding="utf-8")
    assert re.search("my[ _]", text) is None
    assert "secret" not in text
    (back,) = journal.read(tmp_path).records
    assert back == strip(record)
    assert (back.ttft_s, back.ttfa_s, back.total_s, back.chars) == (
        record.ttft_s,
        record.ttfa_s,
        record.total_s,
        record.chars,
    )


SUITE: dict[str, object] = {
    "cases": [
        {"id": "Hello", "prompt": "hello"},
        {"id": "talk", "turns": ["hi", "what did I say?"]},
        {"id": "checked", "prompt": "ok", "match": "checks-only", "checks": {"not_contains": "zebra"}},
    ]
}
ASK = ("snapshot", "suite.yaml", "-q", "-m", "sim/quick", "-o", "run")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a suite, its snapshot and the run that it was kept from."""
    folder = tmp_path_factory.mktemp("asked")
    write_yaml(folder / "suite.yaml", SUITE)
    done = compare(folder, *ASK, "--update")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def kept(asked: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder for one test."""
    for path in asked.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(asked)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file of the snapshot."""
    root = folder / "suite.snapshot"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def hold(folder: Path, *more: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Compare the existing run with the snapshot."""
    return compare(folder, "snapshot", "suite.yaml", "--from", "run", *more, variables=variables)


def test_update_keeps_a_file_for_each_reply_and_the_timings_apart(kept: Path) -> None:
    """Replies are small text files; timings.json can be read, and the journal is a baseline."""
    files = files_of(kept)
    assert sorted(files) == [
        "journal.jsonl",
        "replies/^hello/sim/quick.txt",
        "replies/checked/sim/quick.txt",
        "replies/talk+2/sim/quick.txt",
        "replies/talk/sim/quick.txt",
        "timings.json",
    ]
    cells = json.loads(files["timings.json"])["cells"]
    assert [(cell["case"], cell["turn"], cell["n"]) for cell in cells] == [
        ("Hello", 1, 1),
        ("checked", 1, 1),
        ("talk", 1, 1),
        ("talk", 2, 1),
    ]
    assert "prompt" not in str(read_lines(kept / "suite.snapshot", "header"))


def test_the_same_replies_pass_and_write_nothing(kept: Path) -> None:
    """The simulator repeats itself, so that another run has identical replies."""
    before = files_of(kept)
    done = compare(kept, *ASK[:-1], "again")
    assert done.returncode == 0
    assert "snapshot: 4 of 4 questions compared: 3 same, 1 checks passed" in done.stdout
    assert files_of(kept) == before


def test_new_changed_and_orphaned_replies_are_listed(kept: Path) -> None:
    """New, changed and orphaned are distinguished, changes are shown word by word, and the exit code is 1."""
    replies = kept / "suite.snapshot" / "replies"
    text = (replies / "talk" / "sim" / "quick.txt").read_text(encoding="utf-8")
    (replies / "talk" / "sim" / "quick.txt").write_text(text.replace("Hello", "Goodbye"), encoding="utf-8")
    (replies / "^hello" / "sim" / "quick.txt").rename(replies / "checked" / "sim" / "quick.txt")
    (replies / "^hello" / "sim").rmdir()
    (replies / "^hello").rmdir()
    write_reply(kept / "suite.snapshot", ComparedQuestion("gone", 1, "sim/quick"), WholeReply("bye"))
    done = hold(kept)
    assert done.returncode == 1
    assert "1 same, 1 checks passed, 1 changed, 1 new, 1 orphaned" in done.stdout
    assert "talk · sim/quick: changed" in done.stdout
    assert "[-Goodbye-]{+Hello+}" in done.stdout


def test_on_github_changed_replies_are_in_the_summary_and_beside_the_case(kept: Path) -> None:
    """The step summary has the counts and the changes; an annotation for each reply names its line in the suite."""
    changed = kept / "suite.snapshot" / "replies" / "talk" / "sim" / "quick.txt"
    changed.write_text(changed.read_text(encoding="utf-8").replace("Hello", "Goodbye"), encoding="utf-8")
    page = kept / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page), "GITHUB_WORKSPACE": str(kept)}
    done = hold(kept, variables=variables)
    assert done.returncode == 1
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n## snapshot: ")
    assert "1 changed" in text
    assert "| talk · sim/quick | changed |" in " ".join(text.split())
    assert "<del>Goodbye</del><ins>Hello</ins>" in text
    assert re.search(
        r"^::error file=suite\.yaml,line=\d+,title=talk · sim/quick%3A changed::", done.stderr, re.MULTILINE
    )


def test_in_ci_a_snapshot_is_not_changed(kept: Path) -> None:
    """With CI=true both ways of keeping are refused before anything is sent; comparing still works."""
    before = files_of(kept)
    for option in ("--update", "--review"):
        done = hold(kept, option, variables={"CI": "true"})
        assert (done.returncode, "CI is set" in done.stderr) == (2, True)
    assert hold(kept, variables={"CI": "true"}).returncode == 0
    assert files_of(kept) == before


def test_a_snapshot_without_comparisons_exits_with_2(tmp_path: Path) -> None:
    """There is no snapshot, or all cases are `checks-only` and have no checks."""
    write_yaml(tmp_path / "suite.yaml", {"cases": [{"id": "a", "prompt": "hi", "match": "checks-only"}]})
    done = compare(tmp_path, *ASK)
    assert done.returncode == 2
    reason = "it is compared by its checks only, and has none"
    assert f"0 of 1 question compared: 1 not compared ({reason})" in done.stdout
    assert "nothing was compared" in done.stderr


def test_an_update_removes_orphans_and_keeps_other_targets(kept: Path) -> None:
    """A removed case loses its file; the reply of a target that was left out keeps its own."""
    folder = kept / "suite.snapshot"
    write_reply(folder, ComparedQuestion("gone", 1, "sim/quick"), WholeReply("bye"))
    write_reply(folder, ComparedQuestion("Hello", 1, "acme/m"), WholeReply("hi"))
    timings = files_of(kept)["timings.json"]
    done = hold(kept, "--update")
    assert done.returncode == 0
    assert "suite.snapshot: 1 reply removed; " in done.stderr
    assert "the timings were left as they are" in done.stderr
    assert ComparedQuestion("Hello", 1, "acme/m") in read_replies(folder)
    assert ComparedQuestion("gone", 1, "sim/quick") not in read_replies(folder)
    assert files_of(kept)["timings.json"] == timings


def review(folder: Path, answers: str) -> subprocess.CompletedProcess[str]:
    """Review the changes with these answers."""
    command = ("snapshot", "suite.yaml", "--from", "run", "--review")
    return call(command, folder, {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}, answers)


@pytest.mark.parametrize(("answers", "at"), [("", 1), ("a\n", 2)])
def test_a_review_without_answers_keeps_nothing(kept: Path, answers: str, at: int) -> None:
    """If standard input ends, nothing is kept, accepted changes included, and the exit code is 2."""
    for turn in (1, 2):
        write_reply(kept / "suite.snapshot", ComparedQuestion("talk", turn, "sim/quick"), WholeReply("old"))
    before = files_of(kept)
    done = review(kept, answers)
    assert (done.returncode, "Aborted" in done.stderr) == (2, False)
    assert f"standard input ended at change {at} of 2, so nothing is kept" in done.stderr
    assert files_of(kept) == before


def test_a_review_keeps_what_is_accepted_and_nothing_else(kept: Path) -> None:
    """Rejected and skipped changes are not written, and open ones still fail."""
    folder = kept / "suite.snapshot"
    questions = [
        ComparedQuestion("Hello", 1, "sim/quick"),
        ComparedQuestion("talk", 1, "sim/quick"),
        ComparedQuestion("talk", 2, "sim/quick"),
    ]
    true = read_replies(folder)
    for question in questions:
        write_reply(folder, question, WholeReply("old"))
    done = review(kept, "a\nr\ns\n")
    now = read_replies(folder)
    assert "1 accepted, 1 rejected, 1 skipped" in done.stdout
    assert [now[question] for question in questions] == [true[questions[0]], WholeReply("old"), WholeReply("old")]
    assert done.returncode == 1
    assert review(kept, "a\na\n").returncode == 0
    assert read_replies(folder) == true


def test_a_run_of_another_suite_is_refused(kept: Path) -> None:
    """`--from` takes runs of this suite only."""
    write_yaml(kept / "other.yaml", SUITE)
    done = compare(kept, "snapshot", "other.yaml", "--from", "run")
    assert (done.returncode, "is a run of the suite suite, not of other" in done.stderr) == (2, True)
    assert hold(kept, "-k", "talk").returncode == 2


def test_snapshot_from_a_run_uses_the_current_checks(kept: Path) -> None:
    """With `--from` the suite's current checks count, so that a check can be tried out without a request."""
    cases = [dict(case) for case in SUITE["cases"]]  # type: ignore[attr-defined]
    cases[2]["checks"] = {"contains": "zebra"}
    write_yaml(kept / "suite.yaml", {"cases": cases})
    done = hold(kept)
    assert done.returncode == 1
    assert "checked · sim/quick: checks failed" in done.stdout


def test_tool_calls_are_kept_and_a_changed_argument_is_found(tmp_path: Path) -> None:
    """The simulator's calls repeat; another value in the kept file is a change, shown word by word."""
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "parameters": city}
    tools = [{"type": "function", "function": function}]
    suite = {
        "defaults": {"extra_body": {"tools": tools}},
        "cases": [{"id": "paris", "prompt": "What is the weather in Paris?"}],
    }
    write_yaml(tmp_path / "suite.yaml", suite)
    kept = compare(tmp_path, "snapshot", "suite.yaml", "-m", "sim/quick", "--update", "-q")
    assert kept.returncode == 0, kept.stderr
    calls = tmp_path / "suite.snapshot" / "replies" / "paris" / "sim" / "quick.calls.json"
    assert json.loads(calls.read_text(encoding="utf-8")) == [{"name": "get_weather", "arguments": {"city": "Paris"}}]
    again = compare(tmp_path, "snapshot", "suite.yaml", "-m", "sim/quick", "-q")
    assert (again.returncode, "1 same" in again.stdout) == (0, True)
    calls.write_text(calls.read_text(encoding="utf-8").replace("Paris", "Rome"), encoding="utf-8")
    other = compare(tmp_path, "snapshot", "suite.yaml", "-m", "sim/quick", "-q")
    assert other.returncode == 1
    assert "paris · sim/quick: changed (other tool calls)" in other.stdout
    assert 'get_weather({"city": "[-Rome-]{+Paris+}"})' in other.stdout
