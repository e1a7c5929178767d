"""Checks: their verdicts, and the verdict of several repeats and turns."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.analysis.check_results import REQUEST, check_cells, check_record
from runner.analysis.run_results import Run
from runner.checks.apply_checks import CHECKS, COST, apply_checks
from runner.checks.check_finding import CheckFinding, CheckVerdict
from runner.checks.language import SHARED_SCRIPTS
from runner.checks.match_and_pass import read_matching, read_share
from runner.commands.run import custom_checks
from runner.commands.run.custom_checks import run_custom_checks
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.outputs import WRITERS
from runner.outputs.terminal import render_summary
from runner.storage import journal
from runner.storage.journal import Header
from runner.suite.checks_schema import ChecksSchema, Language
from tests.support.command import compare, read_lines, read_rows, write_yaml
from tests.support.crafted_runs import header

PASSED, FAILED, UNDECIDED = CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.UNDECIDED

HEADER = header("r", ("acme/m", "acme/n"), cases=("a", "b"), repeat=3, planned_requests=6)


def answered(
    reply: str | None,
    *,
    case: str = "a",
    turn: int = 1,
    repeat: int = 1,
    model: str = "m",
    outcome: Outcome = Outcome.OK,
) -> Record:
    """Make a record of a request that took 1.0 s to its first text and 2.0 s in all, 11 tokens."""
    identity = Identity(f"{case}{turn}{repeat}{model}", case, turn, repeat, repeat, "acme", model, "?")
    return Record(
        identity=identity,
        timestamps=Timestamps(sent=0, headers=1, first_event=10**9, last_event=2 * 10**9),
        outcome=outcome,
        text_events=TextEvents(at_us=(1_000_000, 2_000_000), channels="aa", lengths=(1, 1)) if reply else TextEvents(),
        reply=reply,
        finish_reason="stop",
        output_tokens=11,
        input_tokens=3,
    )


def find_one(check: str, wanted: object, reply: str | None) -> CheckFinding:
    """Return the finding of one check of a reply."""
    return apply_checks({check: wanted}, answered(reply), cost=0.5, is_last_turn=True)[check]


@pytest.mark.parametrize(
    ("check", "wanted", "reply", "verdict"),
    [
        ("equals", "Paris", " Paris\n", PASSED),
        ("equals", ["yes", "Yes."], "Yes.", PASSED),
        ("equals", "Paris", "paris", FAILED),
        ("equals", "x", None, FAILED),
        ("contains", ["a", "b"], "b a", PASSED),
        ("contains", ["a", "b"], "a", FAILED),
        ("not_contains", ["x", "y"], "a", PASSED),
        ("not_contains", ["x", "y"], "a y", FAILED),
        ("not_contains", "x", None, PASSED),
        ("starts_with", ["No", "Yes"], "Yes, it is", PASSED),
        ("starts_with", "es", "Yes", FAILED),
        ("regex", r"(?i)PARIS", "in Paris", PASSED),
        ("regex", [r"^\d+$", "7"], "17", PASSED),
        ("regex", r"^\d+$", "17 x", FAILED),
        ("regex", r"\p{Han}{2}", "你好", PASSED),
        ("regex", "a", "half \ud83d a", PASSED),
        ("json", True, '{"a": 1}', PASSED),
        ("json", True, '```json\n{"a": 1}\n```', PASSED),
        ("json", True, "```\n[1]\n```\n", PASSED),
        ("json", True, 'Here: {"a": 1}', FAILED),
        ("json", True, "NaN", FAILED),
        ("json", True, "[" * 100_000, FAILED),
        ("json", {"type": "object", "required": ["a"]}, '{"a": 1}', PASSED),
        ("json", {"type": "object", "required": ["a"]}, "{}", FAILED),
        ("json", {"$ref": "https://acme.example/schema.json"}, "{}", UNDECIDED),
        ("json", {"$ref": "#"}, "{}", UNDECIDED),
        ("length", {"min": 2, "max": 3}, "  你好 ", PASSED),
        ("length", {"max": 3}, "four", FAILED),
        ("length", {"min": 1}, None, FAILED),
        ("language", "zh", "我是 DeepSeek，一个 AI assistant。", PASSED),
        ("language", "zh", "巴黎。", PASSED),
        ("language", "zh", "東京は日本の首都です。", FAILED),
        ("language", "zh", "日语里的“の”是助词，表示所属关系。", PASSED),
        ("language", "ja", "日语里的“の”是助词，表示所属关系。", FAILED),
        ("language", "ja", "東京は日本の首都です。", PASSED),
        ("language", "ko", "안녕하세요", PASSED),
        ("language", "en", "The capital of France is Paris.", PASSED),
        ("language", "en", "Le dernier train part à minuit dix.", FAILED),
        ("language", "fr", "Le dernier train part à minuit dix.", PASSED),
        ("language", "en", "我不知道", FAILED),
        ("language", "en", "Paris.", UNDECIDED),
        ("language", "zh", "Paris.", FAILED),
        ("language", "ru", "Привет, как дела? Всё хорошо, спасибо.", PASSED),
        ("language", "uk", "Привіт, як справи? Усе добре, дякую.", PASSED),
        ("language", "en", "1234", UNDECIDED),
        ("language", "zh", "用法：\n```python\nprint('this is only a piece of code, in English words')\n```", PASSED),
        ("no_refusal", True, "Paris is the capital.", PASSED),
        ("no_refusal", True, "I'm sorry, but I can't help with that.", FAILED),
        ("no_refusal", True, "I am unable to provide that information.", FAILED),
        ("no_refusal", True, "As an AI language model, I don't have feelings.", PASSED),
        ("no_refusal", True, "As an AI language model, I cannot do that.", FAILED),
        ("no_refusal", True, "抱歉，我无法回答这个问题。", FAILED),
        ("no_refusal", True, "对不起，这个问题我不能回答。", FAILED),
        ("no_refusal", True, "作为一个人工智能语言模型，我无法提供这些信息。", FAILED),
        ("no_refusal", True, "你不能在这里停车，因为有标志。", PASSED),
        ("no_refusal", True, "You cannot divide by zero, sorry to say.", PASSED),
        ("finish_reason", ["stop", "end_turn"], "x", PASSED),
        ("finish_reason", "length", "x", FAILED),
        ("max_ttft_s", 1.0, "x", PASSED),
        ("max_ttft_s", 0.9, "x", FAILED),
        ("max_ttft_s", 9.0, None, UNDECIDED),
        ("max_total_s", 2.0, "x", PASSED),
        ("max_total_s", 1.9, "x", FAILED),
        ("min_output_tps", 5.5, "x", PASSED),
        ("min_output_tps", 5.6, "x", FAILED),
        ("max_cost", 0.5, "x", PASSED),
        ("max_cost", 0.4, "x", FAILED),
        ("python", "m:f", "x", UNDECIDED),
        ("from_a_later_version", 1, "x", UNDECIDED),
    ],
)
def test_a_check_gives_a_verdict_and_a_reason(
    check: str, wanted: object, reply: str | None, verdict: CheckVerdict
) -> None:
    """Each check passes the right replies, and has a reason for the others."""
    found = find_one(check, wanted, reply)
    assert (found.verdict, found.why is None) == (verdict, verdict is PASSED)


def test_an_unknown_cost_is_not_decided() -> None:
    """Without prices or counts the cost is unknown, and the check does not pass."""
    assert apply_checks({COST: 1.0}, answered("x"), cost=None, is_last_turn=True)[COST].verdict is UNDECIDED


def test_a_reply_that_was_not_stored_is_not_decided() -> None:
    """In a stripped journal the answer is missing: its checks are neither passed nor failed."""
    stripped = replace(answered("Paris"), reply=None)
    checks = {"not_contains": "x", "contains": "x", "json": True, "no_refusal": True, "length": {"max": 9}}
    verdicts = {finding.verdict for finding in apply_checks(checks, stripped, cost=None, is_last_turn=True).values()}
    assert verdicts == {UNDECIDED}


def test_no_pattern_takes_exponential_time() -> None:
    """A pattern that backtracks exponentially in other engines is decided at once."""
    assert find_one("regex", "(a+)+$", "a" * 50_000 + "b").verdict is FAILED
    assert find_one("regex", "(a|aa)+b$", "a" * 50_000 + "b").verdict is PASSED


def test_the_table_has_every_check_of_the_schema() -> None:
    """The table has no others, and languages agree in the same way."""
    written = {field.alias or name for name, field in ChecksSchema.model_fields.items()}
    assert written == {*CHECKS, COST}
    assert get_args(Language) == ("zh", "ja", "ko", *chain(*SHARED_SCRIPTS.values()))


WANTED = st.one_of(st.text(), st.lists(st.text(), min_size=1, max_size=3))


@given(check=st.sampled_from(["equals", "contains", "not_contains", "starts_with"]), wanted=WANTED, reply=st.text())
def test_text_checks_decide_about_any_text(check: str, wanted: str | list[str], reply: str) -> None:
    """Any value and reply give a verdict, and a text is never both contained and not contained."""
    found = find_one(check, wanted, reply).verdict
    assert found in {PASSED, FAILED}
    if check == "contains" and isinstance(wanted, str):
        assert find_one("not_contains", wanted, reply).verdict is not found


@given(st.text())
def test_heuristics_accept_any_reply(reply: str) -> None:
    """Language, refusal and JSON give a verdict for any text."""
    checks = {"language": "en", "no_refusal": True, "json": {"type": "object"}, "regex": r"\w+$"}
    assert apply_checks(checks, answered(reply), cost=None, is_last_turn=True).keys() == checks.keys()


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_any_json_passes_the_json_check(value: object) -> None:
    """It passes bare and in a fenced block."""
    text = json.dumps(value)
    assert find_one("json", True, text).verdict is PASSED
    assert find_one("json", True, f"```json\n{text}\n```").verdict is PASSED


@pytest.mark.parametrize(
    ("text", "share"), [("all", None), ("2 of 3", (2, 3)), ("3 of 2", ...), ("0 of 2", ...), ("2/3", ...), ("", ...)]
)
def test_a_share_of_repeats_is_all_or_n_of_m(text: str, share: object) -> None:
    """`all` and `N of M` are valid, with N at most M; nothing else is."""
    if share is not ...:
        assert read_share(text) == share
        return
    with pytest.raises(ValueError, match=r"\. "):
        read_share(text)


@pytest.mark.parametrize("text", ["exact", "normalized", "similar", "similar 0.95", "similar 1", "checks-only"])
def test_only_documented_ways_to_match_are_parsed(text: str) -> None:
    """Other words are refused."""
    way, _, ratio = text.partition(" ")
    assert read_matching(text).way == way
    assert not ratio or read_matching(text).least_ratio == float(ratio)


def header_with(**cases: Mapping[str, Any]) -> Header:
    """Return a header with these checks of cases."""
    return replace(HEADER, checks=cases)


@pytest.mark.parametrize(
    ("share", "replies", "verdict", "counts"),
    [
        (None, "yyy", PASSED, (3, 0, 0)),
        (None, "yyn", FAILED, (2, 1, 0)),
        ("2 of 3", "yyn", PASSED, (2, 1, 0)),
        ("2 of 3", "ynn", FAILED, (1, 2, 0)),
        ("2 of 3", "yyynn", FAILED, (3, 2, 0)),
        ("2 of 3", "yyyyn", PASSED, (4, 1, 0)),
        ("2 of 3", "n", FAILED, (0, 1, 0)),
    ],
)
def test_several_repeats_pass_if_all_do_or_the_share_that_must(
    share: str | None, replies: str, verdict: CheckVerdict, counts: tuple[int, int, int]
) -> None:
    """All must pass, or the suite's share of them, rounded up."""
    header = header_with(a={"checks": {"equals": "y"}, "turns": 1, **({"pass": share} if share else {})})
    (cell,) = check_cells(header, [answered(reply, repeat=at) for at, reply in enumerate(replies, 1)])
    assert (cell.verdict, (cell.passed, cell.failed, cell.undecided)) == (verdict, counts)


