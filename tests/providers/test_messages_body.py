"""The request builder of the Messages dialect: the fields of each parameter, and the history that it sends."""

import json
from dataclasses import replace
from typing import Any

import pytest

from runner.core.suite import CacheUse, Parameters, Thinking
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import builtin
from runner.providers.request_body import BUILDERS, request_body
from runner.simulator.http_request import HttpRequest
from runner.simulator.messages import parse_request

MESSAGES = Parameters(api="messages")
SIGNED = {"type": "thinking", "thinking": "27 = 3 x 9", "signature": "EqQB"}


def message(role: str, content: str, **more: object) -> dict[str, object]:
    """Return one message of a conversation."""
    return {"role": role, "content": content, **more}


def sent(*messages: dict[str, object]) -> dict[str, Any]:
    """Return the fields that a body has for the messages of a conversation."""
    return BUILDERS["messages"].with_messages({}, messages)


def test_parameters_become_the_dialects_fields() -> None:
    """Stop sequences have another name, there is no seed, and no stream_options are sent."""
    asked = Parameters(api="messages", temperature=0.5, max_tokens=100, top_p=0.9, seed=7, stop=("END",))
    body, notes = request_body(ProviderRow(), "m", asked)
    assert body == {
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 100,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "stream": True,
    }
    assert notes == ("the Messages API has no seed, so it was not sent to m",)


def test_max_tokens_is_required_and_its_default_is_noted() -> None:
    """A value of the suite or of its extra_body is no adjustment."""
    body, notes = request_body(ProviderRow(), "m", MESSAGES)
    assert (body["max_tokens"], notes) == (8192, ("the Messages API requires max_tokens, so 8192 was sent to m",))
    body, notes = request_body(ProviderRow(), "m", Parameters(api="messages", extra_body={"max_tokens": 9, "top_k": 1}))
    assert (body["max_tokens"], body["top_k"], notes) == (9, 1, ())


@pytest.mark.parametrize(
    ("setting", "fields"),
    [
        ("off", {"thinking": {"type": "disabled"}}),
        ("on", {"thinking": {"type": "adaptive", "display": "summarized"}}),
        (
            "low",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
    ],
)
def test_thinking_is_sent_as_published_or_as_the_row_of_this_api_says(
    setting: Thinking, fields: dict[str, object]
) -> None:
    """Fields of a row for another API are not sent."""
    asked = Parameters(api="messages", max_tokens=5, thinking=setting)
    plain = {"model": "m", "max_tokens": 5, "stream": True}
    assert request_body(ProviderRow(thinking={"on": {"enable_thinking": True}}), "m", asked) == (
        {**plain, **fields},
        (),
    )
    budget: Any = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    own = ProviderRow(api="messages", thinking={setting: budget})
    assert request_body(own, "m", asked) == ({**plain, **budget}, ())


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FORM = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}
EFFORT_LOW = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}


def test_the_schema_of_a_response_format_is_sent_beside_the_effort() -> None:
    """It is a member of output_config, from the form of chat completions or the flat one; extra_body overrides it."""
    plain = {"model": "m", "max_tokens": 5, "stream": True, "thinking": EFFORT_LOW["thinking"]}
    sent_format = {"type": "json_schema", "schema": SCHEMA}
    for form in (FORM, {"type": "json_schema", "name": "n", "schema": SCHEMA}):
        asked = Parameters(api="messages", max_tokens=5, thinking="low", response_format=form)
        expected = {**plain, "output_config": {"effort": "low", "format": sent_format}}
        unsent = "name or strict" if form is FORM else "name"
        note = f"the Messages API has no {unsent} for a response's schema, so it was not sent to m"
        assert request_body(ProviderRow(), "m", asked) == (expected, (note,))
        other = replace(asked, extra_body={"output_config": {"format": {"type": "x"}}})
        assert request_body(ProviderRow(), "m", other)[0]["output_config"] == {"effort": "low", "format": {"type": "x"}}


