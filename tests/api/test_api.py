"""The public Python API: runs, replies, streams, comparisons, and one sentence for every mistake."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import runner
from runner import CompareError, arun, ask, diff, load, pictures, run, side_by_side, stream, summary
from runner.api.ask import prepare_conversation
from runner.api.keywords import RUN_OPTIONS
from runner.api.options import read_options
from runner.api.progress_display import NoDisplay, StreamingReplies
from runner.api.run import read_cases
from runner.api.run_in_thread import perform_watched
from runner.core.load_profile import LoadProfile
from runner.core.slo import Slo
from runner.core.until_ci import UntilCi
from runner.errors import InvalidFile
from runner.outputs.csv import load as load_csv
from tests.support import command
from tests.support.command import start, write_config
from tests.support.crafted_runs import BASE, NEW, answered, jittered, write_run
from tests.support.media_files import png

QUICK = "sim/exact?ttft_ms=20&gap_ms=2&tokens=5"
SLOW = "sim/exact?ttft_ms=60&gap_ms=6&tokens=5"


@pytest.fixture(scope="module")
def two_targets(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return a run of two prompts and two targets, repeated six times."""
    folder = tmp_path_factory.mktemp("two-targets") / "kept"
    return run(prompts=["one", "two"], targets=[QUICK, SLOW], repeat=6, seed=1, output=folder)


# Runs


def test_run_returns_a_row_for_each_request(two_targets: pd.DataFrame) -> None:
    """Every case, repeat and target has its row, with its prompt and its measurements."""
    rows = two_targets.groupby(["case", "repeat", "model"]).size()
    assert len(rows) == 2 * 6 * 2
    assert set(rows) == {1}
    assert set(two_targets["prompt"]) == {"one", "two"}
    assert (two_targets["ttft_s"] > 0.01).all()
    assert two_targets["simulated"].all()


def test_attrs_hold_the_run(two_targets: pd.DataFrame) -> None:
    """The table's `attrs` hold id, folder, targets and seed as plain data, which a copy keeps."""
    attrs = two_targets.copy().attrs
    assert attrs["run_id"] == two_targets["run_id"].unique().item()
    assert (Path(attrs["folder"]) / "journal.jsonl").is_file()
    assert attrs["targets"] == [QUICK, SLOW]
    assert (attrs["seed"], attrs["repeat"], attrs["ended"], attrs["notes"]) == (1, 6, True, [])
    assert json.loads(json.dumps(attrs)) == attrs


def test_load_returns_what_run_returned(two_targets: pd.DataFrame) -> None:
    """A run's folder loads as its table with metadata; the CSV loads as the table without metadata."""
    folder = Path(two_targets.attrs["folder"])
    again = load(folder)
    pd.testing.assert_frame_equal(again, two_targets)
    assert again.attrs == two_targets.attrs
    pd.testing.assert_frame_equal(load(folder / "results.csv"), load_csv(folder / "results.csv"))


def test_a_suite_file_is_run_as_the_command_runs_it(tmp_path: Path) -> None:
    """A path and the options of the command line are accepted; results/<run-id> and `latest` are written."""
    (tmp_path / "my.yaml").write_text("cases: [{id: a, prompt: x}, {id: b, prompt: y}]", encoding="utf-8")
    table = run("my.yaml", targets=QUICK, case="a", repeat=2, concurrency=1, order="as-written")
    assert table["case"].tolist() == ["a", "a"]
    assert Path(table.attrs["folder"]).parent == tmp_path / "results"
    assert load("latest").attrs["run_id"] == table.attrs["run_id"]
    assert (table.attrs["suite"], table.attrs["case_patterns"], table.attrs["concurrency"]) == ("my", ["a"], 1)


def test_a_run_is_resumed(tmp_path: Path) -> None:
    """`resume` resumes a run of a suite file, and sends nothing twice."""
    (tmp_path / "my.yaml").write_text("cases: [{id: a, prompt: x}]", encoding="utf-8")
    first = run("my.yaml", targets=QUICK, repeat=2)
    again = run(resume=first.attrs["folder"], repeat=3)
    assert sorted(again["repeat"]) == [1, 2, 3]
    assert again["started_at"].tolist()[:2] == first["started_at"].tolist()


