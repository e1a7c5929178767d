"""Built-in rows, the user's rows, and the names of providers and targets."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from runner.core.suite import Parameters
from runner.core.target_name import TargetName
from runner.errors import CompareError, UnknownTarget
from runner.providers.base_url import parse_base_url
from runner.providers.endpoint import find_endpoint
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import builtin, parse_target
from runner.providers.request_body import request_body, retirement
from tests.support.provider_rows import row_of, rows_of

FIRST_CLASS = ("dashscope", "zhipu", "deepseek")
LOCAL = ("ollama", "vllm", "llamacpp", "lmstudio", "sglang", "xinference", "litellm")
ACCOUNTS = ("azure", "cloudflare", "databricks", "vertex")
"""Providers whose address contains the user's account."""
KEY = {"DEEPSEEK_API_KEY": "sk-0123456789abcdef"}


def test_built_in_providers_in_their_order() -> None:
    """Every planned provider has a row, the three first-class ones first."""
    promised = (
        "dashscope zhipu deepseek openai zai moonshot siliconflow volcengine minimax tencent qianfan stepfun "
        "openrouter groq together mistral gemini xai anthropic cerebras fireworks nvidia perplexity github "
        "huggingface cohere sambanova ai21 cloudflare databricks vertex bedrock modelscope deepinfra novita baseten "
        "nebius scaleway ovhcloud venice vercel azure ollama vllm llamacpp lmstudio sglang xinference litellm sim"
    )
    assert " ".join(builtin().rows) == promised


def test_only_the_simulator_is_simulated() -> None:
    """Its row needs no key and has models."""
    assert [name for name, row in builtin().rows.items() if row.simulated] == ["sim"]
    assert row_of("sim").keyless
    assert row_of("sim").models


@pytest.mark.parametrize("provider", [name for name in builtin().rows if name != "sim"])
def test_every_built_in_row_is_complete(provider: str) -> None:
    """It has label, base URL and key variable, and default models, or says that it has none."""
    row = row_of(provider)
    assert row.label
    assert bool(row.base_url) != (provider in ACCOUNTS)
    assert row.base_url or row.base_url_env
    assert row.api_key_env
    assert row.keyless == (provider in LOCAL)
    assert row.keyless or bool(row.models) != any("no default" in note for note in row.notes)
    assert not row.simulated
    for url in filter(None, (row.base_url, *row.regions.values())):
        assert parse_base_url(url, row.default_path).notes == ()
        assert url.startswith("https://") or provider in LOCAL


@pytest.mark.parametrize("provider", FIRST_CLASS)
def test_first_class_rows_are_complete(provider: str) -> None:
    """They list retired names of tutorials, the settings of thinking, and notes."""
    row = row_of(provider)
    assert row.regions
    assert row.base_url_env
    assert row.retired
    assert {"on", "off", "low", "high"} <= row.thinking.keys()
    assert row.notes


def test_no_default_model_is_retired() -> None:
    """No default model is in the same row's list of retired names."""
    stale = [
        f"{name}/{model}" for name, row in builtin().rows.items() for model in row.models if retirement(row, model)
    ]
    assert stale == []


def test_provider_names_are_unique() -> None:
    """Ids and aliases are unique over all rows, in any case."""
    names = [name.lower() for name in builtin().names]
    assert len(names) == len(set(names))


def test_every_row_names_its_sources_with_their_date() -> None:
    """A built-in row has pages and the date on which they were read.

    One without any states that nothing was confirmed.
    """
    rows = {name: row for name, row in builtin().rows.items() if not row.simulated}
    assert [name for name, row in rows.items() if bool(row.sources) != bool(row.as_of)] == []
    assert [name for name, row in rows.items() if not row.sources and not row.unconfirmed] == []
    assert all(row.as_of is None or row.as_of <= date(2026, 11, 30) for row in rows.values())


@pytest.mark.parametrize("source", ["www.example.com", "ftp://example.com/page", "https://example.com/a b", ""])
def test_a_source_is_the_address_of_a_page(source: str) -> None:
    """Anything else is refused, and so is a day that the calendar lacks."""
    with pytest.raises(ValidationError, match="sources"):
        ProviderRow.model_validate({"sources": [source]})
    with pytest.raises(ValidationError, match="as_of"):
        ProviderRow.model_validate({"as_of": "2026-11-31"})


def test_no_variable_is_shared_by_two_providers() -> None:
    """No key and no base URL of one provider is read for another."""
    variables = [name for row in builtin().rows.values() for name in (*row.api_key_env, *row.base_url_env)]
    assert len(variables) == len(set(variables))


def test_every_field_of_a_row_is_described() -> None:
    """The JSON Schema that editors show has a description of every key."""
    fields = ProviderRow.model_json_schema()["properties"]
    assert [name for name, schema in fields.items() if not schema.get("description")] == []


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("qwen-turbo", "dashscope"),
        ("glm-4-plus", "zhipu"),
        ("deepseek-chat", "deepseek"),
        ("deepseek-reasoner", "deepseek"),
    ],
)
def test_retired_model_names_are_sent_with_a_note(model: str, provider: str) -> None:
    """An old name is sent unchanged, with a note of the row."""
    assert parse_target(f"{provider}/{model}", builtin()) == TargetName(provider, model)
    body, notes = request_body(row_of(provider), model, Parameters())
    assert (body["model"], notes) == (model, ())
    note = retirement(row_of(provider), model)
    assert note is not None
    assert note.startswith(f"{model}: ")