def test_undecided_repeats_count_separately() -> None:
    """Two passes and an undecided one are neither three passes nor a failure."""
    header = header_with(a={"checks": {"language": "en"}, "turns": 1})
    replies = ["It rains in the north of Spain.", "It snows in the south of Chile.", "Yes."]
    (cell,) = check_cells(header, [answered(reply, repeat=at) for at, reply in enumerate(replies, 1)])
    assert (cell.verdict, cell.passed, cell.undecided, cell.faults[0].verdict) == (UNDECIDED, 2, 1, UNDECIDED)


def test_a_failed_request_fails_its_case() -> None:
    """Its check columns are empty, and the cell has the outcome of the request."""
    header = header_with(a={"checks": {"not_contains": "x"}, "turns": 1})
    failed = replace(answered(None, outcome=Outcome.TIMEOUT), error="no text in 60 s")
    (cell,) = check_cells(header, [failed])
    assert check_record(header, failed) is None
    assert (cell.verdict, cell.faults[0].check, cell.faults[0].why) == (FAILED, REQUEST, "timeout: no text in 60 s")


def test_an_interrupted_repeat_is_not_decided() -> None:
    """A cancelled request, or a conversation without its last turn, has no verdict."""
    header = header_with(a={"checks": {"contains": "y", "max_ttft_s": 5}, "turns": 2})
    cells = check_cells(header, [answered("y", model="m"), answered(None, model="n", outcome=Outcome.CANCELLED)])
    assert [cell.verdict for cell in cells] == [UNDECIDED, UNDECIDED]


