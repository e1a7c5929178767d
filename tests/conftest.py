"""What every test can rely on: an environment and a folder of its own, and the command as a real process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).parents[1]

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
    "LINES",
    "NO_COLOR",
    "OLLAMA_*",
    "OPENAI_*",
    "PYTHONWARNINGS",
    "SSL_CERT_*",
    "TERM",
    "TTY_*",
)
"""Variables that steer the tool or a library of it: what a developer has set decides no test."""

RunCli = Callable[..., subprocess.CompletedProcess[str]]

settings.register_profile("local", deadline=None)
settings.register_profile("continuous", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("continuous" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    """Run without the keys, proxies and colours of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if any(fnmatchcase(name.upper(), pattern) for pattern in FOREIGN):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start each test in an empty folder, with no compare.yaml, .env or results of another."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Return a function that runs `compare` with its arguments, in a process where warnings are errors."""

    def run(
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str = "",  # noqa: A002 -- as subprocess.run calls it
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "runner", *map(str, args)],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8", **(env or {})},
            cwd=cwd,
            input=input,
            timeout=timeout,
            capture_output=True,
            check=False,
            encoding="utf-8",
        )

    return run