def test_retired_names_are_matched_by_globs() -> None:
    """A glob in `retired` covers a family; a current name has no note."""
    assert retirement(row_of("moonshot"), "kimi-k2-0905-preview") == (
        "kimi-k2-0905-preview: discontinued in 2026; kimi-k3 is current"
    )
    assert retirement(row_of("moonshot"), "kimi-k3") is None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("deepseek/deepseek-flash", "deepseek/deepseek-flash"),
        ("Kimi/kimi-k3", "moonshot/kimi-k3"),
        ("openrouter/deepseek/deepseek-v4-flash:free", "openrouter/deepseek/deepseek-v4-flash:free"),
        (" qwen/通义 ", "dashscope/通义"),
    ],
)
def test_the_provider_of_a_target_ends_at_the_first_slash(text: str, target: str) -> None:
    """It may be an alias in any case; the model is not changed."""
    assert str(parse_target(text, builtin())) == target


@given(st.sampled_from(builtin().names), st.text(min_size=1).filter(lambda text: text == text.strip()))
def test_any_model_name_survives_parsing(provider: str, model: str) -> None:
    """No model name, with slashes or not, is changed by parsing and writing a target."""
    target = parse_target(f"{provider}/{model}", builtin())
    assert target.model == model
    assert parse_target(str(target), builtin()) == target


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("deepsek/x", "No provider is called 'deepsek'. Did you mean `deepseek`? A row in compare.yaml adds one."),
        (
            "acme/x",
            "No provider is called 'acme'. `compare providers` lists the known ones. A row in compare.yaml adds one.",
        ),
        ("deepseek", "'deepseek' names no target. Write provider/model, as in deepseek/deepseek-flash."),
        ("deepseek/", "'deepseek/' names no target. Write provider/model, as in deepseek/deepseek-flash."),
    ],
)
def test_an_unknown_target_is_refused(text: str, sentence: str) -> None:
    """An unknown provider gets a suggestion, a missing model the form to write."""
    with pytest.raises(UnknownTarget) as caught:
        parse_target(text, builtin())
    assert str(caught.value) == sentence


def test_a_user_row_replaces_only_its_own_keys() -> None:
    """The change applies to the id even if the row is under an alias."""
    registry = rows_of("bailian", models=["qwen3.7-plus"], concurrency=2)
    row = registry.rows["dashscope"]
    assert (row.models, row.concurrency) == (("qwen3.7-plus",), 2)
    assert row.model_copy(update={"models": row_of("dashscope").models, "concurrency": None}) == row_of("dashscope")
    assert registry.own == {"dashscope"}
    assert row_of("dashscope").concurrency is None


def test_a_suites_row_is_merged_onto_that_of_the_config() -> None:
    """Rows stack: each later one replaces only its own keys."""
    registry = rows_of("deepseek", concurrency=2, models=["a"]).with_rows({"deepseek": ProviderRow(models=("b",))})
    assert (registry.rows["deepseek"].concurrency, registry.rows["deepseek"].models) == (2, ("b",))


def test_a_base_url_in_a_row_overrides_the_environment() -> None:
    """A base_url by the user is not replaced by a variable that only the built-in row names."""
    environ = KEY | {"DEEPSEEK_API_BASE": "https://elsewhere.example.com"}
    assert find_endpoint("deepseek", builtin(), environ).base_url == "https://elsewhere.example.com"
    mine = rows_of("deepseek", base_url="https://mine.example.com")
    assert find_endpoint("deepseek", mine, environ).base_url == "https://mine.example.com"


def test_two_providers_of_one_name_are_refused() -> None:
    """An alias that another provider has is an error."""
    with pytest.raises(CompareError, match="moonshot and mine are both called 'kimi'"):
        rows_of("mine", aliases=["Kimi"], base_url="https://llm.example.com")


ROW_DATA: st.SearchStrategy[dict[str, JsonValue]] = st.fixed_dictionaries(
    {},
    optional={
        "label": st.text(min_size=1, max_size=20),
        "models": st.lists(st.text(min_size=1, max_size=20), max_size=3),
        "concurrency": st.integers(1, 1000),
        "keyless": st.booleans(),
        "auth": st.sampled_from(["bearer", "api-key"]),
        "base_url": st.sampled_from(["https://a.example.com", "http://b.example.com/v1"]),
        "stream_options": st.booleans(),
    },
)


@given(ROW_DATA, ROW_DATA)
def test_merging_rows_equals_merging_dictionaries(upper: dict[str, JsonValue], lower: dict[str, JsonValue]) -> None:
    """The merge of two rows equals the row of the merged dictionaries."""
    laid = ProviderRow.model_validate(upper).merged_onto(ProviderRow.model_validate(lower))
    assert laid == ProviderRow.model_validate({**lower, **upper})


def test_a_row_is_immutable() -> None:
    """A changed row is a new one."""
    with pytest.raises(ValidationError):
        row_of("deepseek").label = "other"