def test_text_checks_apply_to_the_last_turn_and_measurements_to_each() -> None:
    """`contains` applies to the last reply, `max_ttft_s` to both."""
    header = header_with(a={"checks": {"contains": "Ada", "max_ttft_s": 0.5}, "turns": 2})
    first, last = (check_record(header, answered("Ada", turn=turn)) or {} for turn in (1, 2))
    assert (list(first), list(last)) == (["max_ttft_s"], ["contains", "max_ttft_s"])


def test_every_output_shows_failed_checks() -> None:
    """CSV has the columns, and JSON, Markdown, JUnit and the terminal name the cell and the reason."""
    header = header_with(a={"checks": {"contains": "y|", "max_ttft_s": 5}, "turns": 1, "line": 7})
    run = Run.of(header, [answered("n", model="m"), answered("y|", model="n"), answered("?", case="b")])
    assert run.frame["checks_passed"].tolist()[:2] == [1, 2]
    assert run.frame["checks_failed"].tolist()[:2] == [1, 0]
    assert run.frame["checks_failed"].isna().tolist() == [False, False, True]
    assert [cell["verdict"] for cell in json.loads(WRITERS[".json"](run))["checks"]] == ["failed", "passed"]
    assert "a · acme/m: failed, 0 of 1 repeat passed, 1 needed" in WRITERS[".md"](run)
    assert "contains: “y&#124;” is not in it" in WRITERS[".md"](run)
    assert "1 of 2 cells" in str([str(part) for part in render_summary(run).renderables])
    assert "line 7 of the suite</failure>" in WRITERS[".xml"](run)


