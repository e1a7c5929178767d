"""Measure the start: from the command to the first request at the server, beside `python -c 'import openai'`.

python tests/benchmarks/start.py [--starts 7]

Both are started in turn, so that other work on the machine meets both. Two times are taken of each: CPU time, which
other work changes little, and the wall time.
"""

import argparse
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import yaml

from tests.benchmarks.accuracy import CHECKOUT
from tests.benchmarks.targets import PerformanceTarget
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, serve, streamed_reply

LIMIT_S = 120
TICKS_S = os.sysconf("SC_CLK_TCK")
SUITE = "name: start\ncases:\n  - id: hello\n    prompt: Hello\n"


@dataclass(frozen=True, slots=True)
class Start:
    """The cost of a start: CPU time of the process so far, and wall time."""

    cpu_s: float
    wall_s: float


def main() -> None:
    """Start both in turn; print the medians and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=7, help="how often to start each (7)")
    starts = parser.parse_args().starts
    time_import(), time_command()  # the first ones read files that are not in memory yet
    pairs = [(time_import(), time_command()) for _ in range(starts)]
    for name, at in (("python -c 'import openai'", 0), ("command to first request", 1)):
        cpu_s, wall_s = (median(getattr(pair[at], kind) for pair in pairs) for kind in ("cpu_s", "wall_s"))
        print(f"{name}: CPU {cpu_s:.2f} s, wall {wall_s:.2f} s (medians, n {starts})")
    print()
    for kind in ("cpu_s", "wall_s"):
        found = median(getattr(command, kind) / getattr(sdk, kind) for sdk, command in pairs)
        print(PerformanceTarget(9, f"command to first request / import openai, {kind.removesuffix('_s')}", found, 1.6))


def time_import() -> Start:
    """Return the cost of importing the SDK."""
    began_s = perf_counter()
    process = subprocess.Popen([sys.executable, "-c", "import openai"], cwd=CHECKOUT, env=_environment())
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return Start(used.ru_utime + used.ru_stime, perf_counter() - began_s)


def time_command() -> Start:
    """Return the cost of `compare run` until its first request reaches the server."""
    found: list[Start] = []
    started = threading.Event()

    def answer(request: ReceivedRequest) -> ScriptedReply:
        started.wait(LIMIT_S)
        if request.method == "POST" and not found:
            found.append(Start(cpu_so_far(process.pid), perf_counter() - began_s))
        return streamed_reply("Hi")

    with TemporaryDirectory() as name, serve(answer) as server:
        folder = Path(name)
        row = {"base_url": server.url, "keyless": True, "models": ["m"]}
        (folder / "compare.yaml").write_text(yaml.safe_dump({"providers": {"acme": row}}), encoding="utf-8")
        (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
        command = [sys.executable, "-m", "runner", "run", "suite.yaml", "-m", "acme/m", "-o", "run", "--quiet"]
        began_s = perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=_environment() | {"HOME": name}, stdout=subprocess.DEVNULL)
        started.set()
        assert process.wait(LIMIT_S) == 0
    return found[0]


def cpu_so_far(pid: int) -> float:
    """Return the CPU seconds that a running process has used, including its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def _environment() -> dict[str, str]:
    """Return the environment of an installed tool, whose bytecode is cached."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(CHECKOUT)}


if __name__ == "__main__":
    main()