def test_a_response_format_without_a_schema_is_noted() -> None:
    """The API cannot request JSON of any shape; text is the default."""
    plain = {"model": "m", "max_tokens": 5, "stream": True}
    for form, notes in (
        ({"type": "text"}, ()),
        (
            {"type": "json_object"},
            ("the Messages API takes only a response_format with a schema, so json_object was not sent to m",),
        ),
    ):
        asked = Parameters(api="messages", max_tokens=5, response_format=form)
        assert request_body(ProviderRow(), "m", asked) == (plain, notes)


def test_refused_parameters_of_anthropics_models_are_left_out_in_this_api_too() -> None:
    """Parameters that a model refuses, and its permanent thinking, do not depend on the API."""
    row = builtin().rows["anthropic"]
    asked = Parameters(api="messages", max_tokens=5, temperature=0.0, thinking="off")
    body, notes = request_body(row, "claude-opus-5-5", asked)
    assert body == {"model": "claude-opus-5-5", "max_tokens": 5, "stream": True}
    assert len(notes) == 2


def test_system_messages_stand_beside_the_turns() -> None:
    """They are joined in their order; without any there is no such field."""
    told = sent(message("system", "Be brief."), message("user", "a"), message("system", "Be kind."))
    assert told == {"system": "Be brief.\n\nBe kind.", "messages": [message("user", "a")]}
    assert sent(message("user", "a")) == {"messages": [message("user", "a")]}


def test_turns_alternate_and_empty_ones_are_left_out() -> None:
    """Successive messages of a role become one turn with several blocks; a reply without text is no turn."""
    told = sent(*(message(role, text) for role, text in (("user", "a"), ("assistant", ""), ("user", "b"))))
    assert told["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]


def test_signed_thinking_is_given_back_unchanged_before_the_text() -> None:
    """The blocks precede the text of the reply, or stand alone if it had none."""
    told = sent(
        message("user", "a"),
        message("assistant", "27", signed_thinking=[SIGNED]),
        message("user", "b"),
        message("assistant", "", signed_thinking=[SIGNED, {"type": "redacted_thinking", "data": "x"}]),
        message("user", "c"),
    )
    assert [turn["content"] for turn in told["messages"]] == [
        "a",
        [SIGNED, {"type": "text", "text": "27"}],
        "b",
        [SIGNED, {"type": "redacted_thinking", "data": "x"}],
        "c",
    ]


@pytest.mark.parametrize("setting", [None, "on", "off", "low", "medium", "high"])
def test_the_simulator_takes_what_is_built(setting: Thinking | None) -> None:
    """A whole body is one that the server's own parser accepts."""
    asked = Parameters(api="messages", thinking=setting, stop=("END",), stream=False)
    fields = request_body(ProviderRow(), "m", asked)[0]
    body = BUILDERS["messages"].with_messages(fields, [message("system", "s"), message("user", "a")])
    request = HttpRequest("POST", "/", {"anthropic-version": "1"}, json.dumps(body).encode(), True, True)
    chat = parse_request(request)
    assert ([(each.role, each.text) for each in chat.messages], chat.stop) == (
        [("system", "s"), ("user", "a")],
        ("END",),
    )
    assert (chat.max_tokens, chat.thinking_off) == (8192, setting == "off")


@pytest.mark.parametrize(("cache", "marked"), [("allow", False), ("bust", False), ("warm", True)])
def test_a_prompt_is_marked_for_the_cache_where_that_is_wanted(cache: CacheUse, *, marked: bool) -> None:
    """This API caches no other prompt; a field of the suite takes precedence."""
    body, notes = request_body(ProviderRow(), "m", replace(MESSAGES, cache=cache, max_tokens=9))
    assert (body.get("cache_control") == {"type": "ephemeral"}) is marked
    assert notes == ()
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    own, _ = request_body(ProviderRow(), "m", replace(MESSAGES, cache=cache, max_tokens=9, extra_body=hour))
    assert own["cache_control"] == hour["cache_control"]
    assert "cache_control" not in request_body(ProviderRow(), "m", Parameters(cache=cache))[0]
