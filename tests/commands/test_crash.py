"""A run that is killed at random moments and resumed, repeatedly: no request is missing or sent twice."""

import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.support.command import TIMEOUT_S, read_rows
from tests.support.resumable_run import ResumableRun, open_run
from tests.support.terminal import open_on_terminal
from tests.support.wait_until import wait_until

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals as POSIX has them"),
]

RUNS = range(4)
KILLS = 13
"""In each run; more than fifty in all."""

WELL, BADLY = "exact?ttft_ms=60&gap_ms=5&tokens=6", "fault-error-middle?ttft_ms=20&gap_ms=5&tokens=6"
"""One answers; the other fails in the middle of each reply, so that the turns behind it are skipped."""

QUESTIONS, TALKS, TURNS = 120, 40, 3


def write_suite(run: ResumableRun) -> int:
    """Write a suite in which each question stands once; return how many requests it plans."""
    questions = [{"id": f"case-{at}", "prompt": f"question {at}"} for at in range(QUESTIONS)]
    talks = [{"id": f"talk-{at}", "turns": [f"talk {at}.{turn}" for turn in range(TURNS)]} for at in range(TALKS)]
    run.write_suite([*questions, *talks])
    return 2 * (QUESTIONS + TALKS * TURNS)


def kill_at_random(run: ResumableRun, chance: Random) -> None:
    """Start or resume the run, and kill it: sometimes during start-up, mostly while requests are in flight."""
    asked = len(run.asked())
    process = run.start()
    try:
        if chance.random() < 0.8:
            wait_until(lambda: len(run.asked()) > asked)
            time.sleep(chance.uniform(0, 0.25))
        else:
            time.sleep(chance.uniform(0, 0.7))
        assert process.poll() is None, process.communicate()
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", RUNS)
def test_a_run_killed_repeatedly_is_completed_by_resuming(tmp_path: Path, number: int) -> None:
    """Every planned request is recorded once, and the server received none again that was recorded."""
    chance = Random(number)
    with open_run(tmp_path, WELL, BADLY) as run:
        planned = write_suite(run)
        standing: Counter[tuple[str, str]] = Counter()
        for _ in range(KILLS):
            asked = len(run.asked())
            kill_at_random(run, chance)
            assert [question for question in run.asked()[asked:] if question in standing] == []
            recorded = run.recorded()
            assert standing <= recorded
            assert set(recorded.values()) <= {1}
            standing = recorded
        assert 0 < len(standing) < planned, "kills came too early, or too late"
        done = run.run("--allow-errors", "100%")
        assert done.returncode == 0, done.stderr
        assert run.recorded().total() == planned == len(run.recorded())
        assert len(read_rows(run.out)) == planned
        assert_that_history_was_kept(run)


def assert_that_history_was_kept(run: ResumableRun) -> None:
    """Check that each conversation has all its turns: answered ones, then those after a failure as skipped."""
    outcomes: dict[tuple[str, str], dict[int, str]] = {}
    for record in run.records():
        turns = outcomes.setdefault((record.identity.model, record.identity.case), {})
        turns[record.identity.turn] = record.outcome.value
    for (model, case), turns in outcomes.items():
        ended = [turns[turn] for turn in sorted(turns)]
        assert len(ended) == (TURNS if case.startswith("talk") else 1)
        assert set(ended[1:]) <= ({"skipped"} if model == BADLY else {"ok", "length"})


PROMPTS, TICKETS = 20, 200
"""Kills while a run waits for an answer or a moment after it got one, and the requests of its plan."""


def kill_at_the_prompt(run: ResumableRun, chance: Random) -> None:
    """Start or resume the run on a terminal, and kill it before its question, at it, or after the answer."""
    asked = len(run.asked())
    with open_on_terminal(run.place, *run.command("--confirm-over", "0", "--progress", "none")) as process:
        moment = chance.choice(["start", "question", "answer", "answer", "sending"])
        if moment == "start":
            time.sleep(chance.uniform(0, 2))
        else:
            process.wait_for("send them?")
        assert len(run.asked()) == asked, "something was sent before the answer"
        if moment in {"answer", "sending"}:
            process.type("y\n")
            if moment == "sending":
                wait_until(lambda: len(run.asked()) > asked)
            time.sleep(chance.uniform(0, 0.4))


def test_a_run_killed_at_its_question_sends_nothing_and_releases_its_folder(tmp_path: Path) -> None:
    """Whenever it is killed, no request precedes the answer, the folder can be used again, and no row is lost."""
    chance = Random(99)
    with open_run(tmp_path, WELL) as run:
        run.write_suite([{"id": f"case-{at}", "prompt": f"question {at}"} for at in range(TICKETS)])
        standing: Counter[tuple[str, str]] = Counter()
        for _ in range(PROMPTS):
            if standing.total() == TICKETS:
                break  # the run is complete, so no question is asked
            kill_at_the_prompt(run, chance)
            recorded = run.recorded()
            assert standing <= recorded
            assert set(recorded.values()) <= {1}
            standing = recorded
        assert len(standing) > 0, "kills came too early"
        done = run.run("--allow-errors", "100%")
        assert done.returncode == 0, done.stderr
        assert run.recorded().total() == len(run.recorded()) == TICKETS
        assert not [path for path in run.out.iterdir() if path.suffix == ".tmp"]