def test_prompts_may_be_turns_and_cases() -> None:
    """A list of texts is a conversation, a mapping is a case as in a suite."""
    table = run(
        prompts=[["My name is Ada.", "What is my name?"], {"id": "known", "prompt": "Say {{w}}.", "vars": {"w": "hi"}}],
        targets="sim/quick",
        defaults={"max_tokens": 40},
    )
    asked = table.set_index(["case", "turn"])["prompt"].to_dict()
    assert asked == {("prompt-1", 1): "My name is Ada.", ("prompt-1", 2): "What is my name?", ("known", 1): "Say hi."}
    assert "Ada" in table[table["turn"] == 2]["reply"].item()


def test_prompts_may_be_a_table() -> None:
    """`case` is the id, `system` is sent, and other columns fill templates if there are any."""
    table = run(
        pd.DataFrame(
            {
                "prompt": ["Say {{word}} {{times}} times", "as it stands"],
                "case": ["a", "b"],
                "word": ["hi", None],
                "times": [3, 4],
            }
        ),
        targets=QUICK,
    )
    assert table.set_index("case")["prompt"].to_dict() == {"a": "Say hi 3 times", "b": "as it stands"}


def test_a_run_shows_nothing_in_a_script(capfd: pytest.CaptureFixture[str]) -> None:
    """Without IPython nothing is written to stdout or stderr."""
    run(prompts="one", targets=QUICK)
    assert capfd.readouterr() == ("", "")


def test_run_works_under_a_running_loop() -> None:
    """A caller inside an event loop, such as a notebook's cell, gets its table."""

    async def cell() -> pd.DataFrame:
        return run(prompts="one", targets=QUICK)

    assert asyncio.run(cell())["outcome"].tolist() == ["ok"]


def test_arun_does_not_block_the_callers_loop() -> None:
    """Other tasks of the loop run while a run is awaited."""

    async def cell() -> tuple[pd.DataFrame, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        table = await arun(prompts="one", targets="sim/exact?ttft_ms=300&gap_ms=1&tokens=3")
        ticking.cancel()
        return table, ticks

    table, ticks = asyncio.run(cell())
    assert table["outcome"].tolist() == ["ok"]
    assert ticks > 3


def test_a_cancelled_arun_keeps_finished_rows() -> None:
    """Cancelling the awaiting task stops the run; finished rows can be loaded, and the rest is cancelled."""

    async def cell() -> None:
        running = asyncio.create_task(arun(prompts="one", targets=QUICK, repeat=100_000, concurrency=1))
        while read_outcomes().count("ok") < 2:  # noqa: ASYNC110 -- there is no event to wait for
            await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cell())
    outcomes = load("latest")["outcome"].tolist()
    assert outcomes.count("ok") > 1
    assert set(outcomes) <= {"ok", "cancelled"}
    assert not load("latest").attrs["ended"]
    assert (Path("results/latest") / "results.csv").is_file()


def read_outcomes() -> list[str]:
    """Return the outcomes in the journals of this folder."""
    journals = Path("results").glob("2*/journal.jsonl")
    return [
        found for path in journals for found in re.findall(r'"outcome": ?"(\w+)"', path.read_text(encoding="utf-8"))
    ]


INTERRUPTED = """
from runner import run
try:
    run(prompts="one", targets=["{target}"], repeat=100_000, concurrency=1)
except KeyboardInterrupt as interrupt:
    print(interrupt)
"""


def test_ctrl_c_stops_a_script_and_keeps_finished_rows(tmp_path: Path) -> None:
    """SIGINT raises KeyboardInterrupt, whose message says how to load the finished rows."""
    process = start(tmp_path, program=("-c", INTERRUPTED.format(target=QUICK)))
    until(lambda: read_outcomes().count("ok") > 1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert stderr == ""
    said = re.fullmatch(r'stopped; finished rows kept: (\d+)\. load\("(.+)"\) returns them\n', stdout)
    assert said, stdout
    assert load(said[2])["outcome"].tolist().count("ok") == int(said[1]) > 1


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most a minute."""
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_no_thread_or_process_outlives_a_run() -> None:
    """The thread and the simulator end with the run."""
    before = children()
    run(prompts="one", targets=QUICK)
    assert [thread.name for thread in threading.enumerate() if "portal" in thread.name] == []
    assert children() <= before


def children() -> set[str]:
    """Return the ids of this process's children, without that of `ps`."""
    asked = ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split()[0] for line in lines if not line.endswith(" ps")}


