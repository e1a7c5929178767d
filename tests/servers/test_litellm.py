"""LiteLLM's proxy in front of the simulator: an independent server of Responses and Messages."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from runner.simulator.child_process import launch_sync
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.scripted_server import unused_port

pytestmark = pytest.mark.litellm

START_S = 120
KEY = "sk-of-the-tests"
UPSTREAMS = {
    "passed-on": ("openai/sim/thinker", "/v1"),
    "from-chat-completions": ("groq/sim/thinker", "/v1"),
    "from-messages": ("anthropic/sim/thinker", ""),
}
"""Model of the proxy -> the model and the path that it asks the simulator at; it rewrites the replies."""

PAIRS = [(api, model) for api in ("responses", "messages") for model in UPSTREAMS]
WITHOUT_REASONING = {("messages", "passed-on")}
"""Where the proxy leaves the reasoning out, as of version 1.108.7."""

CASE = {"id": "talk", "turns": ["My name is Ada.", "What is my name?"]}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the proxy, by the command that LITELLM names, before the simulator; yield its base URL."""
    folder, port = tmp_path_factory.mktemp("litellm"), unused_port()
    command = os.environ.get("LITELLM") or shutil.which("litellm")
    assert command, "LiteLLM's proxy is not here: LITELLM names its command"
    with launch_sync() as url:
        root = url.removesuffix("/v1")
        models = [
            {"model_name": name, "litellm_params": {"model": model, "api_base": root + path, "api_key": "none"}}
            for name, (model, path) in UPSTREAMS.items()
        ]
        write_yaml(folder / "config.yaml", {"model_list": models})
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LITELLM_MASTER_KEY": KEY}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [command, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env={**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end_s = monotonic() + START_S
    while monotonic() < end_s and process.poll() is None:
        with suppress(URLError, OSError), urlopen(url, timeout=5):
            return
        sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


@pytest.fixture(scope="module")
def asked(proxy: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ask each model of the proxy in each dialect; return the run's folder."""
    folder = tmp_path_factory.mktemp("run")
    rows: dict[str, dict[str, Any]] = {
        f"by-{api}": {"base_url": proxy, "api": api, "api_key_env": "PROXY_KEY", "models": list(UPSTREAMS)}
        for api in ("responses", "messages")
    }
    write_config(folder, **rows)
    suite = {"version": 1, "defaults": {"max_tokens": 2000}, "targets": list(rows), "cases": [CASE]}
    write_yaml(folder / "suite.yaml", suite)
    done = compare(folder, "run", "suite.yaml", "--record", "-o", "out", variables={"PROXY_KEY": KEY})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def rows_of(asked: Path, api: str, model: str) -> list[dict[str, str]]:
    """Return the rows of one model in one dialect, turn by turn."""
    rows = [row for row in read_rows(asked / "out") if (row["provider"], row["model"]) == (f"by-{api}", model)]
    return sorted(rows, key=lambda row: row["turn"])


@pytest.mark.parametrize(("api", "model"), PAIRS)
def test_the_same_words_and_counts_come_through_the_proxy(asked: Path, api: str, model: str) -> None:
    """Reply, reasoning and counts are the simulator's, although the proxy rewrites the events."""
    rows, usual = rows_of(asked, api, model), rows_of(asked, *PAIRS[0])
    assert [row["outcome"] for row in rows] == ["ok", "ok"]
    assert rows[1]["reply"] == "Your name is Ada.", "the history came through, too"
    same = ["reply", "input_tokens", "output_tokens"]
    if (api, model) not in WITHOUT_REASONING:
        same.append("reasoning")
        assert all(row["chunks"] == row["output_tokens"] for row in rows), "each token is a chunk"
        assert all(row["ttft_s"] <= row["ttfa_s"] <= row["total_s"] for row in rows)
        assert rows[1]["ttft_s"] < rows[1]["ttfa_s"], "the first may come at once, after the proxy has loaded an API"
    assert [[row[name] for name in same] for row in rows] == [[row[name] for name in same] for row in usual]
    assert all(row["request_id"] for row in rows)


def test_whole_reasoning_that_the_proxy_calls_a_summary_is_none(asked: Path) -> None:
    """It sends the reasoning of other APIs in summary events; the token counts show that it is whole."""
    for row in rows_of(asked, "responses", "from-chat-completions"):
        assert "reasoning_summary" in row["flags"]
        assert "summarised_reasoning" not in row["flags"]
        assert row["reasoning_tokens"]


def test_recordings_of_the_proxy_are_decoded_again(asked: Path) -> None:
    """They give the same rows."""
    done = compare(asked, "rederive", "out", "-o", "again")
    assert done.returncode == 0, done.stderr
    assert f"unchanged: {len(read_lines(asked / 'out', 'record'))}" in done.stdout + done.stderr
