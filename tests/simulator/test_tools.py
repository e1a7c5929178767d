"""The simulator calls tools in all three dialects: by the words of a question, streamed and whole, by persona."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.checks.check_finding import PASSED
from runner.checks.json_answer import is_json
from runner.checks.json_schema import first_error
from runner.core.events import Channel, Outcome
from runner.core.record_from_events import Fold
from runner.core.suite import Api
from runner.core.tool_call import ToolCall
from runner.simulator.routes import DIALECTS as SERVED
from runner.simulator.schema_values import QuestionWords, make_value
from runner.simulator.tool_use import Tool, ToolUse
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.dialects import DIALECTS
from tests.support.fold_events import fold_events
from tests.support.simulator_requests import HttpResponse, http, send
from tests.support.tool_definitions import schema_of, tools_of

PATHS = {dialect.api: path for path, dialect in SERVED.items()}
MODEL = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4"


def choice_of(api: Api, choice: str) -> object:
    """Return a choice among tools in a dialect's form; any other than a setting is a tool's name."""
    if api == "messages":
        types = {"auto": "auto", "required": "any", "none": "none"}
        return {"type": types[choice]} if choice in types else {"type": "tool", "name": choice}
    if choice in ("auto", "none", "required"):
        return choice
    return (
        {"type": "function", "name": choice}
        if api == "responses"
        else {"type": "function", "function": {"name": choice}}
    )


def history_of(api: Api, question: str, calls: Sequence[ToolCall], results: Sequence[str]) -> list[dict[str, Any]]:
    """Return a question, the calls that it led to, and their results, in a dialect's form."""
    told = {"role": "user", "content": question}
    if not calls:
        return [told]
    if api == "responses":
        items = [{"type": "function_call", "call_id": c.id, "name": c.name, "arguments": c.arguments} for c in calls]
        outputs = zip(calls, results, strict=True)
        return [
            told,
            *items,
            *({"type": "function_call_output", "call_id": c.id, "output": result} for c, result in outputs),
        ]
    if api == "messages":
        used = [{"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(c.arguments)} for c in calls]
        given = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in zip(calls, results, strict=True)
        ]
        return [told, {"role": "assistant", "content": used}, {"role": "user", "content": given}]
    made = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
    answered = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [told, {"role": "assistant", "content": None, "tool_calls": made}, *answered]


@pytest.fixture(params=list(PATHS))
def api(request: pytest.FixtureRequest) -> Api:
    """Return each dialect that the simulator speaks in turn."""
    found: Api = request.param
    return found


def ask(base_url: str, api: Api, told: Sequence[Mapping[str, Any]], **fields: object) -> HttpResponse:
    """Send one request."""
    messages = {"input" if api == "responses" else "messages": list(told)}
    extra = {"max_tokens": 500} if api == "messages" else {}
    body = json.dumps({"model": MODEL, "stream": True, **extra, **messages, **fields}).encode()
    return send(base_url, http("POST", PATHS[api], body, "anthropic-version: 2023-06-01", "connection: close"))


def question(text: str) -> list[dict[str, str]]:
    """Return one question of the user."""
    return [{"role": "user", "content": text}]


def fold_of(api: Api, reply: HttpResponse) -> Fold:
    """Return what the client's decoder makes of a reply."""
    decoder = ResponseDecoder(reply.status, reply.headers, dialect=DIALECTS[api].decoder)
    return fold_events(*decoder.feed(1, reply.body), *decoder.close(2))


def called(base_url: str, api: Api, text: str, **fields: object) -> list[tuple[str, object]]:
    """Return the names and the arguments of the calls in a reply to a question."""
    fold = fold_of(api, ask(base_url, api, question(text), **{"tools": tools_of(api), **fields}))
    assert fold.outcome() is Outcome.OK, fold.failed
    return [(call.name, json.loads(call.arguments)) for call in fold.calls.values]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the weather in Paris?", [("get_weather", {"city": "Paris"})]),
        ("Weather in Paris in Fahrenheit, please", [("get_weather", {"city": "Paris", "unit": "fahrenheit"})]),
        (
            "How is the weather in Paris and New York?",
            [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "New York"})],
        ),
        (
            "What time is it in Tokyo, and the weather in Rome?",
            [("get_time", {"city": "Tokyo"}), ("get_weather", {"city": "Rome"})],
        ),
        ("Add 12.5 and 7.", [("add", {"a": 12.5, "b": 7})]),
        ("北京和上海的天气怎么样？", [("get_weather", {"city": "北京"}), ("get_weather", {"city": "上海"})]),
        ("Who wrote Faust?", []),
    ],
)
def test_the_tool_that_fits_is_called_with_words_of_the_question(
    base_url: str, api: Api, text: str, expected: list[tuple[str, object]]
) -> None:
    """This holds in every dialect, streamed or not; a question that fits no tool is answered in text."""
    assert called(base_url, api, text) == expected
    assert called(base_url, api, text, stream=False) == expected


