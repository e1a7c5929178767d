"""Compare language models across OpenAI-compatible providers: `from runner import run, arun, load`.

Names are loaded when they are first used, so that importing the package, as the command line does, costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from runner.version import __version__

if TYPE_CHECKING:
    from runner.api import arun, run
    from runner.outputs.csv import load

__all__ = ["__version__", "arun", "load", "run"]

_HOMES = {"arun": "runner.api", "load": "runner.outputs.csv", "run": "runner.api"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
