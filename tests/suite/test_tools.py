"""Tools, their results and structured output in suites: every form that is accepted, and what is wrong with others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from runner.core.suite import Case, Message, Suite, ToolDefinition
from runner.core.tool_call import ToolCall
from runner.errors import InvalidFile
from runner.suite.from_python_data import suite_from_data
from runner.suite.load import load
from tests.support.tool_server import WEATHER

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
TOOL = ToolDefinition("get_weather", "The weather in a city.", WEATHER["function"]["parameters"])
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}

LoadSuite = Callable[..., Suite]


@pytest.fixture
def load_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadSuite:
    """Return a function that writes a suite, and files beside it, and loads it."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(cases: list[dict[str, Any]], **keys: Any) -> Suite:
        Path("suite.yaml").write_text(yaml.safe_dump({"cases": cases, **keys}, sort_keys=False), encoding="utf-8")
        return load(Path("suite.yaml"), ("sim", "openai"))[0]

    return write_and_load


def case(**keys: Any) -> dict[str, Any]:
    """Return a case with tools as a suite has it."""
    return {"id": "a", "prompt": "Weather?", "tools": [WEATHER], **keys}


def problems_of(load_suite: LoadSuite, *cases: dict[str, Any], **keys: Any) -> list[str]:
    """Return the problems of a suite."""
    with pytest.raises(InvalidFile) as caught:
        load_suite(list(cases), **keys)
    return [f"{problem.what}. {problem.hint}" for problem in caught.value.problems]


SHORT = {name: WEATHER["function"][name] for name in ("name", "description", "parameters")}


@pytest.mark.parametrize("written", [[WEATHER], [SHORT], [{"type": "function", **SHORT}], "tools.json", "tools.yaml"])
def test_every_form_of_tools_means_the_same(written: Any, load_suite: LoadSuite) -> None:
    """OpenAI's form, the short form, that of Responses, and files of these give the same tools."""
    Path("tools.json").write_text(json.dumps([WEATHER], indent="\t"), encoding="utf-8")
    Path("tools.yaml").write_text(yaml.safe_dump([SHORT]), encoding="utf-8")
    suite = load_suite([case(tools=written)])
    assert suite.cases[0].overrides == {"tools": (TOOL,)}
    assert suite.files == ((f"{Path() / written}",) if isinstance(written, str) else ())
    assert load_suite([case(tools=[SHORT])]).digest == suite.digest


def test_tools_of_defaults_targets_and_variants(load_suite: LoadSuite) -> None:
    """Tools are merged like other parameters, and a case's own tools replace them."""
    other = {"name": "other"}
    suite = load_suite(
        [case(), {"id": "b", "prompt": "x"}, {"id": "c", "prompt": "x", "tools": []}],
        defaults={"tools": [SHORT], "tool_choice": "required"},
        targets=[
            {"provider": "sim", "models": ["quick"], "tools": [other], "variants": {"v": {"tool_choice": "none"}}}
        ],
    )
    assert [each.name for each in suite.parameters.tools] == ["get_weather"]
    (variant,) = suite.targets[0].variants
    assert ([each.name for each in variant.parameters.tools], variant.parameters.tool_choice) == (["other"], "none")
    tools = [[each.name for each in one.parameters(variant.parameters).tools] for one in suite.cases]
    assert tools == [["get_weather"], ["other"], []]


def test_results_are_texts_json_and_files(load_suite: LoadSuite) -> None:
    """A text is a template like the case's own; another value is sent as JSON, a file as it is."""
    Path("reply.txt").write_text("18 {{degrees}}\n", encoding="utf-8")
    tools = [{"name": name} for name in ("a", "b", "c", "d")]
    results = {"a": "{{n}} degrees", "b": {"n": [1, "{{n}}"]}, "c": {"file": "reply.txt"}, "d": 7}
    suite = load_suite([{"id": "x", "prompt": "{{n}}", "vars": {"n": "3"}, "tools": tools, "tool_results": results}])
    (loaded,) = suite.cases
    assert loaded.tool_results == {"a": "3 degrees", "b": '{"n": [1, "{{n}}"]}', "c": "18 {{degrees}}", "d": "7"}
    assert (loaded.max_steps, loaded.steps.most) == (5, 5)


def test_results_of_the_defaults_are_those_of_every_case_without_its_own(load_suite: LoadSuite) -> None:
    """The limit on steps is inherited in the same way."""
    defaults = {"tools": [SHORT], "tool_results": {"get_weather": "cold"}, "max_steps": 2}
    own = {"id": "b", "prompt": "x", "tool_results": {"get_weather": "hot"}, "max_steps": 9}
    none = {"id": "c", "prompt": "x", "tool_results": None}
    cases = load_suite([{"id": "a", "prompt": "x"}, own, none], defaults=defaults).cases
    assert [(dict(each.tool_results), each.max_steps) for each in cases] == [
        ({"get_weather": "cold"}, 2),
        ({"get_weather": "hot"}, 9),
        ({}, 1),
    ]