def test_prompts_are_checked_by_a_judge_and_by_functions_of_the_working_directory() -> None:
    """Every check of a suite file works on prompts, too."""
    Path("mine.py").write_text(
        "def is_short(record):\n    return len(record.reply) < 5 or 'too long'\n", encoding="utf-8"
    )
    table = run(
        prompts=[
            {"id": "met", "prompt": "Who are you?", "checks": {"rubric": 'It says "simulated".'}},
            {"id": "missed", "prompt": "Who are you?", "checks": {"rubric": 'It says "Paris".'}},
            {"id": "called", "prompt": "Who are you?", "checks": {"python": "mine:is_short"}},
        ],
        targets="sim/quick",
        judge="sim/judge",
    )
    failed = dict(zip(table["case"], table["checks_failed"], strict=True))
    assert failed == {"met": 0, "missed": 1, "called": 1}


def test_side_by_side_has_the_pass_rate_of_the_rows_that_are_shown() -> None:
    """It is shown at the last turn of each case, and for each target with its n.

    Without the run's folder a remark says why not.
    """
    cases: list[Any] = [
        {"id": "name", "prompt": "Who are you?", "checks": {"contains": "quick"}},
        {"id": "talk", "turns": ["Hello", "Who are you?"], "checks": {"contains": "nobody"}},
    ]
    table = run(prompts=cases, targets=["sim/quick", "sim/steady"], repeat=2, output="out")
    shown = repr(side_by_side(table))
    assert re.search(r"sim/quick: pass rate 50\.0 % \[.*\] \(n 4 in 2 cases\)", shown)
    assert re.search(r"sim/steady: pass rate 0\.0 % \[.*\] \(n 4 in 2 cases\)", shown)
    endings = re.findall(r"── (sim/\w+) \(.*, simulated(?:, (.*))?\)", shown)
    assert endings == [
        ("sim/quick", "2 of 2 repeats passed"),
        ("sim/steady", "0 of 2 repeats passed"),
        ("sim/quick", ""),
        ("sim/steady", ""),
        ("sim/quick", "0 of 2 repeats passed"),
        ("sim/steady", "0 of 2 repeats passed"),
    ]
    assert "(n 1 in 1 case)" in repr(side_by_side(table[(table["case"] == "name") & (table["repeat"] == 1)]))
    assert "2 of 2 repeats passed" in side_by_side(table)._repr_html_()
    shutil.rmtree("out")
    assert "No pass rates: the table is of run " in repr(side_by_side(table))


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"repeats": 3}, "run() has no option `repeats`. Did you mean `repeat`?"),
        ({"model": "x/y"}, "run() has no option `model`. Did you mean `targets`?"),
        ({"temperature": 0}, "run() has no option `temperature`. Did you mean `defaults`?"),
        ({"repeat": 0}, "repeat=0: give a whole number, 1 to 1,000,000"),
        ({"repeat": True}, "repeat=True: give a whole number, 1 to 1,000,000"),
        ({"concurrency": 10**6}, "concurrency=1000000: give a whole number, 1 to 10,000"),
        ({"order": "block"}, "order='block': give one of blocks, free, as-written. Did you mean `blocks`?"),
        ({"rate": 0}, "rate=0: give a number above 0"),
        ({"duration": "5m"}, "duration='5m': give seconds, a number above 0"),
        ({"sweep": 4}, "sweep=4: give a list of whole numbers, such as [1, 2, 4, 8]"),
        ({"bom": "yes"}, "bom='yes': give True or False"),
        ({"targets": 5}, "targets=5: give a text, or several in a list"),
        ({"env_file": [3]}, "env_file=[3]: give a path"),
        ({"until_ci": 5}, "until_ci=5: '5' is not a share above 0 and up to 100%; write 5% or 0.05"),
        ({"budget": "5"}, "budget='5': '5' is not a sum of money. Write a number and its currency: 5USD or 20CNY."),
        ({"arrivals": "poisson"}, "arrivals sets the intervals between the requests of rate; add rate"),
        ({"sweep": [1, 2], "concurrency": 3}, "sweep sets the concurrency, level by level; leave concurrency out"),
        ({"lead": 1, "order": "free"}, "lead applies to order='blocks' only; in order free, no lane waits for another"),
        ({"suite": "a.yaml"}, "a suite and prompts are both given; keep one of them"),
    ],
)
def test_a_wrong_option_raises_one_sentence(arguments: dict[str, Any], said: str) -> None:
    """Each wrong name and value raises before anything is sent, and the message names the accepted ones."""
    with pytest.raises(CompareError) as raised:
        run(**({"prompts": "one"} | arguments))
    assert str(raised.value) == said
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ([], "there is nothing to ask"),
        (["one", " "], "prompts:2:1: `prompt` is empty"),
        (["one", 2], "prompt 2 is of type int"),
        ([{"promt": "x"}], "unknown key `promt`. Did you mean `prompt`?"),
        (
            [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}],
            "prompts:2:1: the id `a` is taken by the case at prompts:1",
        ),
        ([{"prompt": "x", "checks": {"python": "mine:check"}}], "mine"),
        (
            [{"prompt": "x"}, {"prompt": "x", "checks": {"rubric": "It is polite."}}],
            "prompts:2:1: the case `prompt-2` has a rubric, which a model decides, and none is named. Name one",
        ),
        (pd.DataFrame({"promt": ["x"]}), "no column `prompt`. Is it `promt`?"),
        (pd.DataFrame({"prompt": ["x", None]}), "row 2 of the table has no prompt"),
        (pd.DataFrame({"prompt": ["{{wrd}}"], "word": ["x"]}), "Did you mean `word`?"),
        (pd.DataFrame({"prompt": ["{{word}}"] * 2, "word": ["x", None]}), "row 2 of the table has no `word`"),
    ],
)
def test_a_wrong_prompt_is_refused_with_its_number(prompts: Any, said: str) -> None:
    """It is refused before anything is sent, and the error names its place."""
    with pytest.raises(CompareError, match=re.escape(said)):
        run(prompts=prompts, targets=QUICK)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ("simm/judge", "judge:1:1: unknown provider `simm`. Did you mean `sim`?"),
        ("judge", "judge:1:1: `target`: `judge` names no model."),
        ({"model": "sim/judge"}, "judge:1:1: unknown key `model`"),
        ({"target": "sim/judge", "temperature": 7}, "judge:1:1: `temperature` is 7. Write a number of at most 2."),
        (
            {"target": "sim/judge", "system": "{{x}}"},
            "judge:1:1: this system message is for all cases and no template.",
        ),
        ("sim/nobody", "judge:1:1: the model 'nobody' does not exist."),
    ],
)
def test_a_wrong_judge_is_refused(judge: Any, said: str) -> None:
    """The error comes before anything is sent, as for a suite file."""
    with pytest.raises(CompareError, match=re.escape(said)):
        run(prompts={"prompt": "x", "checks": {"rubric": "It is polite."}}, targets=QUICK, judge=judge)
    assert not Path("results").exists()