@pytest.mark.parametrize(
    "above", ["[0123456789ab] ", "Alice was tired. So said Ms Rabbit.\n\nThe Queen of Hearts.\n\n"]
)
def test_a_text_or_a_nonce_above_the_question_changes_no_call(base_url: str, api: Api, above: str) -> None:
    """Sized inputs have such a text, and `cache: bust` has a nonce."""
    alone = called(base_url, api, "What is the weather in Paris?")
    assert alone[0][0] == "get_weather"
    assert called(base_url, api, f"{above}What is the weather in Paris?") == alone


def test_calls_do_not_depend_on_streaming(base_url: str, api: Api) -> None:
    """Neither do names, arguments, ids, counts and the reason of the end."""
    told = question("How is the weather in Paris and Rome?")
    streamed, whole = (
        fold_of(api, ask(base_url, api, told, tools=tools_of(api), stream=stream, **usage_of(api, stream)))
        for stream in (True, False)
    )
    assert [(c.name, json.loads(c.arguments), c.id) for c in streamed.calls.values] == [
        (c.name, json.loads(c.arguments), c.id) for c in whole.calls.values
    ]
    assert streamed.usage is not None
    assert whole.usage is not None
    assert (streamed.usage.output_tokens, streamed.finish_reason) == (whole.usage.output_tokens, whole.finish_reason)
    assert len({call.id for call in streamed.calls.values}) == 2
    assert len(streamed.timestamps_ns) > 6, "arguments are streamed in pieces"
    assert not streamed.text(Channel.ANSWER)


def usage_of(api: Api, stream: bool) -> dict[str, object]:
    """Return the field that requests token counts."""
    return {"stream_options": {"include_usage": True}} if api == "chat_completions" and stream else {}


@pytest.mark.parametrize(
    ("choice", "text", "expected"),
    [
        ("none", "What is the weather in Paris?", []),
        ("auto", "What is the weather in Paris?", ["get_weather"]),
        ("required", "Who wrote Faust?", ["get_time"]),
        ("get_weather", "What time is it in Paris?", ["get_weather"]),
        ("add", "What is the weather in Paris?", ["add"]),
    ],
)
def test_tool_choice_is_obeyed(base_url: str, api: Api, choice: str, text: str, expected: list[str]) -> None:
    """It allows no tool or any tool, requires one, or requires a named one."""
    assert [name for name, _ in called(base_url, api, text, tool_choice=choice_of(api, choice))] == expected


def test_parallel_calls_can_be_turned_off(base_url: str, api: Api) -> None:
    """A reply then has at most one call."""
    off: dict[str, object] = {"parallel_tool_calls": False}
    if api == "messages":
        off = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    assert len(called(base_url, api, "How is the weather in Paris and Rome?", **off)) == 1


def test_results_of_tools_are_repeated_in_the_answer(base_url: str, api: Api) -> None:
    """After the results there is no further call unless one is required; it then has another id."""
    text = "How is the weather in Paris and Rome?"
    calls = fold_of(api, ask(base_url, api, question(text), tools=tools_of(api))).calls.values
    told = history_of(api, text, calls, ["18 degrees", "21 degrees"])
    fold = fold_of(api, ask(base_url, api, told, tools=tools_of(api)))
    assert (fold.calls.values, fold.outcome()) == ((), Outcome.OK)
    assert fold.text(Channel.ANSWER) == "The tools say: “18 degrees”; “21 degrees”."
    again = fold_of(api, ask(base_url, api, told, tools=tools_of(api), tool_choice=choice_of(api, "required")))
    assert len(again.calls.values) == 2
    assert {call.id for call in again.calls.values}.isdisjoint(call.id for call in calls)


