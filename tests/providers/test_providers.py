"""Providers: built-in rows, the user's rows, names, base URLs and request bodies."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, TypeAdapter, ValidationError

from runner.core.suite import Api, Parameters, Thinking
from runner.core.target_name import TargetName
from runner.errors import CompareError, InvalidFile, MissingKey, UnknownTarget
from runner.providers.base_url import InvalidBaseUrl, parse_base_url
from runner.providers.body_fields import matches_any, thinking_fields
from runner.providers.config import CONFIG_NAME, find_config, load_config
from runner.providers.endpoint import find_configured, find_endpoint
from runner.providers.provider_row import Row, Rows
from runner.providers.registry import Registry, builtin, default_targets, parse_target
from runner.providers.request_body import request_body, retirement

CONFIGS = Path(__file__).parents[1] / "samples" / "config"
PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
FIRST_CLASS = ("dashscope", "zhipu", "deepseek")
LOCAL = ("ollama", "vllm", "llamacpp", "lmstudio", "sglang", "xinference", "litellm")
ACCOUNTS = ("azure", "cloudflare", "databricks", "vertex")
"""Providers whose address contains the user's account."""
KEY = {"DEEPSEEK_API_KEY": "sk-0123456789abcdef"}


def rows_of(provider: str, **fields: object) -> Registry:
    """Return the built-in registry with one row by the user."""
    return builtin().with_rows({provider: Row.model_validate(fields)})


def row_of(provider: str) -> Row:
    """Return a built-in row."""
    return builtin().rows[provider]


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
    """It is the only row that stands for no provider; it needs no key and has models."""
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
    """A built-in row has pages and the day they were read; one without any says that nothing was confirmed."""
    rows = {name: row for name, row in builtin().rows.items() if not row.simulated}
    assert [name for name, row in rows.items() if bool(row.sources) != bool(row.as_of)] == []
    assert [name for name, row in rows.items() if not row.sources and not row.unconfirmed] == []
    assert all(row.as_of is None or row.as_of <= date(2026, 11, 30) for row in rows.values())


@pytest.mark.parametrize("source", ["www.example.com", "ftp://example.com/page", "https://example.com/a b", ""])
def test_a_source_is_the_address_of_a_page(source: str) -> None:
    """Anything else is refused, and so is a day that the calendar lacks."""
    with pytest.raises(ValidationError, match="sources"):
        Row.model_validate({"sources": [source]})
    with pytest.raises(ValidationError, match="as_of"):
        Row.model_validate({"as_of": "2026-11-31"})


def test_no_variable_is_shared_by_two_providers() -> None:
    """No key and no base URL of one provider is read for another."""
    variables = [name for row in builtin().rows.values() for name in (*row.api_key_env, *row.base_url_env)]
    assert len(variables) == len(set(variables))


def test_every_field_of_a_row_is_described() -> None:
    """The JSON Schema that editors show has a description of every key."""
    fields = Row.model_json_schema()["properties"]
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
    """An old name is sent as it is written, and the row has a note on it."""
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
    """The provider ends at the first slash and may be an alias in any case; the model is not changed."""
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
        ("deepsek/x", "No provider is called 'deepsek'. Did you mean deepseek? A row in compare.yaml adds one."),
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
    registry = rows_of("deepseek", concurrency=2, models=["a"]).with_rows({"deepseek": Row(models=("b",))})
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
    laid = Row.model_validate(upper).merged_onto(Row.model_validate(lower))
    assert laid == Row.model_validate({**lower, **upper})


def test_a_row_is_immutable() -> None:
    """A changed row is a new one."""
    with pytest.raises(ValidationError):
        row_of("deepseek").label = "other"