def test_wrong_prompts_defaults_and_judge_are_in_one_error() -> None:
    """A secret is found in each part of a prompt, too."""
    with pytest.raises(InvalidFile) as raised:
        run(prompts=[""], defaults={"temprature": 1}, judge="nowhere/x", targets=QUICK)
    assert [problem.path for problem in raised.value.problems] == ["defaults", "judge", "prompts"]


def test_a_judge_beside_a_suite_file_is_refused() -> None:
    """The suite file names its own judge."""
    with pytest.raises(CompareError, match="judge is for prompts; a suite file has a `judge` of its own"):
        run("prompts/basic.yaml", judge="sim/judge")


def test_all_wrong_prompts_are_in_one_error() -> None:
    """The error lists each faulty case."""
    with pytest.raises(InvalidFile) as raised:
        run(prompts=["", "fine", {"prompt": "x", "speed": "y"}], targets=QUICK)
    assert [problem.line for problem in raised.value.problems] == [1, 3]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ask("hi", temprature=1), "ask() has no option `temprature`. Did you mean `temperature`?"),
        (lambda: ask(""), "`prompt` is empty"),
        (lambda: ask("hi", temperature=7), "`temperature` is 7. Write a number of at most 2."),
        (lambda: stream("hi"), "a stream has one target, and 3 are meant"),
        (
            lambda: diff("latest"),
            "two of its targets with between=('A', 'B'), or two regions with between_regions=('A', 'B')",
        ),
        (
            lambda: run(prompts="x", percentiles=["p95", 120, True]),  # type: ignore[list-item]
            "percentiles=['p95', 120, True]: 'p95', True are not numbers; 120 is not between 0 and 100",
        ),
        (lambda: load("nowhere"), "there is no nowhere"),
        (lambda: side_by_side(pd.DataFrame({"a": [1]})), "this is not a table of results: it has no column provider"),
        (lambda: pictures(pd.DataFrame({"a": [1]})), "this is not a table of results: it has no column run_id"),
    ],
)
def test_a_wrong_call_raises_one_sentence(call: Any, said: str) -> None:
    """Every function names the argument and its error."""
    with pytest.raises(CompareError, match=re.escape(said)):
        call()


