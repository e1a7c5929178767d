"""Secrets: no file and no output holds a key, whatever a server echoes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.providers.redaction import MARK
from tests.support.certificate import make_certificate, server_context
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.echoed_keys import (
    ABSENT_FROM_RECORDS,
    ECHOES,
    VARIABLE,
    echoing,
    echoing_servers,
    is_in,
    make_key,
)
from tests.support.scripted_server import ScriptedServer, event_stream, serve

LOUDEST = {"OPENAI_LOG": "debug", "PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"}


def found(folder: Path, printed: str, key: str) -> list[str]:
    """Return the places at which a key was written or printed, in any encoding."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".env"]
    written = {str(path): path.read_bytes().decode("utf-8", "replace") for path in files}
    lines = {line[:200]: line for line in printed.splitlines()}
    return [place for place, text in {**written, **lines}.items() if is_in(text, key)]


@pytest.fixture(params=["sk-", pytest.param("plain-", marks=pytest.mark.thorough)])
def key(request: pytest.FixtureRequest) -> str:
    """Return a key with a known form, and one that is recognised by its value only."""
    return make_key(request.param)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, ScriptedServer]]:
    """Run all echoing servers, and one with an untrusted certificate, and write their compare.yaml."""
    with (
        serve(event_stream(), server_context(make_certificate(tmp_path))) as untrusted,
        echoing_servers(tmp_path, untrusted=untrusted.url) as servers,
    ):
        yield servers


def test_no_file_and_no_stream_holds_a_key(tmp_path: Path, servers: dict[str, ScriptedServer], key: str) -> None:
    """For every way in which a server echoes a key, no file and no output has it in any form."""
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "echo", "cases": [{"id": "one", "turns": ["Hi", "And?"]}]})
    further = [word for suffix in ("csv", "md", "json", "jsonl", "html") for word in ("-o", f"more.{suffix}")]
    done = compare(
        tmp_path, "run", "s.yaml", "-o", "out", *further, "--progress", "plain", variables={**LOUDEST, VARIABLE: key}
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 3, printed
    assert "Traceback" not in printed
    assert "HTTP Request" in printed, "the loudest is not loud enough"
    assert found(tmp_path, printed, key) == []
    received = {name: server.requests[0].headers["authorization"] for name, server in servers.items()}
    assert received == dict.fromkeys(ECHOES, f"Bearer {key}")
    lines = {line["provider"]: str(line) for line in read_lines(tmp_path / "out", "record") if line["turn"] == 1}
    assert lines.keys() == {*ECHOES, "untrusted"}
    assert {name for name in ECHOES if MARK in lines[name]} == ECHOES.keys() - ABSENT_FROM_RECORDS
    assert len(read_rows(tmp_path / "out")) == 2 * len(lines)


def test_ask_and_json_output_hold_no_key(tmp_path: Path, servers: dict[str, ScriptedServer], key: str) -> None:
    """Replies printed by `ask` and `--json` are redacted like files; a key in a .env file is a key."""
    (tmp_path / ".env").write_text(f"{VARIABLE}={key}\n")
    done = compare(tmp_path, "ask", "Hi", "--json", "-p", "spoken", "-p", "refused", "-p", "limited", variables=LOUDEST)
    printed = done.stdout + done.stderr
    assert done.returncode == 3, printed
    assert printed.count(MARK) > 4
    assert len(servers["spoken"].requests) == 1
    assert found(tmp_path, printed, key) == []


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        *((name, {}) for name in ("refused", "headed", "paged", "led-on", "no-http")),
        ("headed", LOUDEST),
        *(
            pytest.param(name, LOUDEST, marks=pytest.mark.thorough)
            for name in ("refused", "paged", "led-on", "no-http")
        ),
    ],
)
def test_a_refused_list_of_models_holds_no_key(tmp_path: Path, name: str, variables: dict[str, str]) -> None:
    """`compare providers --models` shows the endpoint's message without the key."""
    key = make_key("plain-")
    with echoing(name) as server:
        write_config(tmp_path, acme={"base_url": server.url, "api_key_env": VARIABLE})
        done = compare(tmp_path, "providers", "--models", "acme", variables={**variables, VARIABLE: key})
        assert len(server.requests) >= 1
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert found(tmp_path, done.stdout + done.stderr, key) == []


CRASH = """
from runner.engine.attempt_runners import LocalAttemptRunner
from runner.cli import main

def break_down(runner, attempt):
    key = runner.client._endpoint.key.reveal()
    try:
        raise KeyError({"authorization": f"Bearer {key}"})
    except KeyError as error:
        raise RuntimeError("a bug, with " + key) from error

LocalAttemptRunner.provenance_of = break_down
main()
"""


@pytest.mark.parametrize(
    ("prefix", "in_file"),
    [
        ("sk-", False),
        pytest.param("plain-", False, marks=pytest.mark.thorough),
        pytest.param("sk-", True, marks=pytest.mark.thorough),
        ("plain-", True),
    ],
    ids=["environment", "plain-environment", "env-file", "plain-env-file"],
)
def test_a_traceback_holds_no_key(tmp_path: Path, prefix: str, *, in_file: bool) -> None:
    """It is complete, including its causes, with each key hidden."""
    key = make_key(prefix)
    write_config(tmp_path, acme={"base_url": "http://127.0.0.1:9/v1", "api_key_env": VARIABLE, "models": ["m"]})
    if in_file:
        (tmp_path / ".env").write_text(f"{VARIABLE}={key}\n")
    variables = LOUDEST if in_file else {**LOUDEST, VARIABLE: key}
    done = compare(tmp_path, "ask", "Hi", "-o", "out", program=("-c", CRASH), variables=variables)
    printed = done.stdout + done.stderr
    assert done.returncode not in (0, 2, 3, 4)
    assert "a bug, with" in printed
    assert "KeyError" in printed
    assert found(tmp_path, printed, key) == []