def test_a_result_of_a_call_that_was_not_made_is_refused(base_url: str, api: Api) -> None:
    """A client that confuses ids gets an error, as at providers."""
    told = history_of(api, "Hello", [ToolCall("add", "{}", "call_1")], ["7"])
    path = {"chat_completions": -1, "responses": -1, "messages": -1}[api]
    last = told[path]
    for holder in (last, last["content"][0] if isinstance(last.get("content"), list) else {}):
        for name in ("tool_call_id", "call_id", "tool_use_id"):
            if name in holder:
                holder[name] = "call_2"
    reply = ask(base_url, api, told, tools=tools_of(api))
    assert reply.status == 400
    assert b"the id of a call in an earlier message" in reply.body


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"tools": "x"}, b"'tools'"), ({"tools": [{"type": "function", "input_schema": {}}]}, b"tools[0].name")],
)
def test_wrong_tools_are_refused_by_name(base_url: str, api: Api, fields: dict[str, Any], named: bytes) -> None:
    """A tool without a name, and tools that are not a list, are refused."""
    reply = ask(base_url, api, question("Hello"), **fields)
    assert (reply.status, named in reply.body) == (400, True), reply.body


def test_max_tokens_cuts_the_arguments_of_a_call(base_url: str, api: Api) -> None:
    """Tokens of calls count, and the reply reports that it was cut."""
    name = {"responses": "max_output_tokens"}.get(api, "max_tokens")
    fold = fold_of(api, ask(base_url, api, question("What is the weather in Paris?"), tools=tools_of(api), **{name: 6}))
    (call,) = fold.calls.values
    assert fold.outcome() is Outcome.LENGTH
    assert call.name == "get_weather"
    assert '{"city": "Paris"}'.startswith(call.arguments)
    assert len(call.arguments) < 17
    assert fold.first_call_ns is None


@pytest.mark.parametrize(
    ("persona", "text", "expected"),
    [
        ("steady", "Weather in Paris and Rome?", ["get_weather", "get_weather"]),
        ("thinker", "Weather in Paris and Rome?", ["get_weather", "get_weather"]),
        ("quick", "Weather in Paris and Rome?", ["get_time"]),
        ("slow-start", "Weather in Paris and Rome?", []),
    ],
)
def test_personas_call_tools_in_their_manner(
    base_url: str, api: Api, persona: str, text: str, expected: list[str]
) -> None:
    """Two call correctly, one calls the first tool once, and one writes its calls into its answer."""
    fold = fold_of(api, ask(base_url, api, question(text), tools=tools_of(api), model=f"sim/{persona}"))
    assert [call.name for call in fold.calls.values] == expected
    assert bool(fold.text(Channel.REASONING)) == (persona == "thinker")
    assert ("<tool_call>" in (fold.text(Channel.ANSWER) or "")) == (persona == "slow-start")


def test_the_hasty_persona_writes_numbers_as_text(base_url: str, api: Api) -> None:
    """Its arguments therefore do not fit the schema."""
    fold = fold_of(api, ask(base_url, api, question("Add 3 and 4."), tools=tools_of(api, ["add"]), model="sim/quick"))
    assert [json.loads(call.arguments) for call in fold.calls.values] == [{"a": "3", "b": "4"}]


def format_of(api: Api, schema: Mapping[str, object]) -> dict[str, object]:
    """Return the field that asks for JSON of a schema."""
    if api == "messages":
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    if api == "responses":
        return {"text": {"format": {"type": "json_schema", "name": "reply", "schema": schema}}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}}


@pytest.mark.parametrize(("persona", "fits"), [("steady", True), ("quick", False), ("slow-start", False)])
def test_structured_output_fits_the_schema_with_some_personas(
    base_url: str, api: Api, persona: str, fits: bool
) -> None:
    """One persona leaves out the last property, one puts text around the JSON."""
    schema = schema_of("get_weather") | {"required": ["city", "unit"], "additionalProperties": False}
    fold = fold_of(
        api, ask(base_url, api, question("Weather in Oslo?"), model=f"sim/{persona}", **format_of(api, schema))
    )
    assert fold.outcome() is Outcome.OK
    assert (is_json(fold.text(Channel.ANSWER) or "", schema) == PASSED) is fits


def test_any_object_fits_where_no_schema_is_given(base_url: str) -> None:
    """This is `json_object` of chat completions."""
    reply = ask(base_url, "chat_completions", question("Hello?"), response_format={"type": "json_object"})
    assert isinstance(json.loads(fold_of("chat_completions", reply).text(Channel.ANSWER) or ""), dict)


