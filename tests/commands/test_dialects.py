"""One suite over all dialects: the replies are the same, and recordings, replays and limits know each dialect."""

import json
from pathlib import Path
from typing import get_args

import pytest

from runner.core.suite import Api
from runner.simulator.child_process import launch_sync
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, http_head, serve

APIS = get_args(Api)
TALK = {"id": "talk", "turns": ["My name is Ada.", "What is my name?"], "system": "Be brief."}
MODEL = "sim/thinker"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which one suite was run over all dialects, and recorded as `out`."""
    folder = tmp_path_factory.mktemp("dialects")
    with launch_sync() as url:
        rows = {f"by-{api}": {"base_url": url, "api": api, "keyless": True, "models": [MODEL]} for api in APIS}
        write_config(folder, **rows)
        suite = {"version": 1, "name": "three", "defaults": {"max_tokens": 2000}, "cases": [TALK]}
        write_yaml(folder / "suite.yaml", {**suite, "targets": list(rows)})
        done = compare(folder, "run", "suite.yaml", "--record", "-o", "out")
    assert done.returncode == 0, done.stderr
    return folder


def said_by(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    """Return the replies of each provider, turn by turn."""
    said: dict[str, list[tuple[str, ...]]] = {}
    for row in sorted(read_rows(folder), key=lambda row: (row["provider"], row["turn"])):
        names = ("outcome", "prompt", "reply", "reasoning", "input_tokens", "output_tokens", "reasoning_tokens")
        said.setdefault(row["provider"], []).append(tuple(row[name] for name in names))
    return said


def test_a_model_gives_the_same_replies_in_every_dialect(recorded: Path) -> None:
    """Texts, counts and the history of later turns do not depend on the dialect; each row has all its times."""
    said = said_by(recorded / "out")
    assert len(said) == len(APIS)
    assert all(turns == said["by-chat_completions"] for turns in said.values())
    assert "Ada" in said["by-responses"][1][2]
    for row in read_rows(recorded / "out"):
        assert all(row[name] for name in ("ttfc_s", "ttft_s", "ttfa_s", "total_s", "tpot_s", "request_id"))
        assert row["ttft_s"] < row["ttfa_s"]


def test_the_journal_names_every_dialect_but_the_default(recorded: Path) -> None:
    """Lines of chat completions have no member for it."""
    named = {line["provider"]: line.get("api") for line in read_lines(recorded / "out", "record")}
    assert named == {f"by-{api}": None if api == "chat_completions" else api for api in APIS}


def test_recordings_are_decoded_again_in_their_dialect(recorded: Path) -> None:
    """`compare rederive` changes no record."""
    done = compare(recorded, "rederive", "out", "-o", "rederived")
    assert done.returncode == 0, done.stderr
    assert f"unchanged: {2 * len(APIS)}" in done.stdout + done.stderr
    assert said_by(recorded / "rederived") == said_by(recorded / "out")


def test_a_replay_serves_each_dialect_its_own_bytes(recorded: Path) -> None:
    """Each provider is sent requests in its dialect, and returns what was recorded in it."""
    done = compare(recorded, "run", "suite.yaml", "--replay", "out", "-o", "again")
    assert done.returncode == 0, done.stderr
    assert said_by(recorded / "again") == said_by(recorded / "out")


def test_the_simulator_that_a_run_starts_speaks_the_dialect_of_a_target(tmp_path: Path) -> None:
    """A target's own `api` needs no row; parameters that the API lacks are noted, and the rows are flagged."""
    targets = [{"provider": "sim", "models": ["thinker"], "api": "responses", "seed": 7}, "sim/quick"]
    write_yaml(tmp_path / "suite.yaml", {"version": 1, "targets": targets, "cases": [{"id": "a", "prompt": "Hi"}]})
    done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "the Responses API has no seed" in done.stdout + done.stderr
    flags = {row["model"]: row["flags"] for row in read_rows(tmp_path / "out")}
    assert "adjusted" in flags["thinker"]
    assert "adjusted" not in flags["quick"]


def test_an_unknown_dialect_is_refused_with_its_place(tmp_path: Path) -> None:
    """A suite's and a row's `api` are checked before anything is sent; the message lists the known ones."""
    write_yaml(
        tmp_path / "suite.yaml",
        {"version": 1, "targets": [{"provider": "sim", "api": "response"}], "cases": [{"id": "a", "prompt": "Hi"}]},
    )
    done = compare(tmp_path, "run", "suite.yaml")
    assert done.returncode == 2
    assert "suite.yaml:" in done.stderr
    assert all(api in done.stderr for api in APIS)


def test_a_later_turn_sends_the_whole_conversation_in_every_dialect(tmp_path: Path) -> None:
    """No request refers to a stored response, so that all dialects send equal prompts."""

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        output = [{"type": "message", "content": [{"type": "output_text", "text": f"reply {asked.number}"}]}]
        body = json.dumps({"id": "resp_1", "object": "response", "status": "completed", "output": output}).encode()
        return ScriptedReply([(0, http_head(content_type="application/json", content_length=str(len(body))) + body)])

    with serve(answer) as server:
        write_config(tmp_path, acme={"base_url": server.url, "api": "responses", "keyless": True, "models": ["m-1"]})
        write_yaml(tmp_path / "suite.yaml", {"version": 1, "targets": ["acme"], "cases": [TALK]})
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    second = server.requests[1]
    assert second.target == "/v1/responses"
    assert second.json == {
        "model": "m-1",
        "stream": True,
        "store": False,
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": "reply 0"},
            {"role": "user", "content": "What is my name?"},
        ],
    }
