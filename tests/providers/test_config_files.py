"""A compare.yaml is found, and read strictly."""

from pathlib import Path

import pytest

from runner.core.target_name import TargetName
from runner.errors import InvalidFile
from runner.providers.config_files import CONFIG_NAME, find_config, load_config
from runner.providers.endpoint import find_configured
from runner.providers.registry import builtin, default_targets

CONFIGS = Path(__file__).parents[1] / "samples" / "config"


def test_the_nearest_config_is_found(tmp_path: Path) -> None:
    """compare.yaml beside the suite precedes one in a parent folder; without any the result is None."""
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
    assert "Did you mean `concurrency`?" in str(caught.value)
    assert "0123456789" not in str(caught.value)
    assert "swordfish" not in str(caught.value)
