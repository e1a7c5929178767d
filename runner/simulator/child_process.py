"""The simulator as a child process that cannot outlive its parent.

The child ends when its standard input is closed: by the parent, or by the system if the parent was killed.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import anyio.to_thread

import runner.simulator
from runner.errors import CompareError

START_LIMIT_S = 20.0

PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR")
"""Environment variables that the child gets: no keys and no proxies."""


@contextlib.asynccontextmanager
async def launch(
    *,
    port: int = 0,
    fault: str | None = None,
    replay: Path | None = None,
    fast: bool = False,
    start_limit_s: float = START_LIMIT_S,
) -> AsyncIterator[str]:
    """Run a simulator during an `async with` block; yield its base URL.

    Args:
        port: the port to listen on; 0 for any free port.
        fault: the fault to inject into every answer.
        replay: the folder of a run whose recordings are replayed.
        fast: whether to replay as fast as possible instead of at the recorded pace.
        start_limit_s: the seconds to wait until the child listens.

    Raises:
        CompareError: the simulator did not start.

    """
    arguments = [*(["--replay", str(replay)] if replay else []), *(["--fast"] if fast else [])]
    with _child(port, fault, *arguments) as (child, stderr):
        yield await anyio.to_thread.run_sync(_await_base_url, child, stderr, start_limit_s)


@contextlib.contextmanager
def launch_sync(*, port: int = 0, fault: str | None = None, start_limit_s: float = START_LIMIT_S) -> Iterator[str]:
    """Run a simulator during a `with` block; yield its base URL, like `launch`."""
    with _child(port, fault) as (child, stderr):
        yield _await_base_url(child, stderr, start_limit_s)


@contextlib.contextmanager
def _child(port: int, fault: str | None, *further: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    arguments = ["--port", str(port), *(["--fault", fault] if fault else []), *further]
    with (
        # This is a file because a pipe that nobody reads would fill up and block the child.
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr,
        _start(arguments, stderr) as child,
    ):
        try:
            yield child, stderr
        finally:
            # The child has nothing to save. Leaving the block closes the pipes and waits for it.
            child.kill()


def _start(arguments: list[str], stderr: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-P", "-m", runner.simulator.__name__, *arguments],
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def _environment() -> dict[str, str]:
    package_home = Path(runner.simulator.__path__[0]).parents[1]
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": str(package_home), "PYTHONUTF8": "1"}


def _await_base_url(child: subprocess.Popen[str], stderr: IO[str], start_limit_s: float) -> str:
    """Return the line that the child prints when it listens; kill the child if it prints none in time."""
    assert child.stdout is not None
    limit = threading.Timer(start_limit_s, child.kill)
    limit.start()
    try:
        line = child.stdout.readline().strip()
    finally:
        limit.cancel()
    if not line:
        child.wait()
        stderr.seek(0)
        messages = stderr.read().strip().splitlines() or [f"it said nothing for {start_limit_s:g} s"]
        raise CompareError(f"The simulator did not start: {messages[-1]}")
    return line