def test_every_keyword_of_run_reaches_the_options() -> None:
    """Each documented keyword sets a field of `RunOptions`: none is accepted and ignored."""
    given_options: dict[str, Any] = {
        "targets": "sim/quick", "provider": ["sim"], "skip_missing": True, "env_file": "a.env", "allow_host": "h.test",
        "reply_limit": "32MiB", "vary": {"thinking": ["off"], "seed": (1, 2)},
            "concurrency": 2,
        "output": ["a", "b.csv"], "bom": True, "case": "a*", "repeat": 3, "seed": 4, "warmup_requests": 1,
        "order": "blocks", "adaptive": True, "rate": 2.5, "arrivals": "poisson", "duration": 60,
        "requests": 7, "budget": ["5USD", "20CNY"], "until_ci": 0.05, "estimate_tokens": True, "resume": "latest",
        "percentiles": [50, 90, 99.9], "by": "served_by", "slo": {"ttft": 0.8, "total": 10},
        "late_bound": 0.02, "retry_errors": True, "record": True, "replay": "results/old", "fast": True,
    }  # fmt: skip
    assert {*given_options, "lead", "sweep", "ramp", "spread", "cache_probe", "cache_waits"} == set(RUN_OPTIONS)
    assert read_options({"cache_probe": True, "cache_waits": [60]}).cache_idles == (0, 0, 60)
    assert read_options({"cache_probe": True}).cache_idles == (0, 0, 60, 300)
    assert read_options({"lead": 5}).load == LoadProfile(5)
    options = read_options(given_options)
    assert options.load == LoadProfile(adaptive=True, rate=2.5, arrivals="poisson", duration_s=60, max_requests=7)
    assert read_options({"sweep": [1, 2], "ramp": 2}).load == LoadProfile(levels=(1, 2), ramp=2)
    assert read_options({"sweep": [1, 2]}).load == LoadProfile(levels=(1, 2), ramp="auto")
    assert read_options({"ramp": "auto"}).load == LoadProfile(ramp="auto")
    for wrong in ("soon", 0, [2]):
        with pytest.raises(CompareError, match=re.escape(f"ramp={wrong!r}: give ")):
            read_options({"ramp": wrong})
    assert (options.models, options.providers, options.skip_missing) == (("sim/quick",), ("sim",), True)
    assert [str(budget) for budget in options.budgets] == ["5.00 USD", "20.00 CNY"]
    assert options.allow_hosts == ("h.test",)
    assert options.vary == {"thinking": ("off",), "seed": (1, 2)}
    assert (options.env_files, options.outputs) == ((Path("a.env"),), (Path("a"), Path("b.csv")))
    rest = ("concurrency", "bom", "cases", "repeat", "seed", "warmup_requests", "order", "until_ci", "estimate_tokens")
    assert [getattr(options, name) for name in rest] == [2, True, ("a*",), 3, 4, 1, "blocks", UntilCi(ttft=0.05), True]
    assert options.late_bound_s == 0.02
    assert options.slo == read_options({"slo": "ttft=800ms,total=10s"}).slo == Slo(ttft_s=0.8, total_s=10)
    assert options.reply_limit == 32 * 2**20
    assert read_options({"reply_limit": 1000}).reply_limit == 1000
    assert (options.percents, options.by) == ((90.0, 99.9), "served_by")
    assert (options.resume, options.retry_errors) == (Path("latest"), True)
    assert (options.record, options.replay, options.fast) == (True, Path("results/old"), True)
    assert read_options(dict.fromkeys(RUN_OPTIONS)) == read_options({})


@given(
    st.dictionaries(
        st.sampled_from(RUN_OPTIONS),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers() | st.text()),
    )
)
def test_any_value_of_an_option_is_read_or_refused(options: dict[str, Any]) -> None:
    """Every value is accepted or raises a `CompareError`."""
    with suppress(CompareError):
        read_options(options)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1))
def test_prompts_without_variables_are_no_templates(prompts: list[str]) -> None:
    """Braces in them are sent unchanged; a table gives the same cases as a list."""
    cases = read_cases(prompts)
    assert [case["prompt"] for case in cases] == prompts
    assert read_cases(pd.DataFrame({"prompt": prompts})) == cases


# Replies


