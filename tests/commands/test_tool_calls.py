"""Tool calls in a whole run: in records of every dialect, in a replay, and recomputed for runs recorded before them."""

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from runner.core.suite import Api
from runner.simulator.routes import DIALECTS
from runner.storage.journal import decode_record
from tests.support.command import TIMEOUT_S, compare, read_lines, write_yaml
from tests.support.recorded_replies import recorded_reply, replaying, write_recordings
from tests.support.tool_definitions import tools_of

APIS: list[Api] = [dialect.api for dialect in DIALECTS.values()]
TARGETS = ("-m", "sim/exact?ttft_ms=2&gap_ms=2", "-m", "sim/quick")


@pytest.fixture(scope="module", params=APIS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a run with tools was recorded as `out`, in each dialect in turn."""
    folder = tmp_path_factory.mktemp("tools")
    suite = {
        "version": 1,
        "defaults": {"api": request.param, "extra_body": {"tools": tools_of(request.param)}},
        "cases": [
            {"id": "two", "prompt": "How is the weather in Paris and Rome?"},
            {"id": "none", "prompt": "Who wrote Faust?"},
        ],
    }
    write_yaml(folder / "s.yaml", suite)
    done = compare(folder, "run", "s.yaml", *TARGETS, "--record", "-o", "out")
    assert done.returncode == 0, done.stderr
    return folder


def lines_of(folder: Path, **wanted: object) -> list[dict[str, Any]]:
    """Return the lines of records that have these members."""
    return [line for line in read_lines(folder, "record") if wanted.items() <= line.items()]


def test_a_record_has_each_call_and_when_the_first_was_complete(recorded: Path) -> None:
    """It has name, arguments and id as they were sent; the time is between the first text and the end."""
    (line,) = (line for line in lines_of(recorded / "out", case="two") if line["model"].startswith("exact"))
    record = decode_record(line)
    assert [(call.name, json.loads(call.arguments)) for call in record.calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "Rome"}),
    ]
    assert len({call.id for call in record.calls}) == 2
    assert record.ttft_s is not None
    assert record.tool_call_s is not None
    assert record.total_s is not None
    assert record.ttft_s <= record.tool_call_s <= record.total_s  # equal where a busy machine reads them at once
    assert record.ttfa_s is None
    assert record.tool_calls == "".join(call.name + call.arguments for call in record.calls)
    (hasty,) = lines_of(recorded / "out", case="two", model="quick")
    assert [call["name"] for call in hasty["calls"]] == ["get_time"]
    for line in lines_of(recorded / "out", case="none"):
        assert "calls" not in line
        assert "first_call" not in line["marks"]


def test_calls_are_recomputed_for_a_run_recorded_before_them(recorded: Path, tmp_path: Path) -> None:
    """A journal without calls gets them from its recordings; nothing else of it changes."""
    again = tmp_path / "again"
    done = compare(recorded, "rederive", "out", "-o", str(again))
    assert done.stdout.startswith("unchanged: 4, changed: 0, not recorded: 0"), done.stdout
    old = tmp_path / "old"
    old.mkdir()
    (old / "recordings.bin").write_bytes((recorded / "out" / "recordings.bin").read_bytes())
    lines = (recorded / "out" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    (old / "journal.jsonl").write_text("\n".join(map(without_calls, lines)) + "\n", encoding="utf-8")
    done = compare(tmp_path, "rederive", "old", "-o", "new")
    assert done.stdout.startswith("unchanged: 2, changed: 2, not recorded: 0"), done.stdout
    assert read_lines(tmp_path / "new", "record") == read_lines(recorded / "out", "record")


def without_calls(text: str) -> str:
    """Return a journal line as earlier versions wrote it, without calls."""
    line = json.loads(text)
    line.pop("calls", None)
    line.get("marks", {}).pop("first_call", None)
    return json.dumps(line, separators=(",", ":"))


def test_a_replay_makes_the_same_calls(recorded: Path, tmp_path: Path) -> None:
    """This holds in every dialect, at full speed."""
    done = compare(recorded, "run", "s.yaml", *TARGETS, "--replay", "out", "--fast", "-o", str(tmp_path / "re"))
    assert done.returncode == 0, done.stderr
    told, again = (
        {(line["model"], line["case"]): line.get("calls") for line in read_lines(folder, "record")}
        for folder in (recorded / "out", tmp_path / "re")
    )
    assert told == again


@pytest.mark.parametrize("path", DIALECTS)
def test_a_replay_answers_errors_in_the_requests_dialect(path: str, tmp_path: Path) -> None:
    """The errors: an unrecorded question, an invalid body, a wrong method."""
    write_recordings(tmp_path, [recorded_reply("acme", "Hi", "first", sent_ns=10)])
    dialect = DIALECTS[path]
    field = "input" if dialect.api == "responses" else "messages"
    with replaying(tmp_path) as (url, _):
        asked = {"model": "m", field: [{"role": "user", "content": "Bye"}], "max_tokens": 5}
        for body, status in ((json.dumps(asked).encode(), 404), (b"{", 400), (None, 405)):
            request = Request(url.removesuffix("/v1") + path, body, {"content-type": "application/json"})
            with pytest.raises(HTTPError) as refused:
                urlopen(request, timeout=TIMEOUT_S)
            told = json.load(refused.value)
            assert refused.value.code == status
            assert isinstance(told["error"]["message"], str)
            assert (told.get("type") == "error") == (dialect.api == "messages")
