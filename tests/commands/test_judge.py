"""`compare judge`: each pair of replies of a finished run is judged in both orders, and once."""

import json
import signal
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import runner
from runner.analysis.match_votes import judge_outcomes
from runner.commands.judge import write_judged
from runner.commands.load_stored_run import load_run
from runner.errors import CompareError, WriteFailed
from tests.support.command import compare, finish, read_lines, start, write_config, write_yaml
from tests.support.resumable_run import ResumableRun, open_run
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, json_reply, serve, streamed_reply

CASES: list[dict[str, Any]] = [
    {"id": "who", "prompt": "Who are you?"},
    {"id": "talk", "turns": ["What is the capital of France?", "What did you answer?"], "system": "Answer in a word."},
]

posix = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals as POSIX has them")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finish a run of two personas; return its folder."""
    with open_run(tmp_path_factory.mktemp("finished"), "quick", "steady") as resumable:
        resumable.write_suite(CASES)
        done = resumable.run("--repeat", "2")
        assert done.returncode == 0, done.stderr
        return resumable.out


@pytest.fixture
def run(tmp_path: Path, finished: Path) -> Iterator[ResumableRun]:
    """Copy the finished run next to the address of a simulator that also serves judges."""
    with open_run(tmp_path, "quick", "steady") as resumable:
        resumable.write_suite(CASES)
        copytree(finished, resumable.out)
        yield resumable


def judge(run: ResumableRun, *arguments: str, by: str = "judge") -> Any:
    """Judge the run; return the process and the parsed output."""
    return compare(run.place, "judge", "out", "--by", f"acme/{by}", "--progress", "plain", *arguments)


def judged_json(run: ResumableRun) -> list[dict[str, Any]]:
    """Return the stored judgements, without asking a judge."""
    found: list[dict[str, Any]] = json.loads(compare(run.place, "judge", "out", "--json").stdout)["judged"]
    return found


def test_each_pair_is_judged_in_both_orders_and_once(run: ResumableRun) -> None:
    """Equal replies tie without a request; the same command again and a report send nothing."""
    done = judge(run)
    assert done.returncode == 0, done.stderr
    (found,) = judged_json(run)
    assert (found["pairs"], found["of_pairs"], found["undecided"], found["equal"]) == (6, 6, 0, 4)
    assert [(each["target"], each["wins"], each["ties"], each["n"]) for each in found["targets"]] == [
        ("acme/quick", 2, 4, 6),
        ("acme/steady", 0, 4, 6),
    ]
    asked = run.asked_judges()
    assert len(asked) == len(set(asked)) == 2
    assert judge(run).returncode == 0
    assert compare(run.place, "report", "out").returncode == 0
    assert len(run.asked_judges()) == 2
    assert "acme/steady" in done.stdout
    assert "without a clear verdict" not in done.stdout


def test_the_judge_is_shown_the_conversation_and_no_names(run: ResumableRun) -> None:
    """It receives the suite's system message and earlier turns, but not the names of the targets."""
    criteria = run.place / "criteria.txt"
    criteria.write_text("Prefer what names “steady”.\n", encoding="utf-8")
    assert judge(run, "--criteria", str(criteria)).returncode == 0
    (found,) = judged_json(run)
    assert found["criteria"] == "Prefer what names “steady”."
    assert found["targets"][0]["target"] == "acme/steady"
    prompts = [line["prompt"] for line in read_lines(run.out, "judge_record")]
    assert len(prompts) == len(run.asked_judges()) == 2
    for prompt in prompts:
        assert "Prefer what names “steady”." in prompt
        assert "Who are you?" in prompt
        assert "acme/" not in prompt


def test_criteria_and_judges_have_results_of_their_own(run: ResumableRun) -> None:
    """A biased judge flips every pair; each view shows its result beside that of an unbiased one."""
    judge(run)
    judge(run, "-o", "judged.md", by="judge-first")
    fair, biased = judged_json(run)
    assert (fair["flips"]["count"], biased["flips"]["count"]) == (0, 2)
    assert biased["first_named"]["share"] == 1
    assert {each["win_rate"] for each in biased["targets"]} == {0.5}
    for text in ((run.place / "judged.md").read_text(), (run.out / "results.md").read_text()):
        assert "## Judged by acme/judge\n" in text
        assert "2 of 2 (100.0 %, 1 case) of the pairs had another winner in each order" in text
    page = (run.out / "report.html").read_text(encoding="utf-8")
    assert "Judged in pairs" in page
    assert "acme/judge-first" in page


