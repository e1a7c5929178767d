"""The simulator's timers and its process: start, errors, and end with its parent."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import runner.simulator
from runner.errors import CompareError
from runner.simulator import child_process
from runner.simulator.child_process import launch, launch_sync
from runner.simulator.exact_timers import LoopTimer, Timer, make_timer
from runner.simulator.persona import MS
from runner.simulator.server import serve
from tests.support import command
from tests.support.wait_until import LIMIT_S, wait_until

HOME = str(Path(runner.simulator.__path__[0]).parents[1])


@pytest.mark.parametrize("make", [make_timer, LoopTimer])
def test_a_timer_calls_back_in_order_and_never_early(make: Callable[[object], Timer]) -> None:
    """Each callback is called once, at or after its time, whatever the order of the calls."""

    async def main() -> list[tuple[int, int]]:
        all_called = asyncio.Event()
        timer, calls = make(asyncio.get_running_loop()), list[tuple[int, int]]()
        start_ns = time.perf_counter_ns()
        dues = [start_ns + offset * 300_000 for offset in random.Random(5).sample(range(-3, 60), 63)]
        for due_ns in dues:
            timer.call_at(due_ns, lambda due_ns=due_ns: calls.append((due_ns, time.perf_counter_ns())))  # type: ignore[misc]
        timer.call_at(max(dues) + 5 * MS, all_called.set)
        await asyncio.wait_for(all_called.wait(), LIMIT_S)
        return calls

    calls = asyncio.run(main())
    assert all(called_ns >= due_ns for due_ns, called_ns in calls)
    future = [due_ns for due_ns, _ in calls][4:]
    assert len({due_ns for due_ns, _ in calls}) == 63
    if make is make_timer:
        assert future == sorted(future)


def is_listening(base_url: str) -> bool:
    """Return whether the address accepts connections."""
    host, port = base_url.removeprefix("http://").removesuffix("/v1").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(autouse=True)
def _interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each simulator as a run does."""
    monkeypatch.setattr(command, "always_start", True)


def has_zombies() -> bool:
    """Return whether a child of this process has ended and was not waited for."""
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def count_children() -> int:
    """Return the number of this process's children, on Linux."""
    return sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))


def test_the_child_ends_with_its_block() -> None:
    """After the `async with` block, even by an exception, the child has ended and was waited for."""
    seen: list[str] = []

    async def fail_inside() -> None:
        async with launch() as url:
            seen.append(url)
            assert is_listening(url)
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(fail_inside())
    assert not is_listening(seen[0])
    assert not has_zombies()


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.05])
def test_a_cancelled_start_leaves_no_child(delay_s: float) -> None:
    """A `launch` whose task is cancelled ends the child."""

    async def launch_and_wait() -> None:
        async with launch():
            await asyncio.sleep(LIMIT_S)

    async def main() -> None:
        task = asyncio.create_task(launch_and_wait())
        await asyncio.sleep(delay_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    children_before = count_children()
    asyncio.run(main())
    assert (count_children(), has_zombies()) == (children_before, False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_child_ends_with_a_killed_parent() -> None:
    """A parent that is killed without a clean-up ends its simulator, too."""
    code = (
        "import time; from runner.simulator.child_process import launch_sync\n"
        "with launch_sync() as url:\n    print(url, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": HOME}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert is_listening(url)
        parent.kill()
    wait_until(lambda: not is_listening(url))


def test_a_failed_start_is_one_clear_error() -> None:
    """A used port, an invalid port and an unknown fault are `CompareError`s that say what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        in_use = pytest.raises(
            CompareError, match=rf"did not start: Cannot listen on 127\.0\.0\.1:{port}: .*in use\. Choose"
        )
        with in_use, launch_sync(port=port):
            pytest.fail("started on a port in use")
    with pytest.raises(CompareError, match="between 0 and 65535"):
        serve("127.0.0.1", 65536, announce=pytest.fail)
    with pytest.raises(CompareError, match="is not known to this machine"):
        serve("no..host", 0, announce=pytest.fail)
    with pytest.raises(CompareError, match=r"no fault 'htlm'\. Did you mean `html`"), launch_sync(fault="htlm"):
        pytest.fail("started with an unknown fault")


def test_a_child_that_does_not_start_in_time_is_killed() -> None:
    """The error says how long it waited."""
    with pytest.raises(CompareError, match="nothing for 0 s"), launch_sync(start_limit_s=0):
        pytest.fail("started in no time")


def test_no_key_reaches_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child gets a short list of environment variables."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "secret")
    environment = child_process._environment()
    assert "secret" not in environment.values()
    assert set(environment) <= {*child_process.PASSED_ON, "PYTHONPATH", "PYTHONUTF8"}


def test_the_child_imports_nothing_heavy() -> None:
    """None of the large libraries is loaded in the server's process."""
    code = "import sys, runner.simulator.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    output = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": HOME}, capture_output=True, text=True, check=True
    ).stdout
    heavy = {"openai", "aiohttp", "httpx2", "pandas", "numpy", "pydantic", "rich", "anyio", "click", "yaml", "jinja2"}
    assert not heavy & set(output.split())


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_the_command_prints_its_usage_and_ends_on_interrupt() -> None:
    """`compare simulate` prints the base URL and a curl example, and exits with 0 on Ctrl-C."""
    foreground = [sys.executable, "-m", "runner", "simulate", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": HOME}
    with subprocess.Popen(foreground, env=environment, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        first, example = alone.stdout.readline(), alone.stdout.readline()
        assert is_listening(first.split()[3])
        assert example.startswith(f"curl -N {first.split()[3]}/chat/completions")
        alone.send_signal(signal.SIGINT)
        assert alone.wait(LIMIT_S) == 0