@pytest.mark.parametrize(("fault", "text"), [("calls-cut", '{"city"'), ("calls-unnumbered", '{"city": "Paris"}')])
def test_cut_or_unnumbered_calls_are_decoded(base_url: str, api: Api, fault: str, text: str) -> None:
    """A call that is cut off is still a reply; calls without numbers are distinguished by their order."""
    model = f"sim/fault-{fault}?ttft_ms=1&gap_ms=1"
    told = question("How is the weather in Paris and Rome?")
    fold = fold_of(api, ask(base_url, api, told, tools=tools_of(api), model=model))
    assert fold.outcome() is Outcome.OK
    assert [call.name for call in fold.calls.values] == ["get_weather"] * 2
    assert fold.calls.values[0].arguments.startswith(text)
    assert (fault == "calls-cut") == (fold.calls.values[0].arguments != '{"city": "Paris"}')


def test_vendors_are_named_and_obeyed_in_every_dialect(base_url: str, api: Api) -> None:
    """Vendors answer in turn, as behind a router, or only those that the request allows."""
    model = "sim/exact?ttft_ms=0&gap_ms=0&tokens=2&served_by=alpha,beta&fingerprint=f1&tier=flex"

    def vendor(**fields: object) -> str | None:
        fold = fold_of(api, ask(base_url, api, question("Hello"), model=model, **fields))
        assert (fold.answered_by.system_fingerprint, fold.answered_by.service_tier) == ("f1", "flex")
        return fold.answered_by.served_by

    assert {vendor() for _ in range(4)} == {"alpha", "beta"}
    assert {vendor(provider={"only": ["Beta"]}) for _ in range(3)} == {"beta"}
    assert {vendor(stream=False) for _ in range(4)} == {"alpha", "beta"}
    assert ask(base_url, api, question("Hello"), model=model, provider={"only": ["gamma"]}).status == 404


# Values of a schema

NAMES = st.text("abc", min_size=1, max_size=3)
LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-9, 9),
        st.integers(0, 9),
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-9, 9)),
    st.builds(lambda high: {"type": "integer", "exclusiveMaximum": high}, st.floats(-9, 9)),
    st.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
        st.integers(0, 30),
        st.integers(0, 9),
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.text(max_size=3) | st.integers(), min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, st.integers() | st.text(max_size=3)),
    st.just({"$ref": "#/$defs/point"}),
    st.just({}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda properties, extra: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[extra:],
                "additionalProperties": False,
            },
            st.dictionaries(NAMES, inner, max_size=3),
            st.integers(0, 2),
        ),
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"allOf": [one]}, inner),
    ),
    max_leaves=6,
)
POINT = {
    "type": "object",
    "properties": {"x": {"type": "number"}, "next": {"$ref": "#/$defs/point"}},
    "required": ["x"],
}
QUESTIONS = st.sampled_from(
    ["Weather in Paris and Rome?", "Add 3 and 4.5, not 7", "你好", "", "a “quoted word” of 100"]
)


@given(SCHEMAS, QUESTIONS)
@settings(deadline=None)
def test_a_value_fits_its_schema(schema: dict[str, Any], asked: str) -> None:
    """For any schema, the value is valid by the check's own validator."""
    whole = {**schema, "$defs": {"point": POINT}}
    value = make_value(whole, QuestionWords(asked))
    assert first_error(json.dumps(whole), json.loads(json.dumps(value))) is None, value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "required",
                    "items",
                    "enum",
                    "anyOf",
                    "$ref",
                    "minimum",
                    "minLength",
                    "a",
                    "multipleOf",
                    "minItems",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    JSON, st.text(max_size=60), st.sampled_from(["right", "hasty", "in_text"]), st.sampled_from(["auto", "required"])
)
@settings(deadline=None)
def test_any_schema_and_any_question_give_calls(schema: object, asked: str, skill: Any, choice: str) -> None:
    """Nothing raises, the arguments are JSON, and the same request gets the same calls."""
    parameters = json.dumps(schema if isinstance(schema, dict) else {})
    tools = ToolUse((Tool("find", "Find something.", parameters), Tool("add", "", "{}")), choice)
    calls = tools.calls(asked, skill, 0)
    assert calls == tools.calls(asked, skill, 0)
    assert all(isinstance(json.loads(call.arguments), object) for call in calls)
    assert bool(calls) or choice == "auto"
    assert len({call.id for call in calls}) == len(calls)
