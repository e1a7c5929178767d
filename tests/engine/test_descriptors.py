"""A run takes the file descriptors it needs, or says what to do."""

import subprocess
import sys

CHILD = """
import resource, sys
from runner.engine.descriptors import allow_connections
from runner.errors import CompareError
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))
try:
    allow_connections(int(sys.argv[1]))
except CompareError as error:
    print(error)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def said_for(count: int) -> str:
    """Return what a process with limits of 64 and 300 says when it wants connections."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(count)], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_soft_limit_is_raised_as_far_as_needed() -> None:
    """150 connections and what else is open fit beneath the hard limit."""
    assert said_for(150) == "250\n"


def test_the_hard_limit_is_a_clear_sentence() -> None:
    """What the system forbids is said with its number and a hint, and nothing is changed."""
    said = said_for(1000)
    assert "1100 open files; this system allows 300" in said
    assert "--concurrency" in said
    assert said.endswith("\n64\n")