@pytest.mark.parametrize(
    ("text", "url", "note"),
    [
        (" https://api.example.com/v1/ ", "https://api.example.com/v1", ""),
        ("https://api.example.com", "https://api.example.com", ""),
        ("HTTP://[::1]:8000/v1", "http://[::1]:8000/v1", ""),
        (
            "https://api.example.com/v1/chat/completions",
            "https://api.example.com/v1",
            "/chat/completions was cut off the base URL: it is added to every request anyway",
        ),
        *(
            (
                f"https://api.example.com/v1/{path}",
                "https://api.example.com/v1",
                f"/{path} was cut off the base URL: it is added to every request anyway",
            )
            for path in ("responses", "messages")
        ),
        (
            "https://api.example.com/v1/chat/completions/",
            "https://api.example.com/v1",
            "/chat/completions was cut off the base URL: it is added to every request anyway",
        ),
    ],
)
def test_a_base_url_is_corrected(text: str, url: str, note: str) -> None:
    """Blanks and a last slash are removed; a pasted request URL is shortened with a note."""
    address = parse_base_url(text)
    assert (address.url, "".join(address.notes)) == (url, note)


def test_the_default_path_is_added_to_a_bare_base_url() -> None:
    """A local server's bare base URL gets /v1, with a note; one with a path is not changed."""
    address = parse_base_url("http://localhost:8000", "/v1")
    assert (address.url, address.notes) == (
        "http://localhost:8000/v1",
        ("/v1 was added to the base URL, which had no path",),
    )
    assert parse_base_url("http://localhost:8000/api", "/v1").notes == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", "api.example.com", "ftp://api.example.com", "https://", "https:///v1", "file:///etc/passwd", "http://["),
        *(
            "https://api.example.com:port",
            "https://user:swordfish@api.example.com",
            "https://swordfish@api.example.com",
        ),
        *("https://api.example.com/v1?key=swordfish", "https://api.example.com/#swordfish", "https://api example.com"),
        *("https://api.example.com/\nswordfish", "https://api.example.com\x00"),
    ],
)
def test_an_invalid_base_url_is_refused_without_quoting_it(text: str) -> None:
    """One that is not http, or holds a secret, is refused with a message that does not repeat it."""
    with pytest.raises(InvalidBaseUrl) as caught:
        parse_base_url(text)
    assert "swordfish" not in str(caught.value)


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z@:\[\]/?#%. ]{0,30}", fullmatch=True))
def test_any_text_is_a_base_url_or_refused(text: str) -> None:
    """No other error is raised, and a corrected base URL is not corrected again."""
    try:
        address = parse_base_url(text)
    except InvalidBaseUrl:
        return
    again = parse_base_url(address.url)
    assert address.host
    assert again.host == address.host
    assert len(again.url) <= len(address.url)


def test_the_nearest_config_is_found(tmp_path: Path) -> None:
    """compare.yaml beside the suite wins over one in a parent folder; without any the result is None."""
    suite = tmp_path / "a" / "b" / "suite.yaml"
    suite.parent.mkdir(parents=True)
    suite.touch()
    above = tmp_path / CONFIG_NAME
    above.touch()
    assert find_config(suite) == above
    beside = suite.parent / CONFIG_NAME
    beside.touch()
    assert find_config(suite) == beside
    assert find_config(tmp_path / "elsewhere") == above


def test_the_sample_config_gives_endpoints() -> None:
    """An override, a region, a gateway and a local server are read from one file and have endpoints."""
    registry = builtin().with_rows(load_config(CONFIGS / "gateway.yaml"))
    environ = {"OPENAI_API_KEY": "sk-dashscope-1", "MOONSHOT_API_KEY": "sk-moonshot-1", "GATEWAY_KEY": "house-key-1"}
    asked = {endpoint.provider: endpoint for endpoint in find_configured(registry, environ).endpoints}
    keys = {name: endpoint.key.reveal() if endpoint.key else None for name, endpoint in asked.items()}
    urls = {name: endpoint.base_url for name, endpoint in asked.items()}
    assert keys == {
        "dashscope": "sk-dashscope-1",
        "openai": "sk-dashscope-1",
        "moonshot": "sk-moonshot-1",
        "vllm": None,
        "team-gateway": "house-key-1",
    }
    assert urls["moonshot"] == "https://api.moonshot.ai/v1"
    assert urls["team-gateway"] == "https://llm.example.com/v1"
    assert urls["vllm"] == "http://192.0.2.7:8000/v1"
    assert default_targets("team-gateway", registry)[1] == TargetName("team-gateway", "1.10")