def test_an_output_that_cannot_be_written_does_not_affect_the_others(run: ResumableRun) -> None:
    """Its folder may be removed while the judge answers."""
    judge(run)
    lost, kept = run.place / "removed" / "judged.json", run.place / "judged.md"
    with pytest.raises(WriteFailed, match=r"removed.judged\.json"):
        write_judged(load_run(run.out), [lost, kept])
    assert "Judged by acme/judge" in kept.read_text(encoding="utf-8")


def test_a_sample_of_pairs_is_named_and_can_grow(run: ResumableRun) -> None:
    """The pairs of a smaller sample are not judged again."""
    criteria = run.place / "criteria.txt"
    criteria.write_text("By length.", encoding="utf-8")
    judge(run, "--pairs", "2", "--criteria", str(criteria))
    before = judged_json(run)[0]
    judge(run, "--pairs", "6", "--criteria", str(criteria))
    after = judged_json(run)[0]
    assert (before["pairs"], before["of_pairs"], after["pairs"]) == (2, 6, 6)
    assert len(run.asked_judges()) == len(set(run.asked_judges())) == 2


def test_a_plan_of_judging_sends_nothing(run: ResumableRun) -> None:
    """It shows how many pairs and requests there are, and that the answer has no limit."""
    done = judge(run, "--plan")
    assert done.returncode == 0, done.stderr
    assert "6 of 6 pairs of replies, each in both orders: 2 requests left to send." in done.stdout
    assert "No max_tokens is sent to acme/judge" in done.stdout
    assert run.asked_judges() == []
    assert read_lines(run.out, "judge") == []


def test_a_judge_with_other_parameters_is_another_one(run: ResumableRun) -> None:
    """Its judgement stands beside the first with its parameters, and is numbered beside votes."""
    assert judge(run).returncode == 0
    done = judge(run, "--max-tokens", "90")
    assert done.returncode == 0, done.stderr
    assert [each["settings"] for each in judged_json(run)] == [{}, {"max_tokens": 90}]
    assert "acme/judge compared 6 of 6 pairs of replies, each in both orders; with max_tokens: 90" in " ".join(
        done.stdout.split()
    )
    loaded = load_run(run.out)
    other = replace(loaded, judged=loaded.judged[1:])
    assert list(judge_outcomes([loaded])) == ["acme/judge (1)", "acme/judge (2)"]
    found = judge_outcomes([replace(loaded, judged=loaded.judged[:1]), other])
    assert {name: len(outcomes) for name, outcomes in found.items()} == {"acme/judge (1)": 6, "acme/judge (2)": 6}
    assert list(judge_outcomes([other, other])) == ["acme/judge"]


def test_a_budget_stops_judging_and_a_larger_one_resumes_it(run: ResumableRun) -> None:
    """Earlier costs of the same judging count towards the budget."""
    rates = {"acme/judge": {"input": 0, "output": 10_000, "currency": "USD"}}
    row = {"base_url": run.base_url, "keyless": True, "models": ["quick"]}
    write_yaml(run.place / "compare.yaml", {"providers": {"acme": row}, "prices": rates})
    done = judge(run, "--budget", "1USD", "--max-tokens", "90", "--concurrency", "1")
    assert done.returncode == 3, done.stderr
    assert len(run.asked_judges()) == 1
    assert "of the judge's requests are open. Go on with the same command" in done.stderr
    assert judge(run, "--budget", "5USD", "--max-tokens", "90").returncode == 0
    assert len(run.asked_judges()) == 2
    with chdir(run.place), pytest.raises(CompareError, match=r"^budget is in EUR"):
        runner.judge(run.out, by="acme/judge", budget="5EUR", temperature=0)


def test_many_requests_to_a_real_judge_are_confirmed(run: ResumableRun) -> None:
    """Without a terminal nobody can confirm, so nothing is sent."""
    done = judge(run, "--confirm-over", "1")
    assert done.returncode == 2
    assert "2 requests" in done.stderr
    assert run.asked_judges() == []


