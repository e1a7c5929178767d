"""Jupyter kernels that run this interpreter with this checkout, in a folder of their own."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

CHECKOUT = Path(__file__).parents[2]
KERNEL_NAME = "checkout"
TIMEOUT_S = 120


def install_kernel(folder: Path) -> dict[str, str]:
    """Write a kernel's specification below a folder; return an environment in which Jupyter finds only that kernel."""
    spec = folder / "jupyter" / "kernels" / KERNEL_NAME
    spec.mkdir(parents=True)
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": KERNEL_NAME,
        "language": "python",
        "env": {"PYTHONPATH": str(CHECKOUT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    }
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    own = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    return {"JUPYTER_PATH": str(folder / "jupyter"), **own}


class Kernel:
    """A running kernel, which runs cells one after the other."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client

    def start(self, code: str) -> str:
        """Send a cell; return the id to which its messages refer."""
        return str(self._client.execute(code))

    def messages(self, cell: str) -> Iterator[dict[str, Any]]:
        """Yield the messages of a cell until it has ended."""
        while True:
            message = self._client.get_iopub_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") != cell:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            yield message

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell to its end; return its messages."""
        return list(self.messages(self.start(code)))

    def interrupt(self) -> None:
        """Interrupt the running cell, like the stop button."""
        self._manager.interrupt_kernel()


@contextmanager
def open_kernel(folder: Path) -> Iterator[Kernel]:
    """Run a kernel in a folder during a `with` block; call `install_kernel` before."""
    manager = KernelManager(kernel_name=KERNEL_NAME)
    manager.start_kernel(cwd=str(folder), env=dict(os.environ))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT_S)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def texts_of(messages: list[dict[str, Any]], kind: str, mime: str = "text/plain") -> list[str]:
    """Return the content that messages of one kind show, in one MIME type."""
    return [message["content"]["data"][mime] for message in messages if message["msg_type"] == kind]


def printed_text(messages: list[dict[str, Any]]) -> str:
    """Return the text that a cell wrote to stdout and stderr."""
    return "".join(message["content"]["text"] for message in messages if message["msg_type"] == "stream")
