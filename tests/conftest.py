"""Fixtures and options of all tests: an environment and a folder of their own, the command, and `--thorough`."""

import gc
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from subprocess import PIPE
from typing import IO

import pytest
from hypothesis import settings

from runner.simulator import child_process
from tests.support import command
from tests.support.forked_process import start_forked
from tests.support.selection import choose_thorough

FOREIGN = (
    "*_API_BASE",
    "*_API_KEY",
    "*_BASE_URL",
    "*_ENDPOINT",
    "*_PROXY",
    "CI",
    "CLICOLOR*",
    "COLUMNS",
    "COMPARE*",
    "FORCE_COLOR",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_MESSAGES",
    "LINES",
    "NO_COLOR",
    "OLLAMA_*",
    "OPENAI_*",
    "PYTHONWARNINGS",
    "SSL_CERT_*",
    "TERM",
    "TTY_*",
)
"""Variables that steer the tool or a library of it: no test depends on what a developer has set."""

gc.disable()  # until the tests are collected: searching all imported objects for garbage takes a third of that time

RunCli = Callable[..., subprocess.CompletedProcess[str]]

settings.register_profile("local", deadline=None, max_examples=10)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `.ci/run`, which has more time than a developer."""
    parser.addoption(
        "--thorough",
        action="store_true",
        help="only the tests that then do more: properties get more examples, every `compare` a process of its own, "
        "documents run their commands in full, and those marked `thorough` take a quarter of a minute each",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Apply the option."""
    command.always_start = config.getoption("--thorough")
    if command.always_start:
        settings.load_profile("ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests marked `thorough` unless `-m` names them; with the option, those that it does not change."""
    if config.getoption("--thorough"):
        chosen = choose_thorough(items)
    elif "thorough" in config.option.markexpr:
        return
    else:
        chosen = [item for item in items if item.get_closest_marker("thorough") is None]
    kept = {item.nodeid for item in chosen}
    left_out = [item for item in items if item.nodeid not in kept]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen


def pytest_collection_finish() -> None:
    """Collect garbage from here on, rarely, and without searching imported objects."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    """Run without the keys, proxies and colours of the developer."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if any(fnmatchcase(name.upper(), pattern) for pattern in FOREIGN):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True, scope="session")
def _forked_simulators() -> Iterator[None]:
    """Fork the simulators of runs, with fast personas: an interpreter for each takes longer than most of the runs."""
    start = child_process._start

    def fork_or_start(arguments: list[str], stderr: IO[str]) -> subprocess.Popen[str]:
        if not command.can_fork():
            return start(arguments, stderr)
        streams = {"stdin": PIPE, "stdout": PIPE, "stderr": stderr}
        return start_forked(
            "tests.support.fast_simulator", arguments, child_process._environment(), **streams, text=True
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child_process, "_start", fork_or_start)
        yield


@pytest.fixture(autouse=True, scope="session")
def _counted_frozen_objects() -> Iterator[None]:
    """Count the frozen objects once: each run asks for their number, and Python takes 70 ms to count those of here."""
    frozen = gc.get_freeze_count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "get_freeze_count", lambda: frozen)
        yield


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start each test in an empty folder, with no compare.yaml, .env or results of another."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run asynchronous tests on uvloop, as the command runs; a module may override it to test other loops."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Return a function that runs `compare` in the folder and the environment of the test."""

    def run(
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str = "",  # noqa: A002 -- as subprocess.run calls it
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(command.ROOT), "PYTHONIOENCODING": "utf-8", **(env or {})}
        return command.call([*map(str, arguments)], cwd or Path.cwd(), environment, input)

    return run