def test_ask_returns_the_reply_of_every_target() -> None:
    """`ask` returns texts by target, a row for each target, and printable replies."""
    replies = ask("你是谁？", targets=["sim/quick", "sim/steady"], max_tokens=100)
    assert set(replies.texts) == {"sim/quick", "sim/steady"}
    assert "quick" in (replies.texts["sim/quick"] or "")
    assert len(replies.frame) == 2
    assert "── sim/steady" in repr(replies)


def test_then_sends_each_target_its_own_history() -> None:
    """The next turn is sent with the earlier turns and replies; the table holds the whole conversation."""
    conversation = ask("My name is Ada.", targets=["sim/quick", "sim/steady"]).then("What is my name?")
    assert all("Ada" in (text or "") for text in conversation.texts.values())
    assert sorted(conversation.frame["turn"]) == [1, 1, 2, 2]
    third = conversation.then("And again, what is my name?")
    assert sorted(third.frame["turn"]) == [1, 1, 2, 2, 3, 3]
    assert third.asked == ("My name is Ada.", "What is my name?", "And again, what is my name?")
    attrs = third.frame.attrs
    assert (attrs["ended"], attrs["planned_requests"], len(load(attrs["folder"]))) == (True, 2, 2)


def test_files_are_attached_to_a_prompt_and_to_each_next_turn() -> None:
    """A later turn sends earlier attachments again; the error for an unusable file comes before anything is sent."""
    Path("chart.png").write_bytes(png(20, 10))
    Path("note.txt").write_text("It rains.", encoding="utf-8")
    replies = ask("What is it?", attach="chart.png", targets=["sim/quick"])
    assert "20x10" in (replies.texts["sim/quick"] or "")
    following = replies.then("And this?", attach=[Path("note.txt"), "https://example.com/a.jpg?size=1"])
    assert [[each.name for each in turn] for turn in following.attached] == [
        ["chart.png"],
        ["note.txt", "https://example.com/a.jpg"],
    ]
    assert following.frame["prompt"].str.split("\n").map(len).tolist() == [2, 3]
    (piece,) = {piece.channel for piece in stream("What is it?", "sim/quick", attach="chart.png")}
    assert piece == "answer"
    Path("chart.png").write_bytes(png(30, 10))
    with pytest.raises(CompareError, match=r"chart\.png"):
        following.then("And now?")


@pytest.mark.parametrize(
    ("attached", "said"),
    [
        (5, "attach=5: give a path or a URL, or several in a list"),
        (
            ["no.png", "nor.pdf"],
            "no.png: there is no such file. Check the path.\nnor.pdf: there is",
        ),
        ("ftp://example.com/a.png", "this image is neither a file nor a URL that begins with http:// or https://"),
        (["large.txt", "large.txt"], "the files have 60.0 MB together, more than 45 MiB. Leave some out"),
    ],
)
def test_all_unusable_attachments_are_in_one_error(attached: Any, said: str) -> None:
    """Nothing is sent."""
    if "large.txt" in str(attached):
        Path("large.txt").write_bytes(b"a" * 30_000_000)
    with pytest.raises(CompareError, match=re.escape(said)):
        ask("x", attach=attached, targets=QUICK)


def test_a_target_that_failed_is_not_asked_the_next_turn(tmp_path: Path) -> None:
    """The other targets are; without any other, it is an error."""
    write_config(tmp_path, dead={"base_url": "http://127.0.0.1:9/v1", "keyless": True, "models": ["gone"]})
    replies = ask("My name is Ada.", targets=["sim/quick", "dead/gone"])
    assert replies.texts["dead/gone"] is None
    assert set(replies.then("What is my name?").texts) == {"sim/quick"}
    with pytest.raises(CompareError, match="no target answered"):
        ask("hi", targets=["dead/gone"]).then("and now?")


def test_a_stream_yields_pieces_in_order() -> None:
    """Pieces come in order with time and channel, and make the reply; `frame` then has the exact row."""
    pieces = stream("Tell me a story.", "sim/thinker", max_tokens=60)
    streamed = list(pieces)
    assert [piece.at_s for piece in streamed] == sorted(piece.at_s for piece in streamed)
    assert pieces.frame is not None
    row = pieces.frame.iloc[0]
    assert "".join(piece.text for piece in streamed if piece.channel == "reasoning") == row["reasoning"]
    assert "".join(piece.text for piece in streamed if piece.channel == "answer") == (
        row["reply"] if row["ttfa_s"] else ""
    )
    assert row["ttft_s"] <= streamed[0].at_s < row["ttft_s"] + 1


