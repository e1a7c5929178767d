"""The whole command against a real engine not written here, which serves random weights on loopback."""

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

from tests.support.real_engine import launch, make_model

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
class Ran:
    """A finished run of the command."""

    process: CompletedProcess[str]
    folder: Path

    @property
    def rows(self) -> list[dict[str, str]]:
        """The CSV's rows."""
        return read_rows(self.folder / "out")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the engine while this module is tested."""
    with launch(make_model(tmp_path_factory.mktemp("model") / "tiny.gguf")) as address:
        yield address


@pytest.fixture(scope="module")
def place(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder whose compare.yaml knows where the engine is."""
    folder = tmp_path_factory.mktemp("place")
    write_config(folder, llamacpp={"base_url": engine})
    return folder


@pytest.fixture(scope="module")
def ran(place: Path) -> Ran:
    """Run the suite once; the tests below look at what it left."""
    write_yaml(place / "suite.yaml", SUITE)
    command = ("run", "suite.yaml", "-m", "llamacpp/tiny", "--repeat", "2", "--concurrency", "2", "-o", "out")
    return Ran(compare(place, *command, "--seed", "1"), place)


def test_every_planned_request_was_answered(ran: Ran) -> None:
    """Two repeats of four turns are eight rows, each a whole reply of the engine's."""
    assert ran.process.returncode == 0, ran.process.stderr
    assert len(ran.rows) == 8
    assert {row["outcome"] for row in ran.rows} <= {"ok", "length"}
    assert {(row["provider"], row["model"], row["simulated"]) for row in ran.rows} == {("llamacpp", "tiny", "false")}
    assert all(row["reply"] and row["request_id"] and row["finish_reason"] for row in ran.rows)


def test_a_reply_is_heard_as_it_is_spoken(ran: Ran) -> None:
    """Text comes in many chunks, the first one long before the last, and times come in their order."""
    for row in ran.rows:
        assert int(row["chunks"]) > TOKENS / 2
        stages = [float(row[name]) for name in ("headers_s", "ttfc_s", "ttft_s", "total_s")]
        assert stages == sorted(stages)
        assert float(row["ttft_s"]) < float(row["total_s"])
        assert float(row["ttft_s"]) == float(row["ttfa_s"])


def test_tokens_are_the_engines_own_count(ran: Ran) -> None:
    """Usage is what the engine says of itself, and the rate follows from it."""
    for row in ran.rows:
        assert (row["tokens_source"], int(row["output_tokens"])) == ("usage", TOKENS)
        assert int(row["input_tokens"]) > 5
        if "buffered" not in row["flags"]:
            assert float(row["output_tps"]) == pytest.approx(1 / float(row["tpot_s"]))


def test_a_conversation_grows(ran: Ran) -> None:
    """The second turn is asked with the first one's question and reply before it: it is longer by more than both."""
    turns = {int(row["turn"]): row for row in ran.rows if row["case"] == "talk" and row["repeat"] == "1"}
    assert int(turns[2]["input_tokens"]) > int(turns[1]["input_tokens"]) + int(turns[1]["output_tokens"])


def test_the_same_question_has_the_same_answer(ran: Ran) -> None:
    """At temperature 0 the engine repeats itself, so what was heard twice must be equal, Chinese included."""
    replies: dict[tuple[str, str], set[str]] = {}
    for row in ran.rows:
        replies.setdefault((row["case"], row["turn"]), set()).add(row["reply"])
    assert all(len(heard) == 1 for heard in replies.values())
    assert any(ord(character) > 0x2E80 for heard in replies.values() for character in heard.pop())


def test_the_journal_holds_what_the_tables_show(ran: Ran) -> None:
    """Records, an end, and the connections that were opened first; the loader gives the CSV's rows back."""
    out = ran.folder / "out"
    assert len(read_lines(out, "record")) == 8
    assert len(read_lines(out, "end")) == 1
    assert len(read_lines(out, "connection")) == 2
    frame = load(out / "results.csv")
    assert list(frame["reply"]) == [line["reply"] for line in read_lines(out, "record")]


def test_the_tables_name_the_target(ran: Ran) -> None:
    """The summary stands on stdout and in the Markdown, with the replies in it; nothing says simulated."""
    markdown = (ran.folder / "out" / "results.md").read_text(encoding="utf-8")
    for text in (ran.process.stdout, markdown):
        assert "llamacpp/tiny" in text
        assert "simulated" not in text.lower()
    assert all(line["reply"] in markdown for line in read_lines(ran.folder / "out", "record"))


def test_a_run_goes_on(ran: Ran) -> None:
    """Asked for a third repeat, a run of two asks the third alone, of the same targets, and has one table of all."""
    shutil.copytree(ran.folder / "out", ran.folder / "again")
    done = compare(ran.folder, "run", "--resume", "again", "--repeat", "3")
    assert done.returncode == 0, done.stderr
    rows = read_rows(ran.folder / "again")
    assert rows[:8] == ran.rows
    assert sorted((row["case"], row["turn"]) for row in rows[8:]) == [
        ("chinese", "1"), ("english", "1"), ("talk", "1"), ("talk", "2"),
    ]  # fmt: skip
    assert {row["repeat"] for row in rows[8:]} == {"3"}


def test_one_prompt_can_be_asked(place: Path) -> None:
    """`compare ask` prints the reply and its times."""
    done = compare(place, "ask", "你好", "-m", "llamacpp/tiny", "-o", "asked")
    assert done.returncode == 0, done.stderr
    (line,) = read_lines(place / "asked", "record")
    assert line["prompt"] == "你好"
    assert line["reply"] in done.stdout
    assert "first text" in done.stdout


def test_the_engines_models_are_listed(place: Path, engine: str) -> None:
    """`compare providers --models` asks the engine itself."""
    done = compare(place, "providers", "--models", "llamacpp")
    assert (done.returncode, done.stdout.strip().rpartition("/")[2]) == (0, "tiny.gguf"), done.stderr
    assert engine not in done.stdout


def test_a_refusal_of_the_engines_is_its_own_outcome(place: Path) -> None:
    """A prompt longer than the engine's context is refused in the engine's words, and the exit code says so."""
    write_yaml(place / "long.yaml", {**SUITE, "cases": [{"id": "long", "prompt": "word " * 2000}]})
    done = compare(place, "run", "long.yaml", "-m", "llamacpp/tiny", "-o", "long", "--json")
    (row,) = read_rows(place / "long")
    assert (done.returncode, row["outcome"], row["http_status"]) == (3, "bad_request", "400"), done.stderr
    assert "context" in row["error"]
