"""The file formats of a comparison, by suffix. A format's libraries are loaded at its first use."""

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.analysis.diff import Difference

DifferenceWriter = Callable[["Difference"], str]


def _write_markdown(difference: "Difference") -> str:
    from runner.outputs.diff.markdown import write  # noqa: PLC0415

    return write(difference)


def _write_json(difference: "Difference") -> str:
    from runner.outputs.diff.json import write  # noqa: PLC0415

    return write(difference)


def _write_junit(difference: "Difference") -> str:
    from runner.outputs.diff.junit import write  # noqa: PLC0415

    return write(difference)


def _write_page(difference: "Difference") -> str:
    from runner.outputs.report.render_html import write_comparison  # noqa: PLC0415

    return write_comparison(difference)


DIFFERENCE_WRITERS = MappingProxyType(
    {".md": _write_markdown, ".json": _write_json, ".xml": _write_junit, ".html": _write_page}
)
"""Every text they return can be encoded as UTF-8; write it with `newline=""`, or bare CRs are lost."""