def test_a_stream_yields_pieces_while_they_arrive() -> None:
    """The first piece is yielded long before the last was sent."""
    pieces = stream("one", "sim/exact?ttft_ms=10&gap_ms=200&tokens=8")
    next(pieces)
    journal = next(Path("results").glob("2*/journal.jsonl"))
    assert '"outcome"' not in journal.read_text(encoding="utf-8")
    assert len(list(pieces)) == 7


def test_a_stream_yields_the_pieces_of_a_tool_call() -> None:
    """They have a channel of their own, with name and arguments as sent; the row has the call, and displays it."""
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"properties": {"city": {}}}}}
    pieces = stream("What is the weather in Paris?", "sim/quick", extra_body={"tools": [tool]})
    streamed = list(pieces)
    assert {piece.channel for piece in streamed} == {"tool"}
    assert "".join(piece.text for piece in streamed).startswith("get_weather{")
    assert pieces.frame is not None
    ((call,),) = pieces.frame["tool_calls"].map(json.loads)
    assert call["name"] == "get_weather"
    assert "get_weather({" in repr(side_by_side(pieces.frame))


def test_a_partial_reply_has_tool_calls_apart_from_the_answer() -> None:
    """A live view of a real run shows each call on a line of its own, not glued onto the answer."""
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"properties": {"city": {}}}}}
    prepared = prepare_conversation(
        ("Weather in Paris?",), ((),), {"targets": "sim/quick", "extra_body": {"tools": [tool]}}
    )
    view = StreamingReplies(NoDisplay(), [])
    perform_watched(prepared, view)
    (partial,) = view._replies.values()
    assert partial.reply == ""
    assert partial.calls.startswith("get_weather(")


def test_a_stream_can_be_closed_early() -> None:
    """Leaving the `with` block ends the request, which is recorded as cancelled."""
    with stream("one", "sim/exact?ttft_ms=10&gap_ms=100&tokens=500") as pieces:
        next(pieces)
    assert pieces.frame is not None
    assert pieces.frame["outcome"].tolist() == ["cancelled"]


def test_a_failure_is_the_last_piece(tmp_path: Path) -> None:
    """A failed request yields a `failure` piece."""
    write_config(tmp_path, dead={"base_url": "http://127.0.0.1:9/v1", "keyless": True, "models": ["gone"]})
    streamed = list(stream("one", "dead/gone"))
    assert [piece.channel for piece in streamed] == ["failure"]
    assert streamed[0].text.startswith("connection: ")


# Differences


def test_diff_within_a_run_has_a_verdict_and_a_row_for_each_metric(two_targets: pd.DataFrame) -> None:
    """Two targets of a table: a verdict, and a row for each metric with its n."""
    difference = diff(two_targets, between=(QUICK, SLOW), metric=["ttft", "total"])
    assert difference.frame["metric"].tolist() == ["ttft_s", "total_s"]
    assert difference.frame["units"].tolist() == [6, 6]
    assert difference.verdict == "undecided"
    assert difference.frame["why"].notna().all()
    assert "undecided" in repr(difference)


def test_a_diff_between_targets_says_slower(tmp_path: Path) -> None:
    """Between two targets of a run nothing regressed: the second is slower, and the other way round faster."""
    folder = write_run(tmp_path / "two", [*jittered(BASE, 12), *jittered(NEW, 12, slower=2)])
    frames = [diff(folder, between=pair).frame for pair in ((BASE, NEW), (NEW, BASE))]
    assert [frame.set_index("metric")["verdict"]["ttft_s"] for frame in frames] == ["slower", "faster"]
    assert not {"regressed", "improved"} & {*frames[0]["verdict"], *frames[1]["verdict"]}


def test_summary_has_a_row_for_each_target(two_targets: pd.DataFrame) -> None:
    """Medians match the rows, the fastest target is first, and unknown values are NA."""
    table = summary(two_targets)
    assert [*table.index] == [QUICK, SLOW]
    medians = (
        two_targets.assign(target=two_targets["provider"] + "/" + two_targets["model"])
        .groupby("target")
        .median(numeric_only=True)
    )
    assert table["ttft_p50_s"].to_dict() == pytest.approx(medians["ttft_s"].to_dict())
    assert table["total_p50_s"].to_dict() == pytest.approx(medians["total_s"].to_dict())
    assert [*table["n"], *table["failed"]] == [12, 12, 0, 0]
    assert table[["ttft_p95_s", "cost", "pass_rate", "to_100_tokens_p50_s"]].isna().all(axis=None)
    assert (table["ttft_p50_low_s"] <= table["ttft_p50_s"]).all()