def test_every_problem_of_a_config_is_reported_with_its_place() -> None:
    """A broken compare.yaml lists all its problems at once, and quotes neither keys nor passwords."""
    with pytest.raises(InvalidFile) as caught:
        load_config(CONFIGS / "broken.yaml")
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    wanted = [(4, 5), (4, 14), (5, 5), (7, 18), (8, 18), (9, 3), (12, 15), (13, 14), (15, 15), (16, 19), (17, 33)]
    assert places == wanted
    assert "Perhaps `concurrency` was meant" in str(caught.value)
    assert "0123456789" not in str(caught.value)
    assert "swordfish" not in str(caught.value)


def test_nothing_is_configured_without_keys_or_rows() -> None:
    """On a bare machine no provider is configured, local servers included, whatever optional keys are set."""
    assert find_configured(builtin(), {}).endpoints == ()
    assert find_configured(builtin(), {"VLLM_API_KEY": "token-abc123"}).endpoints == ()


GENERAL_VARIABLES = {
    "github": "GITHUB_TOKEN",
    "huggingface": "HF_TOKEN",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "cloudflare": "CLOUDFLARE_API_TOKEN",
    "databricks": "DATABRICKS_TOKEN",
    "modelscope": "MODELSCOPE_SDK_TOKEN",
    "scaleway": "SCW_SECRET_KEY",
}


def test_variables_of_other_uses_configure_no_provider() -> None:
    """A token that a machine has for other uses leaves a run, its notes and its errors as they were."""
    configured = find_configured(builtin(), dict.fromkeys(GENERAL_VARIABLES.values(), "sk-0123456789abcdef"))
    assert (configured.endpoints, configured.left_out) == ((), {})
    assert {name for name, row in builtin().rows.items() if row.only_named} == set(GENERAL_VARIABLES)


@pytest.mark.parametrize("provider", GENERAL_VARIABLES)
def test_a_provider_that_is_asked_only_if_named_has_an_endpoint(provider: str) -> None:
    """Its key is read when it is named, and a row by the user configures it."""
    environ = {GENERAL_VARIABLES[provider]: "sk-0123456789abcdef"}
    registry = rows_of(provider, base_url="https://mine.example.com/v1", models=["m"])
    key = find_endpoint(provider, registry, environ).key
    assert key is not None
    assert key.variable == GENERAL_VARIABLES[provider]
    assert [endpoint.provider for endpoint in find_configured(registry, environ).endpoints] == [provider]


def test_a_key_configures_its_provider() -> None:
    """A provider with a key is asked at its built-in base URL, without notes."""
    (endpoint,) = find_configured(builtin(), KEY).endpoints
    assert (endpoint.provider, endpoint.base_url, endpoint.notes) == ("deepseek", "https://api.deepseek.com", ())
    assert default_targets("deepseek", builtin()) == (TargetName("deepseek", "deepseek-flash"),)


def test_configured_providers_that_cannot_be_asked_are_listed() -> None:
    """A row without its key, a placeholder and a provider without default models each have their message."""
    environ = {"ZHIPUAI_API_KEY": "your-api-key", "OPENROUTER_API_KEY": "sk-or-0123456789"}
    configured = find_configured(rows_of("deepseek", concurrency=2), environ)
    assert configured.endpoints == ()
    assert {name: sentence.split(". ")[0] for name, sentence in configured.left_out.items()} == {
        "zhipu": "ZHIPUAI_API_KEY is set, but its value looks like a placeholder from an example",
        "deepseek": "DEEPSEEK_API_KEY is not set: DeepSeek cannot be asked without a key",
        "openrouter": "openrouter has no default model",
    }