def test_every_output_shows_how_many_repeats_passed() -> None:
    """A case that passed in two of three repeats is shown differently from one that passed in all."""
    header = header_with(a={"checks": {"contains": "y"}, "turns": 1, "pass": "2 of 3"})
    replies = {"m": "yyy", "n": "yny"}
    run = Run.of(
        header,
        [
            answered(reply, model=model, repeat=at)
            for model, said in replies.items()
            for at, reply in enumerate(said, 1)
        ],
    )
    console = Console(file=StringIO(), width=100)
    console.print(render_summary(run))
    terminal = console.file.getvalue()  # type: ignore[attr-defined]
    page = re.sub(r"<[^>]+>", "", WRITERS[".html"](run)).replace("passed ", "passed, ")
    for text in (WRITERS[".md"](run), page, terminal):
        assert "passed, 3 of 3" in text
        assert "passed, 2 of 3" in text
    passed = [test.findtext("system-out") for test in ET.fromstring(WRITERS[".xml"](run)).iter("testcase")]
    assert passed == [
        f"a · acme/{model}: passed, {n} of 3 repeats passed, 2 needed" for model, n in (("m", 3), ("n", 2))
    ]


OWN = """
print("on import")


def short(record):
    print("asked")
    return len(record.reply) < 10_000


def rude(record):
    return f"{record.identity.case} is rude"


def broken(record):
    return record.nothing


def silent(record):
    pass


def leaving(record):
    raise SystemExit(7)


def unfit(record):
    import pytest
    pytest.fail("not good enough")
"""

RUN = ("run", "suite.yaml", "-m", "sim/quick", "-o", "out", "--json")


def write_own(folder: Path, *functions: str) -> None:
    """Write a suite with a case that is checked by these functions."""
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    case = {"id": "a", "prompt": "hi", "checks": {"python": [f"own:{name}" for name in functions]}}
    write_yaml(folder / "suite.yaml", {"cases": [case]})


