"""Runs of the command against llama.cpp, which serves a tiny model of random weights on loopback."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from runner import load
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml

pytest.importorskip("xllamacpp", reason="built for few platforms")
pytest.importorskip("gguf")

from tests.support.real_engine import launch_engine, make_model

TOKENS = 48
SUITE = {
    "version": 1,
    "name": "random weights",
    "defaults": {"max_tokens": TOKENS, "temperature": 0, "seed": 3},
    "cases": [
        {"id": "english", "prompt": "How fast are you?"},
        {"id": "chinese", "prompt": "你好，世界"},
        {"id": "talk", "turns": ["My name is Ada.", "What is my name?"]},
    ],
}


@dataclass(frozen=True)
class CommandRun:
    """A finished run of the command."""

    process: CompletedProcess[str]
    folder: Path

    @property
    def rows(self) -> list[dict[str, str]]:
        """The CSV's rows."""
        return read_rows(self.folder / "out")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the engine for the tests of this file."""
    with launch_engine(make_model(tmp_path_factory.mktemp("model") / "tiny.gguf")) as address:
        yield address


@pytest.fixture(scope="module")
def place(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose compare.yaml has the engine's address."""
    folder = tmp_path_factory.mktemp("place")
    write_config(folder, llamacpp={"base_url": engine})
    return folder


@pytest.fixture(scope="module")
def ran(place: Path) -> CommandRun:
    """Run the suite once for the tests of this file."""
    write_yaml(place / "suite.yaml", SUITE)
    command = ("run", "suite.yaml", "-m", "llamacpp/tiny", "--repeat", "2", "--concurrency", "2", "-o", "out")
    return CommandRun(compare(place, *command, "--seed", "1"), place)


def test_every_planned_request_was_answered(ran: CommandRun) -> None:
    """Two repeats of four turns are eight rows, each with a complete reply."""
    assert ran.process.returncode == 0, ran.process.stderr
    assert len(ran.rows) == 8
    assert {row["outcome"] for row in ran.rows} <= {"ok", "length"}
    assert {(row["provider"], row["model"], row["simulated"]) for row in ran.rows} == {("llamacpp", "tiny", "false")}
    assert all(row["reply"] and row["request_id"] and row["finish_reason"] for row in ran.rows)


def test_a_reply_is_timed_chunk_by_chunk(ran: CommandRun) -> None:
    """Text arrives in many chunks, the first one before the last, and durations are in order."""
    for row in ran.rows:
        assert int(row["chunks"]) > TOKENS / 2
        stages = [float(row[name]) for name in ("headers_s", "ttfc_s", "ttft_s", "total_s")]
        assert stages == sorted(stages)
        assert float(row["ttft_s"]) < float(row["total_s"])
        assert float(row["ttft_s"]) == float(row["ttfa_s"])


def test_tokens_are_counted_by_the_engine(ran: CommandRun) -> None:
    """Token counts are those of the engine's usage, and the token rate follows from them."""
    for row in ran.rows:
        assert (row["tokens_source"], int(row["output_tokens"])) == ("usage", TOKENS)
        assert int(row["input_tokens"]) > 5
        if "buffered" not in row["flags"]:
            assert float(row["output_tps"]) == pytest.approx(1 / float(row["tpot_s"]))


def test_a_second_turn_includes_the_first(ran: CommandRun) -> None:
    """The second turn's prompt contains the first turn's prompt and reply, so it has more tokens than both."""
    turns = {int(row["turn"]): row for row in ran.rows if row["case"] == "talk" and row["repeat"] == "1"}
    assert int(turns[2]["input_tokens"]) > int(turns[1]["input_tokens"]) + int(turns[1]["output_tokens"])


def test_repeats_at_temperature_0_have_equal_replies(ran: CommandRun) -> None:
    """At temperature 0 the engine is deterministic, so both repeats are decoded to the same text, Chinese included."""
    replies: dict[tuple[str, str], set[str]] = {}
    for row in ran.rows:
        replies.setdefault((row["case"], row["turn"]), set()).add(row["reply"])
    assert all(len(texts) == 1 for texts in replies.values())
    assert any(ord(character) > 0x2E80 for texts in replies.values() for character in texts.pop())


def test_journal_and_csv_agree(ran: CommandRun) -> None:
    """The journal has the records, an end, and the connections opened first; `load` returns the same replies."""
    out = ran.folder / "out"
    assert len(read_lines(out, "record")) == 8
    assert len(read_lines(out, "end")) == 1
    assert len(read_lines(out, "connection")) == 2
    frame = load(out / "results.csv")
    assert list(frame["reply"]) == [line["reply"] for line in read_lines(out, "record")]


def test_the_target_is_named_in_summary_and_markdown(ran: CommandRun) -> None:
    """Stdout and results.md name the target and do not say simulated; results.md has every reply."""
    markdown = (ran.folder / "out" / "results.md").read_text(encoding="utf-8")
    for text in (ran.process.stdout, markdown):
        assert "llamacpp/tiny" in text
        assert "simulated" not in text.lower()
    assert all(line["reply"] in markdown for line in read_lines(ran.folder / "out", "record"))


def test_a_resumed_run_sends_only_missing_repeats(ran: CommandRun) -> None:
    """With `--repeat 3`, a run of two repeats sends the third only, and its table has all three."""
    shutil.copytree(ran.folder / "out", ran.folder / "again")
    done = compare(ran.folder, "run", "--resume", "again", "--repeat", "3")
    assert done.returncode == 0, done.stderr
    rows = read_rows(ran.folder / "again")
    assert rows[:8] == ran.rows
    assert sorted((row["case"], row["turn"]) for row in rows[8:]) == [
        ("chinese", "1"), ("english", "1"), ("talk", "1"), ("talk", "2"),
    ]  # fmt: skip
    assert {row["repeat"] for row in rows[8:]} == {"3"}


def test_ask_prints_the_reply_and_its_times(place: Path) -> None:
    """`compare ask` prints the reply that it records, and when its first text came."""
    done = compare(place, "ask", "你好", "-m", "llamacpp/tiny", "-o", "asked")
    assert done.returncode == 0, done.stderr
    (line,) = read_lines(place / "asked", "record")
    assert line["prompt"] == "你好"
    assert line["reply"] in done.stdout
    assert "first text" in done.stdout


def test_the_engines_models_are_listed(place: Path, engine: str) -> None:
    """`compare providers --models` prints the models that the engine lists."""
    done = compare(place, "providers", "--models", "llamacpp")
    assert (done.returncode, done.stdout.strip().rpartition("/")[2]) == (0, "tiny.gguf"), done.stderr
    assert engine not in done.stdout


def test_a_prompt_beyond_the_context_is_a_bad_request(place: Path) -> None:
    """A prompt longer than the engine's context ends as `bad_request` with the engine's message, and exit code 3."""
    write_yaml(place / "long.yaml", {**SUITE, "cases": [{"id": "long", "prompt": "word " * 2000}]})
    done = compare(place, "run", "long.yaml", "-m", "llamacpp/tiny", "-o", "long", "--json")
    (row,) = read_rows(place / "long")
    assert (done.returncode, row["outcome"], row["http_status"]) == (3, "bad_request", "400"), done.stderr
    assert "context" in row["error"]
