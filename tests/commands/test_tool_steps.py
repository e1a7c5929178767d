"""Conversations with tool calls: each step is a row of its turn, and every target gets the same results."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import load, side_by_side
from runner.core.suite import Api
from runner.core.tool_call import ToolCall
from runner.core.turns_and_steps import Steps, divide_results, results_prompt
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, json_reply, serve
from tests.support.tool_server import PATHS, WEATHER, ToolReply, answered_by, call, chat_reply, results_in

APIS: list[Api] = list(PATHS)
CASE: dict[str, Any] = {
    "id": "weather",
    "turns": ["Paris?", "Rome?"],
    "tools": [WEATHER],
    "tool_results": {"get_weather": "18 degrees"},
    "max_steps": 3,
}


def prepare(folder: Path, url: str, *cases: Mapping[str, Any], api: Api = "chat_completions") -> None:
    """Write a suite of some cases, and the row of a provider of a dialect."""
    write_config(folder, acme={"base_url": url, "api": api, "keyless": True, "models": ["m-1"]})
    target = {"provider": "acme", "max_tokens": 50, "stream": False}
    write_yaml(folder / "suite.yaml", {"version": 1, "targets": [target], "cases": list(cases)})


def once(prompt: str, results: int) -> ToolReply:
    """Call the weather tool once in each turn, then answer."""
    return ToolReply(f"{prompt} 18.") if results else ToolReply("", [call(prompt.rstrip("?"))])


@pytest.mark.parametrize("api", APIS)
def test_every_step_has_a_row_and_its_results(api: Api, tmp_path: Path) -> None:
    """Rows are numbered by turn and step; each request has all earlier messages, in its dialect's form."""
    with serve(answered_by(once)) as server:
        prepare(tmp_path, server.url, CASE, api=api)
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = read_rows(tmp_path / "out")
    assert [(row["turn"], row["prompt"].lstrip("'"), row["reply"].lstrip("'")) for row in rows] == [
        ("1", "Paris?", ""),
        ("2", "[get_weather] 18 degrees", "Paris? 18."),
        ("4", "Rome?", ""),
        ("5", "[get_weather] 18 degrees", "Rome? 18."),
    ]
    assert [results_in(api, asked.json) for asked in server.requests] == [
        [],
        ["18 degrees"],
        ["18 degrees"],
        ["18 degrees", "18 degrees"],
    ]
    records = read_lines(tmp_path / "out", "record")
    assert [[each["name"] for each in record.get("earlier_calls", [])] for record in records] == [
        [],
        ["get_weather"],
        ["get_weather"],
        ["get_weather", "get_weather"],
    ]