def test_functions_of_the_suite_are_checks(tmp_path: Path) -> None:
    """Their results and exceptions are verdicts with reasons; their prints do not mix with the results."""
    write_own(tmp_path, "short", "rude", "broken", "silent", "leaving", "unfit")
    done = compare(tmp_path, *RUN)
    (line,) = read_lines(tmp_path / "out", "check")
    assert line["said"] == {
        "own:short": None,
        "own:rude": "a is rude",
        "own:broken": "AttributeError: 'Record' object has no attribute 'nothing'",
        "own:silent": "it returned NoneType, not True, False or a text",
        "own:leaving": "SystemExit: 7",
        "own:unfit": "Failed: not good enough",
    }
    assert done.returncode == 1
    assert json.loads(done.stdout)["checks"][0]["faults"][0]["why"] == "own:rude: a is rude"
    assert "asked" in done.stderr


def test_functions_run_once_for_each_record(tmp_path: Path) -> None:
    """Reading the run again gives their verdicts without their code, and a second call runs nothing."""
    write_own(tmp_path, "short")
    assert compare(tmp_path, *RUN).returncode == 0
    (tmp_path / "own.py").write_text("raise RuntimeError('asked again')", encoding="utf-8")
    before = (tmp_path / "out" / "journal.jsonl").read_bytes()
    run = Run.of_journal(journal.read(tmp_path / "out"))
    run_custom_checks(tmp_path / "out", str)
    assert [cell.verdict for cell in run.checked] == [PASSED]
    assert run.frame["checks_passed"].tolist() == [1]
    assert (tmp_path / "out" / "journal.jsonl").read_bytes() == before
    assert read_rows(tmp_path / "out")[0]["checks_passed"] == "1"


def test_modules_of_two_suites_may_share_a_name(tmp_path: Path) -> None:
    """In one process each suite uses its own functions, imported helpers included."""
    verdicts = []
    for name, said in (("one", "True"), ("two", "False")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "own.py").write_text(f"def f(record):\n    return {said}\n", encoding="utf-8")
        header = replace(header_with(a={"checks": {"python": "own:f"}, "turns": 1}), path=str(folder / "s.yaml"))
        with journal.JournalWriter(folder / "out") as writer:
            writer.append_header(header)
            writer.append_record(answered("x"))
        run_custom_checks(folder / "out", str)
        verdicts += [cell.verdict for cell in Run.of_journal(journal.read(folder / "out")).checked]
    assert verdicts == [PASSED, FAILED]
    assert str(tmp_path / "one") not in sys.path


def test_a_function_that_never_returns_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time limit it is abandoned, not called for another record, and does not delay other functions."""
    monkeypatch.setattr(custom_checks, "LIMIT_S", 0.2)
    code = "from time import sleep\n\ndef hangs(record):\n    sleep(30)\n\ndef fits(record):\n    return True\n"
    (tmp_path / "own.py").write_text(code, encoding="utf-8")
    checks = {"a": {"checks": {"python": ["own:hangs", "own:fits"]}, "turns": 1}}
    with journal.JournalWriter(tmp_path / "out") as writer:
        writer.append_header(replace(header_with(**checks), path=str(tmp_path / "s.yaml")))
        writer.append_record(answered("x", repeat=1))
        writer.append_record(answered("x", repeat=2))
    run_custom_checks(tmp_path / "out", str)
    first, second = (line["said"] for line in read_lines(tmp_path / "out", "check"))
    assert first == {"own:hangs": "stopped, since it took longer than 0.2 s", "own:fits": None}
    assert second == {"own:hangs": "not called, since it took longer than 0.2 s on another record", "own:fits": None}


def test_a_failed_check_gives_exit_code_1(tmp_path: Path) -> None:
    """A line on the terminal names case, target and reason."""
    case = {"id": "a", "prompt": "hi", "checks": {"contains": "zebra"}}
    write_yaml(tmp_path / "suite.yaml", {"cases": [case]})
    done = compare(tmp_path, "run", "suite.yaml", "-m", "sim/quick", "-o", "junit.xml")
    assert done.returncode == 1
    assert re.search(
        r"a · sim/quick: failed, 0 of 1 repeat passed, 1 needed\s+contains: “zebra” is not in it", done.stdout
    )
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text(encoding="utf-8")
