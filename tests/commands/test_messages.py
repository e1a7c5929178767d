"""Runs in the Messages dialect, end to end: conversations, resuming, recordings, replays, secrets."""

import json
import secrets
from pathlib import Path
from typing import Any

from tests.conftest import RunCli
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.scripted_server import (
    ReceivedRequest,
    ScriptedReply,
    delta_event,
    event_stream,
    http_head,
    json_reply,
    serve,
)

TALK = {"id": "talk", "turns": ["27 is?", "And then?", "The end?"]}


def event(kind: str, **members: object) -> bytes:
    """Return an event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def delta(index: int, kind: str, **members: object) -> bytes:
    """Return an event that adds to a block."""
    return event("content_block_delta", index=index, delta={"type": f"{kind}_delta", **members})


def thoughtful(number: object, text: str) -> ScriptedReply:
    """Return a reply with signed thinking of its own."""
    usage = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}
    body = b"".join(
        [
            event("message_start", message={"id": "msg_1", "model": "m-1", "usage": usage}),
            event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
            delta(0, "thinking", thinking=f"thought {number}"),
            delta(0, "signature", signature=f"signature-{number}=="),
            event("content_block_stop", index=0),
            event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
            delta(1, "text", text=text),
            event("content_block_stop", index=1),
            event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 6}),
            event("message_stop"),
        ]
    )
    return ScriptedReply([(0, http_head(content_type="text/event-stream", content_length=str(len(body))) + body)])


def prepare(folder: Path, url: str, **row: object) -> None:
    """Write a suite of one conversation, and the row of a provider of this dialect."""
    write_config(folder, acme={"base_url": url, "api": "messages", "keyless": True, "models": ["m-1"], **row})
    suite = {"version": 1, "targets": [{"provider": "acme", "max_tokens": 50}], "cases": [TALK]}
    write_yaml(folder / "suite.yaml", suite)


def blocks(number: int, text: str) -> list[dict[str, str]]:
    """Return a reply as the next turn must send it back."""
    thinking = {"type": "thinking", "thinking": f"thought {number}", "signature": f"signature-{number}=="}
    return [thinking, {"type": "text", "text": text}]


def answer(asked: ReceivedRequest) -> ScriptedReply:
    """Answer with the request's number."""
    return thoughtful(asked.number, f"reply {asked.number}")


def test_a_conversation_gives_signed_thinking_back(tmp_path: Path) -> None:
    """Each turn sends all earlier replies with their thinking and signatures, unchanged."""
    with serve(answer) as server:
        prepare(tmp_path, server.url)
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    told = [[turn["content"] for turn in asked.json["messages"]] for asked in server.requests]
    assert told[2] == ["27 is?", blocks(0, "reply 0"), "And then?", blocks(1, "reply 1"), "The end?"]
    rows = read_rows(tmp_path / "out")
    assert [(row["outcome"], row["reasoning"], row["input_tokens"], row["cached_tokens"]) for row in rows] == [
        ("ok", f"thought {number}", "13", "4") for number in range(3)
    ]


def test_a_resumed_conversation_gives_back_what_the_journal_holds(tmp_path: Path) -> None:
    """The history is the same as if the run had not been interrupted."""
    with serve(answer) as server:
        prepare(tmp_path, server.url)
        compare(tmp_path, "run", "suite.yaml", "-o", "out")
        journal = tmp_path / "out" / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        ends = [at for at, line in enumerate(lines) if b'"kind":"record"' in line]
        journal.write_bytes(b"".join(lines[: ends[2]]))
        done = compare(tmp_path, "run", "--resume", "out")
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 4
    assert server.requests[3].json["messages"] == server.requests[2].json["messages"]


def test_a_chat_gives_signed_thinking_back_and_leaves_a_failed_turn_out(tmp_path: Path, run_cli: RunCli) -> None:
    """Turns that are typed one by one have the same history as those of a suite."""

    def answer_or_fail(asked: ReceivedRequest) -> ScriptedReply:
        return json_reply("400 Bad Request", {"error": {"message": "no"}}) if asked.number == 1 else answer(asked)

    with serve(answer_or_fail) as server:
        prepare(tmp_path, server.url)
        run_cli("chat", "-m", "acme/m-1", "-o", "said", input="one\ntwo\nthree\nfour\n\n", cwd=tmp_path)
    told = [turn["content"] for turn in server.requests[3].json["messages"]]
    assert told == ["one", blocks(0, "reply 0"), "three", blocks(2, "reply 2"), "four"]