def test_wrong_options_of_a_judge_are_refused(run: ResumableRun, tmp_path: Path) -> None:
    """No judge, one without a model, an unknown one, unreadable criteria or a wrong output: nothing is sent."""
    empty = tmp_path / "empty.txt"
    empty.touch()
    for arguments, why in (
        (("--by", "acme"), "names no judge. Write provider/model"),
        (("--by", "nobody/x"), "nobody"),
        (("--by", "acme/judge", "--criteria", "missing.txt"), "missing.txt cannot be read"),
        (("--by", "acme/judge", "--criteria", "empty.txt"), "empty.txt is empty"),
        (("--by", "acme/judge", "-o", "x.csv"), "no output is called .csv"),
        (("--pairs", "3"), "--pairs is for a judge that is asked"),
    ):
        done = compare(run.place, "judge", "out", *arguments)
        assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    missing = compare(run.place, "judge", "out", "--by", "zhipu/glm-5.3")
    assert (missing.returncode, "the judge zhipu/glm-5.3" in missing.stderr) == (4, True), missing.stderr
    planned = compare(run.place, "judge", "out", "--by", "zhipu/glm-5.3", "--plan")
    assert (planned.returncode, "Key missing: the judge zhipu/glm-5.3" in planned.stdout) == (0, True), planned.stderr
    for more in ((), ("--json",), ("-q", "-o", "judged.md")):
        unjudged = compare(run.place, "judge", "out", *more)
        assert (unjudged.returncode, unjudged.stdout) == (2, "")
        assert "no judge has compared the replies of out yet. Add --by" in unjudged.stderr
    assert not (run.place / "judged.md").exists()
    assert run.asked_judges() == []


def test_a_run_of_one_target_has_no_pairs(tmp_path: Path) -> None:
    """The error says that a second target is missing."""
    with open_run(tmp_path, "quick") as run:
        run.write_suite(CASES[:1])
        run.run()
        done = judge(run)
    assert done.returncode == 2
    assert "has no two replies of different targets to one question" in done.stderr


def test_a_changed_suite_is_noted_and_not_shown_to_the_judge(run: ResumableRun) -> None:
    """The judge then receives prompts and replies only."""
    run.write_suite([{**CASES[1], "system": "Be rude."}])
    done = judge(run)
    assert done.returncode == 0, done.stderr
    assert "has changed since: the judge sees prompts and replies, no system message" in done.stderr
    assert not any("Be rude." in question for question in run.asked_judges())


def answering(judge_reply: Any) -> Any:
    """Return a script: contestants answer with their name, a judge by a function."""

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        model = asked.json["model"]
        reply: ScriptedReply = judge_reply(asked) if model == "j" else streamed_reply(f"I am {model}.")
        return reply

    return answer


