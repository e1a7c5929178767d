"""`compare doctor` reports what a run depends on, shows no key, and connects only to the providers it names."""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.commands.doctor import EXTRAS
from tests.conftest import RunCli
from tests.support.command import finish, start, write_config
from tests.support.scripted_server import json_reply, serve

KEY = "sk-doctor-must-not-tell-0123456789"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `compare simulate` on a free port; return its address."""
    process = start(tmp_path_factory.mktemp("served"), "simulate", "--port", "0")
    assert process.stdout is not None
    yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
    process.terminate()
    finish(process)


def findings_of(run_cli: RunCli, *arguments: str, env: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the findings of the doctor by topic, the last one of each."""
    told = run_cli("doctor", "--json", *arguments, env=env)
    assert KEY not in told.stdout + told.stderr
    return {finding["topic"]: finding for finding in json.loads(told.stdout)}


def test_doctor_without_keys_notes_the_simulator_and_exits_with_0(run_cli: RunCli) -> None:
    """A missing configuration is a note with a hint, not a failure; versions and certificates are named."""
    told = run_cli("doctor")

    assert told.returncode == 0
    assert f"Python {sys.version.split()[0]}" in told.stdout
    assert "authorities loaded" in told.stdout
    assert "the simulator will answer" in told.stdout
    assert "compare calibrate" in told.stdout


def test_doctor_in_ci_does_not_announce_the_simulator(run_cli: RunCli) -> None:
    """In CI a run without a key ends with exit code 4; the simulator is used only if it is named."""
    found = findings_of(run_cli, env={"CI": "true"})["providers"]["text"]
    assert found == "none is configured: `compare run` ends with exit code 4"


def test_the_key_variable_and_the_proxy_of_each_provider_are_named(run_cli: RunCli) -> None:
    """The variables of keys and proxies are shown by name, never by value."""
    env = {"BIGMODEL_API_KEY": KEY, "HTTPS_PROXY": "http://user:secret@proxy.example:3128"}
    found = findings_of(run_cli, env=env)

    assert "key from BIGMODEL_API_KEY" in found["zhipu"]["text"]
    assert "proxy of HTTPS_PROXY" in found["zhipu"]["text"]
    assert "secret" not in json.dumps(found)


def test_a_proxy_that_cannot_be_used_is_a_problem(run_cli: RunCli) -> None:
    """A proxy of an unknown kind ends in exit code 1."""
    told = run_cli("doctor", env={"DEEPSEEK_API_KEY": KEY, "HTTPS_PROXY": "gopher://proxy.example"})

    assert told.returncode == 1
    assert "PROBLEM deepseek: HTTPS_PROXY must name" in told.stdout


def test_broken_files_do_not_stop_the_other_checks(run_cli: RunCli, tmp_path: Path) -> None:
    """Each broken file is a finding with its place and remedy."""
    (tmp_path / ".env").write_text('A="open\n')
    (tmp_path / "compare.yaml").write_text("providers:\n  mine: 5\nprises: {}\n")
    told = run_cli("doctor", "--json", env={"DEEPSEEK_API_KEY": KEY})
    assert (told.returncode, told.stderr) == (1, "")
    found = {finding["topic"]: finding for finding in json.loads(told.stdout)}
    assert {"version", "certificates", "clock", "deepseek"} <= found.keys()
    for topic, place in ((".env", ".env:1:1: this is not NAME=value"), ("compare.yaml", "compare.yaml:2:")):
        assert found[topic]["health"] == "problem"
        assert place in found[topic]["text"]
        assert "nothing was sent" not in found[topic]["text"]
        assert found[topic]["remedy"].startswith("correct it")
    assert "compare.yaml:3:1: " in found["compare.yaml"]["text"]


def test_a_ping_shows_the_phases_of_a_connection(run_cli: RunCli, simulator: str, tmp_path: Path) -> None:
    """A provider that answers is shown with the phases of its connection and the number of its models."""
    write_config(tmp_path, mine={"base_url": simulator, "keyless": True, "models": ["quick"]})
    found = findings_of(run_cli, "--ping")

    assert found["mine"]["health"] == "ok"
    assert "TCP " in found["mine"]["text"]
    assert "models" in found["mine"]["text"]


def test_a_ping_without_an_answer_is_a_problem(run_cli: RunCli, tmp_path: Path) -> None:
    """A refused connection is described as in a run, with exit code 1."""
    write_config(tmp_path, mine={"base_url": "http://127.0.0.1:9/v1", "keyless": True, "models": ["m"]})
    told = run_cli("doctor", "--ping")

    assert told.returncode == 1
    assert "PROBLEM mine: no connection could be opened" in told.stdout


def test_a_ping_shows_the_rate_limits_that_it_gets(run_cli: RunCli, tmp_path: Path) -> None:
    """The rate-limit headers of GET /models are shown as they were sent, without the key."""
    limited = json_reply("200 OK", {"data": [{"id": "m"}]}, x_ratelimit_remaining_requests="59", x_ratelimit_reset=KEY)
    with serve(limited) as server:
        write_config(tmp_path, mine={"base_url": server.url, "api_key_env": "MINE_KEY", "models": ["m"]})
        text = findings_of(run_cli, "--ping", env={"MINE_KEY": KEY})["mine"]["text"]
    assert "limits: x-ratelimit-remaining-requests 59, x-ratelimit-reset " in text


def test_a_ping_notes_a_model_that_is_not_listed(run_cli: RunCli, tmp_path: Path) -> None:
    """If the provider's default model is not in GET /models, another one may answer in its place."""
    listed = json_reply("200 OK", {"data": [{"id": "m-1"}]})
    with serve(listed) as server:
        for models, health in ((["m-1"], "ok"), (["M-1", "m-2"], "note")):
            write_config(tmp_path, mine={"base_url": server.url, "keyless": True, "models": models})
            found = findings_of(run_cli, "--ping")["mine"]
            assert found["health"] == health
            assert ("m-2" in found["text"]) is (health == "note")


def test_every_extra_is_looked_for() -> None:
    """Those of pyproject.toml, each by a distribution that it installs."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    declared = pyproject["project"]["optional-dependencies"]
    assert {extra: [needs.partition(">")[0] for needs in declared[extra]] for extra in declared} == {
        extra: [package] for extra, package in EXTRAS.items()
    }
