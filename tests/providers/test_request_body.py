"""The body of a request in the dialect of its provider, and its fixed fields."""

import json
from dataclasses import replace
from typing import get_args

import pytest

from runner.core.suite import Api, Parameters, Thinking
from runner.providers.body_fields import matches_any, thinking_fields
from runner.providers.registry import builtin, parse_target
from runner.providers.request_body import request_body
from tests.support.provider_rows import row_of


@pytest.mark.parametrize("api", ["chat_completions", "responses", "messages"])
@pytest.mark.parametrize(
    ("provider", "field", "pinned"),
    [
        ("openrouter", "provider", {"only": ["fireworks"], "allow_fallbacks": False}),
        ("vercel", "providerOptions", {"gateway": {"only": ["fireworks"]}}),
    ],
)
def test_a_route_becomes_the_field_of_the_router(
    provider: str, field: str, pinned: dict[str, object], api: Api
) -> None:
    """The field is merged with `extra_body`, in every API, only if a route is named; the model keeps its name."""
    asked = Parameters(route="fireworks", api=api, extra_body={field: {"sort": "price"}})
    body, _ = request_body(row_of(provider), "deepseek/deepseek-v4-flash", asked)
    assert (body["model"], body[field]) == ("deepseek/deepseek-v4-flash", {"sort": "price", **pinned})
    free, _ = request_body(row_of(provider), "deepseek/deepseek-v4-flash", replace(asked, route=None, extra_body={}))
    assert field not in free


EVERYTHING = Parameters(temperature=0.0, max_tokens=5, top_p=0.5, seed=7, stop=("END",), thinking="off")


@pytest.mark.parametrize(
    ("target", "body", "notes"),
    [
        (
            "deepseek/deepseek-flash",
            {"temperature": 0.0, "max_tokens": 5, "top_p": 0.5, "seed": 7, "stop": ["END"]}
            | {"stream_options": {"include_usage": True}, "thinking": {"type": "disabled"}},
            [],
        ),
        (
            "moonshot/kimi-k3",
            {"max_completion_tokens": 5, "top_p": 0.5, "seed": 7, "stop": ["END"]}
            | {"stream_options": {"include_usage": True}},
            [
                "kimi-k3 refuses temperature, so it was not sent",
                "kimi-k3 cannot be asked not to think: thinking: off was not sent",
            ],
        ),
        (
            "anthropic/claude-haiku-5-5",
            {"max_tokens": 5, "seed": 7, "stop": ["END"], "thinking": {"type": "disabled"}}
            | {"stream_options": {"include_usage": True}},
            [
                "claude-haiku-5-5 refuses temperature, so it was not sent",
                "claude-haiku-5-5 refuses top_p, so it was not sent",
            ],
        ),
        (
            "mistral/mistral-medium-latest",
            {"temperature": 0.0, "max_tokens": 5, "top_p": 0.5, "stop": ["END"], "reasoning_effort": "none"},
            ["mistral-medium-latest refuses seed, so it was not sent"],
        ),
        (
            "lmstudio/any",
            {"temperature": 0.0, "max_tokens": 5, "top_p": 0.5, "seed": 7, "stop": ["END"]}
            | {"stream_options": {"include_usage": True}},
            ["thinking: off is not known for any (known: none) and was not sent"],
        ),
    ],
)
def test_request_body_in_the_providers_dialect(target: str, body: dict[str, object], notes: list[str]) -> None:
    """The same parameters become each provider's own fields; those it refuses are left out with a note."""
    name = parse_target(target, builtin())
    sent, told = request_body(row_of(name.provider), name.model, EVERYTHING)
    assert sent == {"model": name.model, "stream": True, **body}
    assert list(told) == notes


def test_unset_parameters_are_not_sent() -> None:
    """The provider keeps its defaults; without streaming no stream_options are sent."""
    assert request_body(row_of("openai"), "m", Parameters(stream=False)) == ({"model": "m", "stream": False}, ())


def test_response_format_is_a_field_of_chat_completions() -> None:
    """`extra_body` overrides it."""
    form = {"type": "json_object"}
    assert request_body(row_of("openai"), "m", Parameters(response_format=form))[0]["response_format"] == form
    both = Parameters(response_format=form, extra_body={"response_format": {"type": "text"}})
    assert request_body(row_of("openai"), "m", both)[0]["response_format"] == {"type": "text"}


def test_response_format_is_the_text_format_of_responses() -> None:
    """The members of `json_schema` stand beside the type; `extra_body` adds to `text`, or overrides the format."""
    schema = {"name": "n", "strict": True, "schema": {"type": "object"}}
    for form, sent in (
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", "json_schema": schema}, {"type": "json_schema", **schema}),
        ({"type": "json_schema", **schema}, {"type": "json_schema", **schema}),
    ):
        asked = Parameters(api="responses", response_format=form, extra_body={"text": {"verbosity": "low"}})
        body, notes = request_body(row_of("openai"), "m", asked)
        assert (body["text"], "response_format" in body, notes) == ({"format": sent, "verbosity": "low"}, False, ())
        other = replace(asked, extra_body={"text": {"format": {"type": "text"}}})
        assert request_body(row_of("openai"), "m", other)[0]["text"] == {"format": {"type": "text"}}


def test_extra_body_overrides_other_fields() -> None:
    """Fields of a target in the suite override every translated one."""
    asked = Parameters(
        thinking="on", max_tokens=5, extra_body={"thinking": {"type": "auto"}, "max_tokens": 6, "top_k": 1}
    )
    body, _ = request_body(row_of("zhipu"), "glm-5.3", asked)
    assert (body["thinking"], body["max_tokens"], body["top_k"]) == ({"type": "auto"}, 6, 1)


@pytest.mark.parametrize("provider", builtin().rows)
@pytest.mark.parametrize("setting", get_args(Thinking))
def test_thinking_is_translated_or_noted(provider: str, setting: Thinking) -> None:
    """Every provider and setting gives the row's fields, or none and a note."""
    row = row_of(provider)
    for model in (*row.models, "any"):
        fixed = setting == "off" and matches_any(model, row.thinking_always)
        body, note = thinking_fields(row, model, setting, row.api, {})
        assert (note is not None) == (fixed or setting not in row.thinking)
        assert body == ({} if note else row.thinking[setting])
        assert json.loads(json.dumps(body)) == body
