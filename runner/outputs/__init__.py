"""One file a format; a writer returns text.

`WRITERS` names them by the suffix a person asks for. A format's libraries are loaded at its first use, so that
knowing which formats there are costs nothing.
"""

from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.analysis.run import Run

Writer = Callable[["Run"], str]


def _writer(module: str) -> Writer:
    def write(run: "Run") -> str:
        text: str = import_module(f"runner.outputs.{module}").write(run)
        return text

    return write


WRITERS = MappingProxyType(
    {
        ".csv": _writer("csv"),
        ".md": _writer("markdown"),
        ".json": _writer("json"),
        ".jsonl": _writer("jsonl"),
        ".html": _writer("html"),
    }
)
"""Every text they return can be encoded as UTF-8; write it with `newline=""`, or bare CRs are lost."""
