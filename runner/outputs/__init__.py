"""Output formats of runs and comparisons, one module for each, and the look-up of a writer by file suffix.

A writer takes a run or a comparison and returns the file's content: text, an iterator over pieces of text, or bytes. A
format's libraries are imported when it is first used, so that listing the formats is cheap.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runner.errors import CompareError, WriteFailed
from runner.plugins import broken_plugin, describe_exception, load_function, plugin_names

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.analysis.run_results import Run

DifferenceWriter = Callable[["Difference"], str]
StreamWriter = Callable[["Run"], Iterator[str]]
Writer = Callable[["Run"], str | Iterator[str] | bytes]


@dataclass(frozen=True, slots=True)
class Export:
    """A run in another tool's format: the file's text, and a note on everything that was left out, cut or changed."""

    text: str
    notes: tuple[str, ...] = ()


def _writer(module: str, function: str = "write") -> Callable[[Any], Any]:
    """Return a function that imports a module of this package and calls its writer."""

    def write(shown: object) -> Any:
        return getattr(import_module(f"runner.outputs.{module}"), function)(shown)

    return write


def _join_pieces(suffix: str) -> Callable[["Run"], str]:
    return lambda run: "".join(STREAM_WRITERS[suffix](run))


STREAM_WRITERS: Mapping[str, StreamWriter] = MappingProxyType(
    {
        ".csv": _writer("csv", "stream"),
        ".json": _writer("json", "stream"),
        ".jsonl": _writer("json", "stream_lines"),
    }
)
"""Writers of the formats whose size grows with the run; they yield text in pieces to bound the memory used."""

WRITERS: Mapping[str, Callable[["Run"], str]] = MappingProxyType(
    {
        ".csv": _join_pieces(".csv"),
        ".md": _writer("markdown"),
        ".json": _join_pieces(".json"),
        ".jsonl": _join_pieces(".jsonl"),
        ".html": lambda run: _writer("report.render_html", "write_report")([run]),
        ".prom": _writer("prometheus"),
        ".xml": _writer("junit"),
    }
)
"""Suffix -> writer of text. All text can be encoded as UTF-8; write it with `newline=""`, or bare CRs are lost."""

BINARY_WRITERS: Mapping[str, Callable[["Run"], bytes]] = MappingProxyType({".parquet": _writer("parquet")})

DIFFERENCE_WRITERS: Mapping[str, DifferenceWriter] = MappingProxyType(
    {
        ".md": _writer("diff.markdown"),
        ".json": _writer("diff.json"),
        ".xml": _writer("diff.junit"),
        ".html": _writer("report.render_html", "write_diff"),
    }
)
"""Suffix -> writer of a comparison; the text has the properties of that of `WRITERS`."""

BUILT_IN = (*WRITERS, *BINARY_WRITERS)


def known_suffixes(wanted: Iterable[str]) -> tuple[str, ...]:
    """Return all suffixes that have a writer. Plug-ins are looked up only if a wanted suffix is not built in."""
    if set(wanted) <= {*BUILT_IN}:
        return BUILT_IN
    return (*BUILT_IN, *(f".{name}" for name in plugin_names("compare.outputs") if f".{name}" not in BUILT_IN))


def find_writer(suffix: str) -> Writer:
    """Return the writer of a suffix. The writer of a plug-in raises WriteFailed if the plug-in fails.

    Raises:
        CompareError: no writer has this suffix, or its writer cannot be loaded or lacks a library.

    """
    if suffix in STREAM_WRITERS:
        return STREAM_WRITERS[suffix]
    if suffix in WRITERS:
        return WRITERS[suffix]
    if suffix in BINARY_WRITERS:
        if find_spec("pyarrow") is None:
            raise CompareError(f"{suffix} needs pyarrow: pip install 'compare-runner[parquet]'")
        return BINARY_WRITERS[suffix]
    try:
        return _plugin_writer(suffix.removeprefix("."))
    except LookupError:
        known = ", ".join(known_suffixes([suffix]))
        fault = f"no output is called {suffix}" if suffix else "its suffix tells the format, and it has none"
        raise CompareError(f"{fault}. Known: {known}.") from None


def _plugin_writer(name: str) -> Writer:
    function = load_function("compare.outputs", name)

    def write(run: "Run") -> str | bytes:
        try:
            content = function(run)
        except Exception as error:
            fault = f"fails: {describe_exception(error)}"
            raise WriteFailed(str(broken_plugin("compare.outputs", name, fault))) from error
        if not isinstance(content, str | bytes):
            fault = f"returns {type(content).__name__}, neither text nor bytes"
            raise WriteFailed(str(broken_plugin("compare.outputs", name, fault)))
        return content

    return write