def test_a_named_keyless_server_has_an_endpoint() -> None:
    """It has no key, or that of its optional variable if it is set."""
    assert find_endpoint("ollama", builtin(), {}).key is None
    assert find_endpoint("ollama", builtin(), {"OLLAMA_BASE_URL": "http://127.0.0.1:9999"}).base_url == (
        "http://127.0.0.1:9999/v1"
    )
    assert find_endpoint("vllm", builtin(), {"VLLM_API_KEY": "token-abc123"}).key is not None


def test_an_azure_endpoint_is_made_from_its_variable() -> None:
    """The resource's bare base URL gets the path of the current API; without it the variable is named."""
    environ = {"AZURE_OPENAI_API_KEY": "0123456789abcdef", "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/"}
    endpoint = find_endpoint("azure", builtin(), environ)
    assert (endpoint.base_url, endpoint.row.auth) == ("https://mine.openai.azure.com/openai/v1", "api-key")
    with pytest.raises(CompareError, match=r"Set AZURE_OPENAI_ENDPOINT, or write base_url in compare\.yaml"):
        find_endpoint("azure", builtin(), {"AZURE_OPENAI_API_KEY": "0123456789abcdef"})


@pytest.mark.parametrize(
    ("provider", "variable", "value", "url"),
    [
        (
            "cloudflare",
            "CLOUDFLARE_BASE_URL",
            "https://api.cloudflare.com/client/v4/accounts/f00/ai/v1",
            "https://api.cloudflare.com/client/v4/accounts/f00/ai/v1",
        ),
        (
            "databricks",
            "DATABRICKS_HOST",
            "https://example.cloud.databricks.com",
            "https://example.cloud.databricks.com/serving-endpoints",
        ),
        (
            "vertex",
            "VERTEX_BASE_URL",
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi/chat/completions",
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi",
        ),
        (
            "bedrock",
            "AWS_BEDROCK_BASE_URL",
            "https://bedrock-mantle.eu-west-2.api.aws/v1",
            "https://bedrock-mantle.eu-west-2.api.aws/v1",
        ),
    ],
)
def test_an_address_with_an_account_comes_from_its_variable(provider: str, variable: str, value: str, url: str) -> None:
    """It is completed as other base URLs are; without it the variable is named."""
    environ = {row_of(provider).api_key_env[0]: "0123456789abcdef"}
    assert find_endpoint(provider, builtin(), environ | {variable: value}).base_url == url
    if provider in ACCOUNTS:
        with pytest.raises(CompareError, match=rf"Set {variable}, or write base_url in compare\.yaml"):
            find_endpoint(provider, builtin(), environ)


def test_the_endpoints_of_bedrock_are_regions() -> None:
    """A region names the endpoint and the place."""
    environ = {"AWS_BEARER_TOKEN_BEDROCK": "0123456789abcdef"}
    mantle = find_endpoint("bedrock", rows_of("bedrock", region="mantle-us-west-2"), environ)
    assert (mantle.base_url, mantle.notes) == ("https://bedrock-mantle.us-west-2.api.aws/v1", ())


@pytest.mark.parametrize(("target", "ended"), [("perplexity/sonar", "2026-09-27"), ("github/openai/x", "2026-07-30")])
def test_a_service_that_ended_says_so(target: str, ended: str) -> None:
    """Any model of it is sent as it is written, with a note that has the day."""
    name = parse_target(target, builtin())
    assert ended in (retirement(row_of(name.provider), name.model) or "")