def scripted_run(folder: Path, url: str) -> None:
    """Finish a run of two scripted contestants."""
    write_config(folder, acme={"base_url": url, "keyless": True, "models": ["m", "n"]})
    write_yaml(folder / "s.yaml", {"targets": ["acme/m", "acme/n"], "cases": [{"id": "c", "prompt": "Hi"}]})
    done = compare(folder, "run", "s.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr


def test_a_failed_judgement_is_repeated_and_an_unclear_one_is_not(tmp_path: Path) -> None:
    """A pair is undecided until both orders have a clear answer."""
    answers = [json_reply("400 Bad Request", {"error": {"message": "too long"}}), streamed_reply("Both are fine.")]
    with serve(answering(lambda _: answers.pop(0))) as server:
        scripted_run(tmp_path, server.url)
        command = ("judge", "out", "--by", "acme/j", "--concurrency", "1")
        done = compare(tmp_path, *command)
        assert done.returncode == 3, done.stderr
        assert "1 not decided, in no figure" in done.stdout
        assert "acme/j, the judge: 2 requests; 1 failed; 1 without a clear verdict" in done.stdout
        answers.append(streamed_reply('{"winner": "A"}'))
        for _ in range(2):
            done = compare(tmp_path, *command)
            assert (done.returncode, "the judge decided no pair" in done.stderr) == (2, True), done.stderr
        assert answers == []


@posix
def test_an_interrupted_judging_is_resumed(tmp_path: Path) -> None:
    """Its answers are kept, and the same command asks for the rest."""
    replies = iter([streamed_reply('{"winner": "A"}'), streamed_reply("{", "}", pause_s=30)])
    with serve(answering(lambda _: next(replies, streamed_reply('{"winner": "B"}')))) as server:
        scripted_run(tmp_path, server.url)
        command = ("judge", "out", "--by", "acme/j", "--concurrency", "1")
        process = start(tmp_path, *command)
        server.wait_for_requests(4)
        process.send_signal(signal.SIGINT)
        stopped = finish(process)
        assert stopped.returncode == 130, stopped.stderr
        done = compare(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert len([each for each in server.requests if each.json["model"] == "j"]) == 3
    assert len({each["key"] for each in read_lines(tmp_path / "out", "judge_record")}) == 2


def test_python_judges_too(run: ResumableRun) -> None:
    """The tables have n beside every figure; without a judge, the stored judgements are returned."""
    with pytest.raises(CompareError, match="no judge has compared"):
        runner.judge(run.out)
    with pytest.raises(CompareError, match="such as by='deepseek/deepseek-flash'"):
        runner.judge(run.out, by="acme")
    found = runner.judge(run.out, by="acme/judge", concurrency=2)
    assert list(found.targets["target"]) == ["acme/quick", "acme/steady"]
    assert {"win_rate", "low", "high", "n", "cases", "strength"} <= set(found.targets.columns)
    assert (found.flips["count"], found.flips["n"]) == (0, 2)
    assert runner.judge(run.out).judge == "acme/judge"
    assert len(run.asked_judges()) == 2


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("pairs", 0, "a whole number, 1 or more"),
        ("pairs", -1, "a whole number, 1 or more"),
        ("max_tokens", 0, "a whole number, 1 to 10,000,000"),
        ("concurrency", 0, "a whole number, 1 to 10,000"),
        ("temperature", 5, "a number from 0 to 2"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_command_and_in_python(option: str, value: float, accepted: str) -> None:
    """Both have the same ranges, and check them before they look for the run."""
    with pytest.raises(CompareError, match=f"^{option}={value!r}: give {accepted}"):
        runner.judge("absent", by="acme/judge", **{option: value})  # type: ignore[arg-type]
    done = compare(Path.cwd(), "judge", "absent", "--by", "acme/judge", f"--{option.replace('_', '-')}", str(value))
    assert done.returncode == 2
    assert "is not in the range" in done.stderr


def test_people_are_compared_with_the_judge(tmp_path: Path) -> None:
    """`compare votes` reports how often the majority of people agrees with a judge of the same run."""
    with serve(
        answering(lambda asked: streamed_reply(json.dumps({"winner": prefer(asked.prompt, "I am m.")})))
    ) as server:
        scripted_run(tmp_path, server.url)
        assert compare(tmp_path, "judge", "out", "--by", "acme/j").returncode == 0
    run_id, digest = (read_lines(tmp_path / "out", "header")[0][name] for name in ("run_id", "digest"))
    vote = {"case": "c", "turn": 1, "repeat": 1, "targets": ["acme/m", "acme/n"], "winner": "acme/m"}
    votes = {"format": 1, "run_id": run_id, "suite_digest": digest, "voter": "ada", "votes": [{**vote, "at": AT}]}
    (tmp_path / "ada.json").write_text(json.dumps(votes), encoding="utf-8")
    done = compare(tmp_path, "votes", "out", "ada.json", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["judges"]
    assert (found["judge"], found["same"], found["pairs"], found["share"]) == ("acme/j", 1, 1, 1.0)
    told = " ".join(compare(tmp_path, "votes", "out", "ada.json").stdout.split())
    assert "the judge acme/j say the same of 100.0 %" in told


AT = "2026-11-30T12:00:00+00:00"


def prefer(prompt: str, text: str) -> str:
    """Return which of the two replies in a request to a judge is this text."""
    return "A" if prompt.index(text) < prompt.index("<reply-B-") else "B"
