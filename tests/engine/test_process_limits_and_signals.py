"""A run raises its limit on open files, or explains what to do, and leaves the garbage collector as it was."""

import subprocess
import sys

import pytest

from runner.engine.process_limits_and_signals import allow_connections
from runner.errors import CompareError

CHILD = """
import resource, sys
from runner.engine.process_limits_and_signals import allow_connections
from runner.errors import CompareError
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))
try:
    allow_connections(int(sys.argv[1]))
except CompareError as error:
    print(error)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def output_for(connections: int) -> str:
    """Return the output of a process with limits of 64 and 300 open files that asks for connections."""
    command = [sys.executable, "-c", CHILD, str(connections)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_soft_limit_is_raised_as_far_as_needed() -> None:
    """150 connections and other open files fit below the hard limit."""
    assert output_for(150) == "250\n"


def test_hard_limit_too_low_is_an_error_with_a_hint() -> None:
    """The error names the limit and the option to lower; the soft limit is unchanged."""
    output = output_for(1000)
    assert "1100 open files; this system allows 300" in output
    assert "--concurrency" in output
    assert output.endswith("\n64\n")


FREEZING = """
import gc, sys
from runner.engine.process_limits_and_signals import rare_gc
if sys.argv[1] == "frozen":
    gc.freeze()
before, usual = gc.get_freeze_count(), gc.get_threshold()
with rare_gc():
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() != usual
kept = before if sys.argv[1] == "frozen" else 0
print((gc.get_freeze_count(), gc.get_threshold()) == (kept, usual))
"""


@pytest.mark.parametrize("state", ["frozen", "not frozen"])
def test_a_pause_of_the_collector_keeps_frozen_objects(state: str) -> None:
    """Objects that the process froze itself stay frozen, although `gc.unfreeze` unfreezes all."""
    command = [sys.executable, "-c", FREEZING, state]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


@pytest.mark.parametrize("error", [ValueError("current limit exceeds maximum limit"), OSError(22, "Invalid argument")])
def test_a_limit_that_the_system_refuses_is_an_error_with_a_hint(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of macOS, kern.maxfilesperproc, is not in the hard limit, which is unlimited."""
    resource = pytest.importorskip("resource")

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(CompareError, match=r"1100 open files; this system allows 256 .*--concurrency"):
        allow_connections(1000)