def test_a_key_for_another_host_has_a_note() -> None:
    """If a row or variable changes the base URL, a note has the host, and a warning if it is plain http."""
    moved = find_endpoint("deepseek", rows_of("deepseek", base_url="http://proxy.example.com/v1"), KEY)
    assert moved.notes == (
        "deepseek: the key from DEEPSEEK_API_KEY goes to proxy.example.com, not to the built-in address.",
        "deepseek: the key from DEEPSEEK_API_KEY travels unencrypted to proxy.example.com.",
    )
    assert "sk-0123456789" not in repr(moved)
    added = rows_of("acme", base_url="https://llm.example.com", api_key_env="DEEPSEEK_API_KEY")
    assert find_endpoint("acme", added, KEY).notes == ("acme: the key from DEEPSEEK_API_KEY goes to llm.example.com.",)


def test_an_unknown_region_is_refused_with_a_suggestion() -> None:
    """A mistyped region names the nearest; the base URL of a variable is parsed like a row's."""
    with pytest.raises(CompareError, match=r"dashscope has no region 'intel'\. Did you mean intl\?"):
        find_endpoint("dashscope", rows_of("dashscope", region="intel"), {})
    with pytest.raises(CompareError, match=r"deepseek, by DEEPSEEK_API_BASE: the base URL does not start with"):
        find_endpoint("deepseek", builtin(), KEY | {"DEEPSEEK_API_BASE": "localhost:1"})
    with pytest.raises(MissingKey):
        find_endpoint("deepseek", builtin(), {})


MESSAGES_AT = {
    "deepseek": "https://api.deepseek.com/anthropic/v1",
    "zhipu": "https://open.bigmodel.cn/api/anthropic/v1",
    "zai": "https://api.z.ai/api/anthropic/v1",
    "moonshot": "https://api.moonshot.cn/anthropic/v1",
    "minimax": "https://api.minimaxi.com/anthropic/v1",
    "dashscope": "https://dashscope.aliyuncs.com/apps/anthropic/v1",
    "qianfan": "https://qianfan.baidubce.com/anthropic/v1",
}


@pytest.mark.parametrize("provider", MESSAGES_AT)
def test_an_api_may_have_a_path_of_its_own_on_the_same_host(provider: str) -> None:
    """Its region's host is kept; the other APIs are asked at the base URL."""
    (variable, *_) = row_of(provider).api_key_env
    endpoint = find_endpoint(provider, builtin(), {variable: "0123456789abcdef"})
    assert endpoint.url_of("messages") == MESSAGES_AT[provider]
    assert endpoint.url_of("chat_completions") == endpoint.url_of("responses") == endpoint.base_url
    for region, url in row_of(provider).regions.items():
        abroad = find_endpoint(provider, rows_of(provider, region=region), {variable: "0123456789abcdef"})
        assert urlsplit(abroad.url_of("messages")).netloc == urlsplit(url).netloc
        assert abroad.url_of("messages").endswith(row_of(provider).api_paths["messages"])


def test_another_host_takes_every_api_at_its_base_url_unless_paths_stand_beside_it() -> None:
    """A gateway, by a row or by a variable, has not the vendor's paths; nor has what answers in place of a provider."""
    gateway, path = "https://gateway.example.com/v1", {"messages": "/claude/v1"}
    moved = find_endpoint("deepseek", rows_of("deepseek", base_url=gateway), KEY)
    assert moved.url_of("messages") == gateway
    own = find_endpoint("deepseek", rows_of("deepseek", base_url=gateway, api_paths=path), KEY)
    assert own.url_of("messages") == "https://gateway.example.com/claude/v1"
    by_variable = find_endpoint("deepseek", builtin(), KEY | {"DEEPSEEK_BASE_URL": gateway})
    assert by_variable.url_of("messages") == gateway
    for same in (
        find_endpoint("deepseek", rows_of("deepseek", base_url="https://api.deepseek.com/v1"), KEY),
        find_endpoint("deepseek", builtin(), KEY | {"DEEPSEEK_BASE_URL": "https://api.deepseek.com/beta"}),
    ):
        assert same.url_of("messages") == "https://api.deepseek.com/anthropic/v1"
    assert own.moved_to("http://127.0.0.1:1/v1").url_of("messages") == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    "path", ["", "/", "v1", "//evil.example/v1", "https://evil.example/v1", "/a/../b", "/a?b", "/a#b", "/a b", "/a@b"]
)
def test_a_path_of_an_api_leads_to_no_other_host(path: str) -> None:
    """What is not plainly a path is refused, so that no key can leave by it."""
    with pytest.raises(ValidationError, match="this is no path on the provider's own host"):
        Row(api_paths={"messages": path})