def test_calls_are_sent_back_unchanged(tmp_path: Path) -> None:
    """In chat completions, the assistant's calls are followed by a message for each, with its id."""
    with serve(answered_by(once)) as server:
        prepare(tmp_path, server.url, CASE)
        compare(tmp_path, "run", "suite.yaml", "-o", "out")
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert server.requests[1].json["messages"] == [
        {"role": "user", "content": "Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "content": "18 degrees", "tool_call_id": "c1"},
    ]
    assert server.requests[1].json["tools"] == [WEATHER]


def test_a_call_without_a_result_ends_the_turn(tmp_path: Path) -> None:
    """The row is flagged, the next prompt is sent, and the call is not in the history."""
    with serve(answered_by(lambda prompt, _: ToolReply("Hm.", [call(prompt, name="get_time")]))) as server:
        prepare(tmp_path, server.url, {**CASE, "tools": [WEATHER, {"name": "get_time"}]})
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = read_rows(tmp_path / "out")
    flag = "no_tool_result;not_streamed"
    assert [(row["turn"], row["flags"]) for row in rows] == [("1", flag), ("4", flag)]
    assert [message["content"] for message in server.requests[1].json["messages"]] == ["Paris?", "Hm.", "Rome?"]
    assert all("tool_calls" not in message for message in server.requests[1].json["messages"])


def test_a_model_that_keeps_calling_is_stopped_at_max_steps(tmp_path: Path) -> None:
    """The last step's calls get no result, and the row has a flag."""
    with serve(answered_by(lambda prompt, _: ToolReply("", [call(prompt)]))) as server:
        prepare(tmp_path, server.url, CASE)
        compare(tmp_path, "run", "suite.yaml", "-o", "out")
    rows = read_rows(tmp_path / "out")
    assert [row["turn"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert ["max_steps" in row["flags"] for row in rows] == [False, False, True] * 2


def test_several_calls_get_a_result_each_and_ids_if_they_have_none(tmp_path: Path) -> None:
    """Two calls of one tool get the same result; missing or repeated ids are generated."""

    def twice(prompt: str, results: int) -> ToolReply:
        return ToolReply("Fine.") if results else ToolReply("", [call("Oslo", "same"), call(prompt, "same")])

    with serve(answered_by(twice)) as server:
        prepare(tmp_path, server.url, {**CASE, "turns": ["Paris?"]})
        compare(tmp_path, "run", "suite.yaml", "-o", "out")
    sent = server.requests[1].json["messages"]
    assert [message["tool_call_id"] for message in sent[2:]] == ["call01001", "call01002"]
    assert [each["id"] for each in sent[1]["tool_calls"]] == ["call01001", "call01002"]


@pytest.mark.parametrize("field", [None, "reasoning_content"])
def test_reasoning_is_sent_back_with_calls_if_the_row_says_so(field: str | None, tmp_path: Path) -> None:
    """DeepSeek and Moonshot require it; others may refuse an unknown field."""

    def think(asked: ReceivedRequest) -> ScriptedReply:
        said = once("Paris?", sum(message["role"] == "tool" for message in asked.json["messages"]))
        return json_reply("200 OK", chat_reply(said, reasoning_content="Hm."))

    with serve(think) as server:
        prepare(tmp_path, server.url, {**CASE, "turns": ["Paris?"]})
        row = {"base_url": server.url, "keyless": True, "models": ["m-1"]}
        write_config(tmp_path, acme={**row, **({"reasoning_with_calls": field} if field else {})})
        compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert server.requests[1].json["messages"][1].get("reasoning_content") == (field and "Hm.")


def test_a_failed_step_skips_the_later_turns(tmp_path: Path) -> None:
    """Steps that were never requested have no row; the user's later prompts have one."""

    def fail(asked: Any) -> Any:
        if asked.number == 1:
            return json_reply("400 Bad Request", {"error": {"message": "no"}})
        return answered_by(once)(asked)

    with serve(fail) as server:
        prepare(tmp_path, server.url, CASE)
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
    assert done.returncode == 3
    assert [(row["turn"], row["outcome"]) for row in read_rows(tmp_path / "out")] == [
        ("1", "ok"),
        ("2", "bad_request"),
        ("4", "skipped"),
    ]


@pytest.mark.parametrize("kept", range(1, 5))
def test_a_conversation_killed_between_steps_is_resumed_there(kept: int, tmp_path: Path) -> None:
    """Answered steps are not sent again, and the rest has the same history."""
    with serve(answered_by(once)) as server:
        prepare(tmp_path, server.url, CASE)
        compare(tmp_path, "run", "suite.yaml", "-o", "out")
        journal = tmp_path / "out" / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        ends = [at for at, line in enumerate(lines) if b'"kind":"record"' in line]
        journal.write_bytes(b"".join(lines[: (*ends, len(lines) - 1)[kept]]))
        before = [asked.json for asked in server.requests]
        done = compare(tmp_path, "run", "--resume", "out")
    assert done.returncode == 0, done.stderr
    assert [asked.json for asked in server.requests[4:]] == before[kept:]
    assert [row["turn"] for row in read_rows(tmp_path / "out")] == ["1", "2", "4", "5"]


def test_a_plan_counts_the_steps_as_an_upper_bound(tmp_path: Path) -> None:
    """`plan` says `at most`, and its JSON has the most steps."""
    prepare(tmp_path, "http://127.0.0.1:9/v1", CASE)
    shown = compare(tmp_path, "plan", "suite.yaml")
    assert "at most 6 requests, since a turn has up to 3 steps in which tools are called" in " ".join(
        shown.stdout.split()
    )
    plan = json.loads(compare(tmp_path, "plan", "suite.yaml", "--json").stdout)
    assert (plan["requests"], plan["max_steps"], plan["turns"]) == (6, 3, 2)


def test_the_progress_total_shrinks_to_the_steps_that_were_sent(tmp_path: Path) -> None:
    """Steps that a reply does not need are subtracted from the total."""
    with serve(answered_by(once)) as server:
        prepare(tmp_path, server.url, CASE)
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out", "--progress", "plain")
    assert "[1/6]" in done.stderr
    assert "[4/4]" in done.stderr


def test_an_interrupted_run_with_steps_states_the_most_requests_left(tmp_path: Path) -> None:
    """The number of steps of a model is not known beforehand."""
    with serve(answered_by(once)) as server:
        prepare(tmp_path, server.url, CASE)
        assert compare(tmp_path, "run", "suite.yaml", "-o", "out").returncode == 0
    (header,) = read_lines(tmp_path / "out", "header")
    assert (header["planned_requests"], header["most_requests"]) == (None, 6)
    journal = tmp_path / "out" / "journal.jsonl"
    journal.write_text("".join(journal.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    shown = compare(tmp_path, "report", "out").stdout
    assert "partial: the run is unfinished: 4 requests so far of at most 6" in " ".join(shown.split())


def test_spans_have_results_of_tools_as_results(tmp_path: Path) -> None:
    """The prompt of a step is not a user message; each result stands beside its call."""

    def twice(prompt: str, results: int) -> ToolReply:
        return ToolReply("Fine.") if results else ToolReply("", [call("Oslo", "a1"), call(prompt, "b2")])

    with serve(answered_by(twice)) as server:
        prepare(tmp_path, server.url, {**CASE, "turns": ["Paris?"], "tool_results": {"get_weather": "18\n[x] 2"}})
        assert compare(tmp_path, "run", "suite.yaml", "-o", "out").returncode == 0
    done = compare(tmp_path, "export", "out", "--otel", "--content")
    assert done.returncode == 0, done.stderr
    spans = [span for line in done.stdout.splitlines() for span in spans_in(json.loads(line))]
    told = [json.loads(attributes_of(span)["gen_ai.input.messages"]) for span in spans]
    response = {"type": "tool_call_response", "response": "18\n[x] 2"}
    assert told == [
        [{"role": "user", "parts": [{"type": "text", "content": "Paris?"}]}],
        [{"role": "tool", "parts": [{**response, "id": "a1"}, {**response, "id": "b2"}]}],
    ]


def spans_in(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the spans in a line of OTLP."""
    return [span for of in message["resourceSpans"] for scope in of["scopeSpans"] for span in scope["spans"]]


def attributes_of(span: Mapping[str, Any]) -> dict[str, str]:
    """Return a span's attributes that are texts."""
    return {each["key"]: each["value"].get("stringValue", "") for each in span["attributes"]}


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "get_x"]), st.text(max_size=9)), min_size=1, max_size=4))
def test_results_are_divided_as_they_were_written(results: list[tuple[str, str]]) -> None:
    """The only exception is a result that reads like another one."""
    calls = [ToolCall(name, "{}", f"c{at}") for at, (name, _) in enumerate(results)]
    found = divide_results(results_prompt(results), [ToolCall("z", "{}", "before"), *calls])
    if not any("[" in text for _, text in results):
        assert found == list(zip(calls, (text for _, text in results), strict=True))


def test_dividing_many_results_of_one_tool_is_fast() -> None:
    """With forty earlier calls that cannot be meant, not every way to divide the prompt is tried."""
    calls = [ToolCall("f", "{}", f"c{at}") for at in range(80)]
    found = divide_results(results_prompt([("f", f"{at}") for at in range(40)]), calls)
    assert found == [(call, f"{at}") for at, call in enumerate(calls[40:])]


def test_a_prompt_of_other_calls_is_not_divided() -> None:
    """It is kept whole."""
    assert divide_results("[other] 18", [ToolCall("get_weather", "{}", "c1")]) == []


@pytest.mark.parametrize(
    ("turn", "name"),
    [(1, ""), (2, "step 2"), (3, "step 3"), (4, "turn 2"), (5, "turn 2 · step 2"), (7, "turn 3")],
)
def test_rows_are_labelled_by_turn_and_step(turn: int, name: str) -> None:
    """The first turn and the first step have no label."""
    assert Steps(3, 3).name(turn) == name


def test_steps_are_called_steps_wherever_requests_are_named(tmp_path: Path) -> None:
    """This holds in results.md, the report, promptfoo's file and Python's side-by-side view."""
    with serve(answered_by(once)) as server:
        prepare(tmp_path, server.url, CASE)
        done = compare(tmp_path, "run", "suite.yaml", "-o", "out")
        assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    labels = ["weather", "weather · step 2", "weather · turn 2", "weather · turn 2 · step 2"]
    assert re.findall(r"^### (.*)$", markdown, re.MULTILINE) == labels
    shown = repr(side_by_side(load(tmp_path / "out")))
    assert re.findall(r"^(weather.*): ", shown, re.MULTILINE) == labels
    assert all(label in page for label in labels)
    done = compare(tmp_path, "export", "out", "--promptfoo", "-o", "replies.json")
    assert done.returncode == 0, done.stderr
    exported = json.loads((tmp_path / "replies.json").read_text(encoding="utf-8"))
    assert [each["tags"][2:-2] for each in exported] == [
        ["turn 1"],
        ["turn 1", "step 2"],
        ["turn 2"],
        ["turn 2", "step 2"],
    ]
    for text in (markdown, page, shown):
        assert "turn 4" not in text
        assert "turn 5" not in text