def test_summary_has_cost_and_checks(tmp_path: Path) -> None:
    """A run with prices and checks has its cost, that of 1,000 requests, and the share of checks that passed."""
    price = {"currency": "CNY", "source": "list", "date": None, "rates": [{"input": "0", "output": "1000"}]}
    checks = {"one": {"checks": {"contains": "Hello"}, "pass": "all", "turns": 1, "line": 1}}
    replies = [answered(block=at, reply=reply, input_tokens=1) for at, reply in enumerate(("Hello", "Bye"), start=1)]
    table = summary(write_run(tmp_path / "priced", replies, prices={BASE: price}, checks=checks))
    row = table.loc[BASE]
    assert (row["cost"], row["cost_per_1000"], row["currency"]) == (pytest.approx(0.006), pytest.approx(3.0), "CNY")
    assert (row["pass_rate"], row["checked_n"]) == (0.5, 2)


def test_a_diff_has_the_claim_of_a_single_run_in_columns(tmp_path: Path) -> None:
    """With one round of thirteen pairs the claim is beside the undecided verdict; otherwise the columns are blank."""
    cases = [f"case-{number}" for number in range(13)]
    slower = [*jittered(BASE, 1, cases=cases), *jittered(NEW, 1, slower=1.9, cases=cases)]
    found = diff(write_run(tmp_path / "slower", slower), between=(BASE, NEW), metric=["ttft", "failures"]).frame
    claims = found.set_index("metric")
    claim = claims.loc["ttft_s"]
    assert claim["verdict"] == "undecided"
    assert claim["this_run_low"] <= claim["this_run"] <= claim["this_run_high"]
    assert (claim["this_run_agreeing"], claim["this_run_pairs"]) == (13, 13)
    assert claim["this_run_p"] <= 0.01
    assert claims.loc["failures", [name for name in found.columns if name.startswith("this_run")]].isna().all()


def test_diff_takes_tables_and_folders(two_targets: pd.DataFrame, tmp_path: Path) -> None:
    """Both name the same run, and a part of a table is compared as that part; one run by two names is refused."""
    folder = two_targets.attrs["folder"]
    with pytest.raises(CompareError, match=r"are the same run\. Name two runs that differ"):
        diff(folder, f"{folder}/")
    copy = shutil.copytree(folder, tmp_path / "copy")
    by_name, by_table = diff(folder, copy, min_effect="10%", min_pass_change="5%"), diff(two_targets, two_targets)
    pd.testing.assert_frame_equal(by_name.frame, by_table.frame)
    part = two_targets[(two_targets["case"] == "prompt-1") & (two_targets["repeat"] <= 4)]
    assert set(diff(part, part).frame["units"]) >= {4}


def test_a_minimum_effect_above_1_needs_a_percent_sign(two_targets: pd.DataFrame) -> None:
    """A number above 1 could be a share or a percentage."""
    with pytest.raises(CompareError, match=r"^min_effect=5: .*write 5% or 0\.05"):
        diff(two_targets, two_targets, min_effect=5)
    assert diff(two_targets, two_targets, min_effect="500%").verdict


def test_a_table_of_two_runs_is_refused(two_targets: pd.DataFrame) -> None:
    """A table with rows of several runs is refused."""
    mixed = pd.concat([two_targets, two_targets.assign(run_id="another")])
    with pytest.raises(CompareError, match="rows of 2 runs"):
        diff(mixed, mixed)


# Public names


def test_public_names_exist_and_have_docstrings() -> None:
    """Every public name exists, has a docstring, and is found by completion."""
    for name in runner.__all__:
        assert name in dir(runner)
        assert getattr(runner, name).__doc__
    with pytest.raises(AttributeError, match="rum"):
        _ = runner.rum


BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["README.md", "docs/python.md", "docs/tutorial.md"])
def test_the_examples_of_a_document_run(tmp_path: Path, document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks run in order, with the suites beside them and without a key.

    In a process of their own with the option --thorough, else in this one, where a run has more requests in flight.
    """
    (tmp_path / "prompts").symlink_to(command.ROOT / "prompts")
    blocks = BLOCK.findall((command.ROOT / document).read_text(encoding="utf-8"))
    assert blocks
    examples = "\n".join(blocks)
    if command.always_start:
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", examples],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(command.ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr
    else:
        monkeypatch.setattr(runner, "run", partial(run, concurrency=24))
        exec(compile(examples, document, "exec"), {})