def test_a_recording_is_replayed_and_rederived_in_its_dialect(tmp_path: Path) -> None:
    """The recorded bytes give the same rows, with the same history."""
    with serve(answer) as server:
        prepare(tmp_path, server.url)
        compare(tmp_path, "run", "suite.yaml", "-o", "out", "--record")
    replayed = compare(tmp_path, "run", "suite.yaml", "--replay", "out", "-o", "again")
    assert replayed.returncode == 0, replayed.stderr
    first, again = read_rows(tmp_path / "out"), read_rows(tmp_path / "again")
    names = ("turn", "outcome", "reply", "reasoning", "input_tokens", "output_tokens", "finish_reason", "request_id")
    assert [[row[name] for name in names] for row in again] == [[row[name] for name in names] for row in first]
    rederived = compare(tmp_path, "rederive", "out")
    assert rederived.returncode == 0, rederived.stderr
    assert "unchanged: 3" in rederived.stdout + rederived.stderr


def test_a_conversation_that_is_sent_in_another_form_is_found_in_its_recording(tmp_path: Path) -> None:
    """Several system messages, and several messages of one role in a row, are recorded as the server merges them."""
    roles = (("system", "Be brief."), ("user", "a"), ("system", "Be kind."), ("user", "b"))
    case = {"id": "odd", "messages": [{"role": role, "content": text} for role, text in roles]}
    with serve(answer) as server:
        prepare(tmp_path, server.url)
        suite = {"version": 1, "targets": [{"provider": "acme", "max_tokens": 50}], "cases": [case]}
        write_yaml(tmp_path / "suite.yaml", suite)
        compare(tmp_path, "run", "suite.yaml", "-o", "out", "--record")
    replayed = compare(tmp_path, "run", "suite.yaml", "--replay", "out", "-o", "again")
    assert replayed.returncode == 0, replayed.stderr
    assert [row["reply"] for row in read_rows(tmp_path / "again")] == ["reply 0"]


def test_one_suite_runs_over_two_dialects_at_once(tmp_path: Path) -> None:
    """The simulator's replies are equal, rows name the dialect, and the server checks every signature."""
    personas = [{"provider": "sim", "models": ["thinker"], "api": "messages", "max_tokens": 2000}]
    personas.append({"provider": "sim", "models": ["quick"]})
    write_yaml(tmp_path / "suite.yaml", {"version": 1, "targets": personas, "cases": [TALK]})
    done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = read_rows(tmp_path / "out")
    assert {(row["model"], row["outcome"]) for row in rows} == {("thinker", "ok"), ("quick", "ok")}
    assert all(row["reasoning"] for row in rows if row["model"] == "thinker")
    records: list[dict[str, Any]] = read_lines(tmp_path / "out", "record")
    assert {(line["model"], line.get("api")) for line in records} == {("thinker", "messages"), ("quick", None)}
    assert all(line["signed_thinking"] for line in records if line["model"] == "thinker")


def test_one_row_is_asked_in_two_apis_at_two_paths(tmp_path: Path) -> None:
    """Both use one host; the replay has one path, and returns the same replies."""

    def reply(asked: ReceivedRequest) -> ScriptedReply:
        """Answer in the API of the path."""
        if asked.target == "/anthropic/v1/messages":
            return thoughtful(1, "From Messages.")
        return event_stream(delta_event("From chat."))

    with serve(reply) as server:
        write_config(
            tmp_path, acme={"base_url": server.url, "api_paths": {"messages": "/anthropic/v1"}, "keyless": True}
        )
        suite = {
            "targets": [{"provider": "acme", "models": ["m"], "variants": {"chat": {}, "native": {"api": "messages"}}}],
            "cases": [{"id": "one", "prompt": "One?"}],
        }
        write_yaml(tmp_path / "suite.yaml", suite)
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out", "--record")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {asked.target for asked in server.requests} >= {"/anthropic/v1/messages", "/v1/chat/completions"}
    replayed = compare(tmp_path, "run", "suite.yaml", "--replay", "out", "--fast", "-o", "again")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    for folder in ("out", "again"):
        assert {row["variant"]: row["reply"] for row in read_rows(tmp_path / folder)} == {
            "chat": "From chat.",
            "native": "From Messages.",
        }


def test_the_key_reaches_no_file_and_no_output(tmp_path: Path) -> None:
    """It is sent in x-api-key, and hidden wherever the server repeats it: in thinking, a signature, an error."""
    key = "sk-ant-TEST" + secrets.token_hex(12)

    def echo(asked: ReceivedRequest) -> ScriptedReply:
        if asked.number == 1:
            body = json.dumps({"type": "error", "error": {"type": "authentication_error", "message": f"bad {key}"}})
            return ScriptedReply([(0, http_head("401 Unauthorized", content_length=str(len(body))) + body.encode())])
        return thoughtful(key, f"Your key is {asked.headers['x-api-key']}")

    with serve(echo) as server:
        prepare(tmp_path, server.url, keyless=False, api_key_env="ACME_API_KEY")
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out", "--record", variables={"ACME_API_KEY": key})
    assert [asked.headers["x-api-key"] for asked in server.requests] == [key, key]
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert key not in done.stdout + done.stderr
    assert key.encode() not in written
    assert b"Your key is" in written
    assert [row["outcome"] for row in read_rows(tmp_path / "out")] == ["ok", "auth", "skipped"]
