"""The base URL and the key of a provider, and which providers are configured."""

from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from runner.core.target_name import TargetName
from runner.errors import CompareError, MissingKey
from runner.providers.endpoint import find_configured, find_endpoint
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import builtin, default_targets, parse_target
from runner.providers.request_body import retirement
from tests.support.provider_rows import row_of, rows_of

ACCOUNTS = ("azure", "cloudflare", "databricks", "vertex")
"""Providers whose address contains the user's account."""
KEY = {"DEEPSEEK_API_KEY": "sk-0123456789abcdef"}


def test_nothing_is_configured_without_keys_or_rows() -> None:
    """On a bare machine no provider is configured, not even a local server, regardless of optional keys."""
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
    """A token for another use does not change a run, its notes and its errors."""
    configured = find_configured(builtin(), dict.fromkeys(GENERAL_VARIABLES.values(), "sk-0123456789abcdef"))
    assert (configured.endpoints, configured.left_out) == ((), {})
    assert {name for name, row in builtin().rows.items() if row.only_named} == set(GENERAL_VARIABLES)


@pytest.mark.parametrize("provider", GENERAL_VARIABLES)
def test_a_provider_that_is_asked_only_if_named_has_an_endpoint(provider: str) -> None:
    """Its key is read when it is named, and a row of the user configures it."""
    environ = {GENERAL_VARIABLES[provider]: "sk-0123456789abcdef"}
    registry = rows_of(provider, base_url="https://mine.example.com/v1", models=["m"])
    key = find_endpoint(provider, registry, environ).key
    assert key is not None
    assert key.variable == GENERAL_VARIABLES[provider]
    assert [endpoint.provider for endpoint in find_configured(registry, environ).endpoints] == [provider]


def test_a_key_configures_its_provider() -> None:
    """The provider is used at its built-in base URL, without notes."""
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
    """It is completed like other base URLs; without the variable, its name is in the message."""
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
def test_an_ended_service_has_a_note_with_the_date(target: str, ended: str) -> None:
    """Any model of it is sent unchanged."""
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
    with pytest.raises(CompareError, match=r"dashscope has no region 'intel'\. Did you mean `intl`\?"):
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
    """The host of the region is kept; other APIs use the base URL."""
    (variable, *_) = row_of(provider).api_key_env
    endpoint = find_endpoint(provider, builtin(), {variable: "0123456789abcdef"})
    assert endpoint.url_of("messages") == MESSAGES_AT[provider]
    assert endpoint.url_of("chat_completions") == endpoint.url_of("responses") == endpoint.base_url
    for region, url in row_of(provider).regions.items():
        abroad = find_endpoint(provider, rows_of(provider, region=region), {variable: "0123456789abcdef"})
        assert urlsplit(abroad.url_of("messages")).netloc == urlsplit(url).netloc
        assert abroad.url_of("messages").endswith(row_of(provider).api_paths["messages"])


def test_another_host_takes_every_api_at_its_base_url_unless_paths_stand_beside_it() -> None:
    """A gateway, set by a row or a variable, has not the vendor's paths; neither has a replay server."""
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
    """Anything but a plain path is refused, so that no key can be sent elsewhere."""
    with pytest.raises(ValidationError, match="this is no path on the provider's own host"):
        ProviderRow(api_paths={"messages": path})
