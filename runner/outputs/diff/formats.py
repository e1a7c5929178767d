"""The formats a comparison can be written in; their libraries are loaded at first use."""

from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.analysis.diff import Difference

DifferenceWriter = Callable[["Difference"], str]


def _write_markdown(difference: "Difference") -> str:
    text: str = import_module("runner.outputs.diff.markdown").write(difference)
    return text


def _write_json(difference: "Difference") -> str:
    text: str = import_module("runner.outputs.diff.json").write(difference)
    return text


def _write_junit(difference: "Difference") -> str:
    text: str = import_module("runner.outputs.diff.junit").write(difference)
    return text


DIFFERENCE_WRITERS = MappingProxyType({".md": _write_markdown, ".json": _write_json, ".xml": _write_junit})
"""By suffix. Every text they return can be encoded as UTF-8; write it with `newline=""`."""