def test_results_of_the_defaults_are_for_the_tools_that_a_case_has(load_suite: LoadSuite) -> None:
    """A case without tools, or with others, ignores those that it cannot use."""
    defaults = {"tools": [SHORT], "tool_choice": "auto", "tool_results": {"get_weather": "cold", "other": "x"}}
    without = {"id": "b", "prompt": "x", "tools": []}
    other = {"id": "c", "prompt": "x", "tools": [{"name": "other"}, SHORT]}
    cases = load_suite([without, other], defaults=defaults).cases
    assert [(sorted(each.tool_results), each.steps.max_steps) for each in cases] == [
        ([], 1),
        (["get_weather", "other"], 5),
    ]


def test_a_variant_without_tools_is_compared_with_one_that_has_them(load_suite: LoadSuite) -> None:
    """The results apply to the other variant, and the variant without tools sends no `tool_choice`."""
    suite = load_suite(
        [{"id": "a", "prompt": "x"}],
        defaults={"tools": [SHORT], "tool_choice": "required", "tool_results": {"get_weather": "cold"}},
        targets=["sim/quick"],
        variants={"with": {}, "without": {"tools": []}},
    )
    (target,) = suite.targets
    assert [(len(each.parameters.tools), each.parameters.tool_choice) for each in target.variants] == [
        (1, "required"),
        (0, None),
    ]


def test_a_result_of_the_defaults_for_a_tool_that_no_case_has(load_suite: LoadSuite) -> None:
    """The tool is reported once, at its place."""
    defaults = {"tool_results": {"get_wether": "cold"}}
    (problem,) = problems_of(load_suite, case(), defaults=defaults)
    assert problem == "`tool_results` names `get_wether`, a tool that no case has. Correct the name, or remove it"


FORMAT = {"type": "json_schema", "json_schema": {"name": "person_1", "schema": SCHEMA}}