@pytest.mark.parametrize("api", ["chat_completions", "responses", "messages"])
@pytest.mark.parametrize(
    ("provider", "field", "pinned"),
    [
        ("openrouter", "provider", {"only": ["fireworks"], "allow_fallbacks": False}),
        ("vercel", "providerOptions", {"gateway": {"only": ["fireworks"]}}),
    ],
)
def test_a_router_is_told_the_vendor_in_its_own_terms(
    provider: str, field: str, pinned: dict[str, object], api: Api
) -> None:
    """Beside what `extra_body` sets there, in every API, and only where a route is named; the model keeps its name."""
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


def test_the_form_of_the_reply_is_sent_as_it_is() -> None:
    """`response_format` is a field of the body, which `extra_body` overrides."""
    form = {"type": "json_object"}
    assert request_body(row_of("openai"), "m", Parameters(response_format=form))[0]["response_format"] == form
    both = Parameters(response_format=form, extra_body={"response_format": {"type": "text"}})
    assert request_body(row_of("openai"), "m", both)[0]["response_format"] == {"type": "text"}


def test_the_form_of_the_reply_is_the_format_of_the_text_in_the_responses_api() -> None:
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
    """Fields that a suite gives for a target override every translated one."""
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


def expected_table() -> str:
    """Return the table of docs/providers.md of the built-in rows."""
    lines = ["| provider | also called | base URL | key's variable | default models |", "|---|---|---|---|---|"]
    for name, row in builtin().rows.items():
        urls = [row.base_url or f"from `{row.base_url_env[0]}`", *(f"{k}: {v}" for k, v in row.regions.items())]
        keys = [f"`{variable}`" for variable in row.api_key_env]
        cells = [
            f"`{name}`",
            ", ".join(row.aliases),
            "<br>".join(urls),
            ", ".join(keys) + (" (optional)" if row.keyless else ""),
            ", ".join(f"`{model}`" for model in row.models),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def expected_doubts() -> str:
    """Return the list of unconfirmed facts of the built-in rows."""
    return "\n".join(f"- `{name}`: {doubt}" for name, row in builtin().rows.items() for doubt in row.unconfirmed)


def expected_sources() -> str:
    """Return the list of the pages that the built-in rows were written from."""
    return "\n".join(
        f"- `{name}`, {row.as_of}: {' '.join(f'<{page}>' for page in row.sources)}"
        for name, row in builtin().rows.items()
        if row.sources
    )


def expected_fields() -> str:
    """Return the list of a row's keys as its model describes them."""
    return "\n".join(f"- `{name}`: {field.description}" for name, field in Row.model_fields.items())


@pytest.mark.parametrize("part", [expected_table, expected_doubts, expected_sources, expected_fields])
def test_the_providers_page_matches_the_rows(part: Callable[[], str]) -> None:
    """docs/providers.md has the table, the unconfirmed assumptions, the sources and the keys as the code has them."""
    assert part() in PAGE.read_text(encoding="utf-8")


def test_documented_configs_load(tmp_path: Path) -> None:
    """Every YAML block of docs/providers.md is a compare.yaml that loads."""
    blocks = [block.split("```")[0] for block in PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]]
    for block in blocks:
        path = tmp_path / CONFIG_NAME
        path.write_text(block, encoding="utf-8")
        assert load_config(path)
    assert blocks


def test_rows_survive_json() -> None:
    """Rows written as JSON are the same when they are read again."""
    adapter = TypeAdapter(Rows)
    rows = dict(builtin().rows)
    assert adapter.validate_json(adapter.dump_json(rows)) == rows
