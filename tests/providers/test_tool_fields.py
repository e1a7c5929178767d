"""Tools, calls and results in the bodies of all dialects."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import Api, Parameters, ToolDefinition
from runner.core.tool_call import ToolCall
from runner.providers.provider_row import ProviderRow
from runner.providers.request_body import BUILDERS, request_body
from runner.simulator.routes import DIALECTS

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = (ToolDefinition("get_weather", "The weather.", SCHEMA, strict=True), ToolDefinition("now"))
APIS: list[Api] = ["chat_completions", "responses", "messages"]

SENT: dict[Api, list[dict[str, Any]]] = {
    "chat_completions": [
        {
            "type": "function",
            "function": {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA, "strict": True},
        },
        {"type": "function", "function": {"name": "now"}},
    ],
    "responses": [
        {
            "type": "function",
            "name": "get_weather",
            "description": "The weather.",
            "parameters": SCHEMA,
            "strict": True,
        },
        {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False},
    ],
    "messages": [
        {"name": "get_weather", "description": "The weather.", "strict": True, "input_schema": SCHEMA},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ],
}


def body_of(api: Api, **parameters: Any) -> dict[str, Any]:
    """Return the body of a request in a dialect, without its messages."""
    return request_body(ProviderRow(), "m", Parameters(api=api, max_tokens=5, **parameters))[0]


@pytest.mark.parametrize("api", APIS)
def test_tools_have_each_dialects_form(api: Api) -> None:
    """Without tools no field is sent; `extra_body` overrides the fields."""
    assert body_of(api, tools=TOOLS)["tools"] == SENT[api]
    assert not {"tools", "tool_choice"} & body_of(api).keys()
    assert body_of(api, tools=TOOLS, extra_body={"tools": []})["tools"] == []


CHOICES: dict[Api, dict[str, Any]] = {
    "chat_completions": {
        "auto": "auto",
        "none": "none",
        "required": "required",
        "now": {"type": "function", "function": {"name": "now"}},
    },
    "responses": {
        "auto": "auto",
        "none": "none",
        "required": "required",
        "now": {"type": "function", "name": "now"},
    },
    "messages": {
        "auto": {"type": "auto"},
        "none": {"type": "none"},
        "required": {"type": "any"},
        "now": {"type": "tool", "name": "now"},
    },
}


@pytest.mark.parametrize("api", APIS)
def test_the_choice_of_a_tool_has_each_dialects_form(api: Api) -> None:
    """The choice is a word, or the name of a tool."""
    for choice, sent in CHOICES[api].items():
        assert body_of(api, tools=TOOLS, tool_choice=choice)["tool_choice"] == sent


TOLD: list[dict[str, Any]] = [
    {"role": "user", "content": "Oslo and Rome?"},
    {
        "role": "assistant",
        "content": "",
        "calls": (ToolCall("get_weather", '{"city": "Oslo"}', "a"), ToolCall("now", "", "b")),
    },
    {"role": "tool", "content": "3 degrees", "call_id": "a"},
    {"role": "tool", "content": "noon", "call_id": "b"},
    {"role": "user", "content": "Thanks."},
]


def test_calls_and_results_in_chat_completions() -> None:
    """The assistant's message has the calls, and each result is a message; no text is null."""
    calls = [
        {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}},
        {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    assert BUILDERS["chat_completions"].with_messages({}, TOLD)["messages"] == [
        TOLD[0],
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "3 degrees", "tool_call_id": "a"},
        {"role": "tool", "content": "noon", "tool_call_id": "b"},
        TOLD[4],
    ]


def test_calls_and_results_in_responses() -> None:
    """Each is an item; an assistant that said nothing has no message."""
    assert BUILDERS["responses"].with_messages({}, TOLD)["input"] == [
        TOLD[0],
        {"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call", "call_id": "b", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "3 degrees"},
        {"type": "function_call_output", "call_id": "b", "output": "noon"},
        TOLD[4],
    ]


def test_calls_and_results_in_messages() -> None:
    """Signed thinking comes first, then text, then calls; the results and the next prompt are one message."""
    signed = {"type": "thinking", "thinking": "hm", "signature": "s"}
    told = [TOLD[0], {**TOLD[1], "content": "Let me see.", "signed_thinking": [signed]}, *TOLD[2:]]
    assert BUILDERS["messages"].with_messages({}, told)["messages"] == [
        {"role": "user", "content": "Oslo and Rome?"},
        {
            "role": "assistant",
            "content": [
                signed,
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "b", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "3 degrees"},
                {"type": "tool_result", "tool_use_id": "b", "content": "noon"},
                {"type": "text", "text": "Thanks."},
            ],
        },
    ]


@pytest.mark.parametrize("written", ["{", "[1]", "null", '"x"', "{" * 100_000])
def test_arguments_that_are_no_object_are_given_back_as_text(written: str) -> None:
    """Messages accepts objects only; the other dialects get the model's text."""
    told = [TOLD[0], {"role": "assistant", "content": "", "calls": (ToolCall("now", written, "a"),)}]
    sent: Any = BUILDERS["messages"].with_messages({}, told)["messages"]
    assert sent[1]["content"][0]["input"] == {"arguments": written}
    sent = BUILDERS["responses"].with_messages({}, told)["input"]
    assert sent[1]["arguments"] == written


TEXTS = st.text(min_size=1, max_size=6)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a conversation in which calls have their results."""
    told: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(0, 3))):
        told.append({"role": "user", "content": draw(TEXTS)})
        for step in range(draw(st.integers(0, 2))):
            calls = tuple(ToolCall("now", "{}", f"{turn}-{step}-{n}") for n in range(draw(st.integers(1, 2))))
            told.append({"role": "assistant", "content": draw(st.just("") | TEXTS), "calls": calls})
            told += [{"role": "tool", "content": draw(TEXTS), "call_id": call.id} for call in calls]
        told.append({"role": "assistant", "content": draw(TEXTS)})
    return [*told, {"role": "user", "content": draw(TEXTS)}]


PARSERS = {dialect.api: dialect.parse_conversation for dialect in DIALECTS.values()}


@pytest.mark.parametrize("api", APIS)
@given(conversations())
def test_a_server_and_the_builder_read_the_same_conversation(api: Api, told: list[dict[str, Any]]) -> None:
    """A replay finds a conversation by its roles and texts, including results of tools."""
    builder = BUILDERS[api]
    _, read = PARSERS[api](json.dumps(builder.with_messages({"model": "m"}, told)).encode())
    without_surrogates = [(role, text.encode(errors="replace").decode()) for role, text in builder.read_back(told)]
    assert [(message.role, message.text) for message in read] == without_surrogates