def test_a_schema_in_a_file_is_a_response_format_everywhere(load_suite: LoadSuite) -> None:
    """The schema is named after the file; the members beside it are kept."""
    Path("person-1.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    short = {"json_schema": "person-1.json"}
    suite = load_suite(
        [case(response_format={**short, "strict": True, "name": "p"}), {"id": "b", "prompt": "x"}],
        defaults={"response_format": short},
        variants={"v": {"response_format": short}},
        targets=[{"provider": "sim", "response_format": short}],
    )
    assert suite.parameters.response_format == suite.targets[0].parameters.response_format == FORMAT
    assert suite.targets[0].variants[0].parameters.response_format == FORMAT
    own = {"type": "json_schema", "json_schema": {"name": "p", "strict": True, "schema": SCHEMA}}
    assert suite.cases[0].overrides["response_format"] == own
    assert suite.cases[1].overrides == {}


def test_a_given_history_may_hold_calls_and_results(load_suite: LoadSuite) -> None:
    """OpenAI's form is accepted, and the short form, whose ids are generated."""
    messages = [
        {"role": "user", "content": "Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "cold"},
        {"role": "assistant", "content": "It is cold.", "tool_calls": [{"name": "f", "arguments": {"x": [1]}}]},
        {"role": "tool", "name": "f", "content": "done"},
        {"role": "user", "content": "And now?"},
    ]
    (loaded,) = load_suite([{"id": "a", "tools": [SHORT], "messages": messages}]).cases
    assert loaded.turns == ("And now?",)
    assert loaded.history == (
        Message("user", "Oslo?"),
        Message("assistant", "", calls=(ToolCall("get_weather", '{"city": "Oslo"}', "c1"),)),
        Message("tool", "cold", call_id="c1"),
        Message("assistant", "It is cold.", calls=(ToolCall("f", '{"x": [1]}', "past03001"),)),
        Message("tool", "done", call_id="past03001"),
    )


def test_a_conversation_may_end_with_the_results_of_tools(load_suite: LoadSuite) -> None:
    """The results are the last message, and are shown as the prompt."""
    messages = [
        {"role": "user", "content": "Oslo?"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "cold"},
    ]
    (loaded,) = load_suite([{"id": "a", "tools": [SHORT], "messages": messages}]).cases
    assert (loaded.turns, loaded.asks_with_results) == (("[get_weather] cold",), True)
    assert [message.role for message in loaded.history] == ["user", "assistant", "tool"]


def test_checks_of_calls_are_templates_in_their_values(load_suite: LoadSuite) -> None:
    """A matrix fills the expected arguments; those of a schema are unchanged."""
    wanted = [
        {"name": "get_weather", "arguments": {"city": "{{city}}", "deep": [{"x": "{{city}}"}]}},
        {"name": "get_weather", "arguments": {"type": "object", "properties": {"city": {"const": "{{city}}"}}}},
    ]
    loaded = load_suite([case(prompt="{{city}}?", matrix={"city": ["Rome", "Oslo"]}, checks={"calls": wanted})]).cases
    first, second = (cast("Any", each.expectations.checks["calls"]) for each in loaded)
    assert first[0]["arguments"] == {"city": "Rome", "deep": [{"x": "Rome"}]}
    assert second[0]["arguments"] == {"city": "Oslo", "deep": [{"x": "Oslo"}]}
    assert first[1] == wanted[1]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no file": (case(tools="none.json"), "`none.json`: there is no such file. Check the path"),
    "no list": (case(tools="object.json"), "the file is empty. Write a list"),
    "a file outside": (
        case(tools="../x.json"),
        "`../x.json` lies outside the suite's folder. Move it beside the suite",
    ),
    "a key file": (case(tools=".env"), "`.env` is a file that holds keys, by its name. Name another"),
    "not JSON": (case(tools="broken.json"), "this is not JSON: Expecting value. Correct it"),
    "no name": (case(tools=[{"description": "x"}]), "item 1 of `tools`: this tool has no `name`. Write name"),
    "a bad name": (case(tools=[{"name": "get weather"}]), "`name`: a tool's name is made of up to 64 letters"),
    "another type": (case(tools=[{"type": "web_search"}]), "`type` is the text `web_search`. Write function"),
    "both forms": (case(tools=[{**WEATHER, "name": "x"}]), "item 1 of `tools`: `name` stands beside `function`"),
    "no schema": (
        case(tools=[{"name": "x", "parameters": {"type": "objekt"}}]),
        "`parameters`: this is not a JSON Sch",
    ),
    "unknown choice": (
        case(tool_choice="get_wether"),
        "the case `a`: `tool_choice` names `get_wether`, which is none of",
    ),
    "choice alone": (
        {"id": "a", "prompt": "x", "tool_choice": "auto"},
        "it has `tool_choice` and no `tools`. List the",
    ),
    "results alone": ({"id": "a", "prompt": "x", "tool_results": {"f": "x"}}, "it has `tool_results` and no `tools`"),
    "unknown result": (case(tool_results={"get_time": "x"}), "`tool_results` names `get_time`, which is none of its"),
    "unknown check": (case(checks={"calls": {"name": "now"}}), "the check `calls` names `now`, which is none of its"),
    "result file": (case(tool_results={"get_weather": {"file": "no"}}), "`no`: there is no such file"),
    "schema file": (case(response_format={"json_schema": "object.json", "x": 1}), "`x` does not belong beside a"),
    "no schema in it": (
        case(response_format={"json_schema": "bad.json"}),
        "`bad.json` is not a JSON Schema: at $.type",
    ),
    "too many steps": (
        case(tool_results={"get_weather": "x"}, max_steps=51),
        "`max_steps` is 51. Write a number of at",
    ),
    "check schema": (
        case(checks={"calls": {"name": "get_weather", "arguments": {"type": "object", "properties": {"a": 1}}}}),
        "`arguments`: this is not a JSON Schema",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_tools_are_refused_with_their_place(name: str, load_suite: LoadSuite) -> None:
    """Each message has the place, the cause and what to do."""
    Path("object.json").write_text("{}", encoding="utf-8")
    Path("bad.json").write_text('{"type": "objekt"}', encoding="utf-8")
    Path("broken.json").write_text("[", encoding="utf-8")
    faulty, message = FAULTS[name]
    (problem,) = problems_of(load_suite, faulty)
    assert message in problem


def test_a_result_of_the_defaults_is_no_template(load_suite: LoadSuite) -> None:
    """Its cases may have other variables."""
    defaults = {"tools": [SHORT], "tool_results": {"get_weather": "{{n}} degrees"}}
    (problem,) = problems_of(load_suite, {"id": "a", "prompt": "x"}, defaults=defaults)
    assert problem.startswith("this result is for all cases and no template. Write it without")


HISTORY_FAULTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no call": ([{"role": "tool", "content": "x"}], "this tool's message answers no open call. Write it behind"),
    "another id": (
        [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c2", "content": "x"}],
        "this tool's message answers no open call `c2`",
    ),
    "no result": ([{"role": "assistant", "tool_calls": [CALL]}], "the call of `get_weather` has no result. Add a mes"),
    "a user's call": ([{"role": "user", "content": "x", "tool_calls": [CALL]}], "`tool_calls` is in a message of the"),
    "a user's id": ([{"role": "user", "content": "x", "tool_call_id": "c"}], "`tool_call_id` is in a message of the u"),
    "nothing said": ([{"role": "assistant"}], "`content` is missing or empty. Write some text"),
    "two names": ([{"role": "assistant", "tool_calls": [{**CALL, "name": "f"}]}], "a call has either `function` or"),
}


@pytest.mark.parametrize("name", HISTORY_FAULTS)
def test_a_history_with_unmatched_calls_or_results_is_refused(name: str, load_suite: LoadSuite) -> None:
    """Providers refuse results without calls, and calls without results."""
    given, message = HISTORY_FAULTS[name]
    asked = [{"role": "user", "content": "x"}, *given, {"role": "user", "content": "y"}]
    assert any(message in problem for problem in problems_of(load_suite, {"id": "a", "messages": asked}))


def test_problems_of_tools_in_all_places_are_reported_together(load_suite: LoadSuite) -> None:
    """The places are files, targets, variants and cases."""
    problems = problems_of(
        load_suite,
        case(tools="a.json"),
        case(id="b", response_format={"json_schema": "b.json"}),
        defaults={"tools": "c.json"},
        variants={"v": {"response_format": {"json_schema": "d.json"}}},
        targets=[{"provider": "sim", "tools": "e.json", "variants": {"w": {"tools": "f.json"}}}],
    )
    assert {problem[1:7] for problem in problems} == {f"{letter}.json" for letter in "abcdef"}


# Rows of files


def cases_from(name: str, text: str) -> list[Case]:
    """Return the cases in a file of rows."""
    Path(name).write_text(text, encoding="utf-8")
    Path("suite.yaml").write_text(f"cases_from: {name}\n", encoding="utf-8")
    return list(load(Path("suite.yaml"), ("sim",))[0].cases)


def test_rows_of_training_data_keep_their_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target reply is left out, whether it is a call or a text after results."""
    monkeypatch.chdir(tmp_path)
    user = {"role": "user", "content": "Oslo?"}
    called = {"role": "assistant", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "cold"}
    said = {"role": "assistant", "content": "It is cold."}
    rows = [
        {"messages": [user, called], "tools": [WEATHER]},
        {"messages": [user, called, result, said], "tools": [SHORT]},
    ]
    first, second = cases_from("rows.jsonl", "\n".join(map(json.dumps, rows)))
    assert (first.turns, first.history, first.overrides) == (("Oslo?",), (), {"tools": (TOOL,)})
    assert (second.turns, second.asks_with_results) == (("[get_weather] cold",), True)


def test_a_cell_of_a_table_may_hold_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell has tools as JSON, or the name of a file."""
    monkeypatch.chdir(tmp_path)
    Path("tools.json").write_text(json.dumps([WEATHER]), encoding="utf-8")
    cell = json.dumps([SHORT]).replace('"', '""')
    cases = cases_from("rows.csv", f'id,prompt,tools\na,x,tools.json\nb,x,"{cell}"\nc,x,\n')
    assert [each.overrides for each in cases] == [{"tools": (TOOL,)}, {"tools": (TOOL,)}, {}]


def test_requests_of_a_batch_keep_their_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tool_choice` and `response_format` are kept, too."""
    monkeypatch.chdir(tmp_path)
    choice = {"type": "function", "function": {"name": "get_weather"}}
    body = {"messages": [{"role": "user", "content": "x"}], "tools": [WEATHER], "tool_choice": choice}
    row = {"custom_id": "one", "url": "/v1/chat/completions", "body": {**body, "response_format": FORMAT}}
    (loaded,) = cases_from("batch.jsonl", json.dumps(row))
    assert loaded.overrides == {"tools": (TOOL,), "tool_choice": "get_weather", "response_format": FORMAT}


def test_cases_from_python_have_tools_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked up in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("tools.json").write_text(json.dumps([WEATHER]), encoding="utf-8")
    suite = suite_from_data([case(tools="tools.json")], {"tool_choice": "auto"}, name="s")
    assert suite.cases[0].parameters(suite.parameters).tools == (TOOL,)
    with pytest.raises(InvalidFile, match="names `x`, which is none of its tools"):
        suite_from_data([case(tool_choice="x")], {}, name="s")
    with pytest.raises(InvalidFile, match=r"defaults:1:1: `tool_results` names `y`, a tool that no case has"):
        suite_from_data([case(tools=[WEATHER])], {"tool_results": {"y": "sunny"}}, name="s")
