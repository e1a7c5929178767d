"""The command on a pseudo-terminal, where it asks questions: tests read its output and type answers."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from tests.support.command import COMPARE, TIMEOUT_S, can_fork, own_environment
from tests.support.forked_process import start_forked


class TerminalProcess:
    """A process of the command on a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.printed = ""

    def wait_for(self, text: str) -> None:
        """Read until a text has been printed; fail if the process ends before."""
        deadline = monotonic() + TIMEOUT_S
        while text not in self.printed:
            assert monotonic() < deadline, self.printed
            assert self._read() or self.process.poll() is None, self.printed

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._terminal, text.encode())

    def finish(self) -> int:
        """Read until the process ends; return its exit code."""
        deadline = monotonic() + TIMEOUT_S
        while self._read() or self.process.poll() is None:
            assert monotonic() < deadline, self.printed
        return self.process.wait()

    def _read(self) -> bool:
        """Read the output of the next 0.1 s; return whether there was any."""
        readable, _, _ = select.select([self._terminal], [], [], 0.1)
        if not readable:
            return False
        data = b""
        with suppress(OSError):  # the other end is closed
            data = os.read(self._terminal, 65536)
        self.printed += data.decode(errors="replace")
        return bool(data)


@contextmanager
def open_on_terminal(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> Iterator[TerminalProcess]:
    """Start the command on a terminal during a block; kill it at the end of the block."""
    ours, theirs = os.openpty()
    environment = own_environment(folder, {"TERM": "dumb", **(variables or {})})
    options: dict[str, Any] = {"cwd": folder, "stdin": theirs, "stdout": theirs, "stderr": theirs}
    try:
        if can_fork(variables):
            process = start_forked("runner", arguments, environment, **options)
        else:
            process = subprocess.Popen([sys.executable, *COMPARE, *arguments], env=environment, **options)
    finally:
        os.close(theirs)
    try:
        yield TerminalProcess(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
