"""Model families: distinguish a silently replaced model from a more precise name of the same one."""

import pytest

from runner.core.events import Outcome
from runner.core.model_family import NOISE, TIERS, _words, family_of, is_other_model
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-x", "gpt-x-2026-01-01"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
        ("chatgpt-4o-latest", "gpt-4o-2024-11-20"),
        ("claude-sonnet-4", "claude-sonnet-4-20250514"),
        ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet-20241022"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("gemini-2.5-pro", "models/gemini-2.5-pro-preview-05-06"),
        ("gemini-flash-latest", "gemini-2.5-flash"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("deepseek-chat", "deepseek-v3.2"),
        ("deepseek-reasoner", "deepseek-r1"),
        ("deepseek/deepseek-chat-v3.1:free", "deepseek/deepseek-chat-v3.1"),
        ("kimi-latest", "kimi-k2-0905"),
        ("qwen3", "Qwen3-8B"),
        ("GLM-4.5", "glm-4.5"),
        ("meta-llama/Llama-3.3-70B-Instruct", "Llama-3.3-70B-Instruct-FP8"),
        ("openrouter/auto", "openai/gpt-4o"),
        ("ep-20260101-abcde", "doubao-seed-1-6"),
        ("llama-3.3-8b-int4", "llama-3.3-8b-int8"),
        ("o3-mini-medium", "o3-mini"),
        ("openai/gpt-5-medium", "gpt-5-2025-08-07"),
        ("mistral-medium-latest", "mistral-medium-2508"),
        ("gpt-4o", None),
    ],
)
def test_aliases_dates_and_prefixes_are_the_same_model(asked: str, answered: str | None) -> None:
    """A dated name, an alias, a provider's prefix or a weight format does not make it another model."""
    assert not is_other_model("acme", asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-5", "gpt-4o-mini"),
        ("gpt-4", "gpt-4.1"),
        ("gpt-4o", "deepseek-chat"),
        ("claude-opus-4-5", "claude-haiku-4-5"),
        ("claude-sonnet-4", "claude-sonnet-4.5"),
        ("llama-3.3-70b", "llama-3.1-8b"),
        ("qwen3-32b", "qwen3-8b"),
        ("deepseek-r1", "deepseek-r1-distill-qwen-7b"),
        ("kimi-k2-thinking", "kimi-k2"),
        ("o3", "o4-mini"),
        ("mistral-medium-3", "mistral-3"),
        ("mistral-3", "mistral-medium-3"),
        ("phi-3-medium", "phi-3"),
    ],
)
def test_another_size_version_or_vendor_is_another_model(asked: str, answered: str) -> None:
    """A row is flagged if its reply names a model outside the family of the requested one."""
    assert is_other_model("acme", asked, answered)
    record = Record(Identity("k", "c", 1, 1, 1, "acme", asked, "hi"), Timestamps(), Outcome.OK, response_model=answered)
    assert "other_model" in record.flags


def test_names_of_deployments_and_local_models_are_not_flagged() -> None:
    """Azure's deployments and a local server's models are named by their users."""
    assert not is_other_model("azure", "my-deployment", "gpt-4o-2024-08-06")
    assert not is_other_model("ollama", "assistant-7", "llama3.1:8b")
    assert not is_other_model("Azure-EU", "deployment-7", "gpt-4o-2024-08-06")
    assert not is_other_model("ollama2", "assistant-7", "llama3.1:8b")


@pytest.mark.parametrize("provider", ["simplismart", "localai-prod", "azurewave"])
def test_a_provider_whose_id_only_begins_alike_names_models_itself(provider: str) -> None:
    """Only a whole word of the id makes it a server whose user chooses names."""
    assert is_other_model(provider, "gpt-4o", "deepseek-chat")


@pytest.mark.parametrize("word", sorted(NOISE))
def test_a_word_of_noise_does_not_distinguish_models(word: str) -> None:
    """Each can be a word of a name, and none names a tier."""
    assert not is_other_model("acme", "acme-9b", f"acme-9b-{word}")
    assert _words(f"acme-9b-{word}") == _words("acme-9b")
    assert word not in TIERS


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-5.2", "gpt"),
        ("openai/o4-mini", "gpt"),
        ("chatgpt-4o-latest", "gpt"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude"),
        ("anthropic/claude-haiku-4.5", "claude"),
        ("Qwen/Qwen3-235B-A22B", "qwen"),
        ("qwq-plus", "qwen"),
        ("glm-5.3", "glm"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama"),
        ("models/gemini-3-pro", "gemini"),
        ("kimi-k3", "kimi"),
        ("openrouter/auto", None),
        ("ep-20260101-abcde", None),
        ("7b", None),
    ],
)
def test_the_family_of_a_model_follows_from_its_name(model: str, family: str | None) -> None:
    """A router's path, a version and a size do not matter; an ambiguous name has no family."""
    assert family_of(model) == family
