"""Run the checks that are Python functions of the user or of a plug-in, and store their results in the journal.

A suite names functions in files beside it, and checks of installed plug-ins; prompts from Python name files in the
working directory. Only this module runs their code, once per record and after the run, so that it does not disturb the
measurement. An exception in a function is a failed check with its message, not a crash.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

from runner.analysis.check_results import steps_of
from runner.checks.answer_text import answer_of, as_tuple
from runner.core.conversation_state import is_last_turn
from runner.core.events import TIMED
from runner.core.record import Record
from runner.errors import BrokenPlugin
from runner.plugins import describe_exception, load_function
from runner.storage import journal

LIMIT_S = 10.0
"""Time limit of a function call in seconds."""

CheckFunction = Callable[[Record], object]


def run_custom_checks(folder: Path, redact: Callable[[str], str]) -> None:
    """Run the custom checks of a run's suite on all unchecked records, and write the results.

    If the suite has no custom checks, nothing is imported and nothing is written.
    """
    log = journal.read(folder)
    if not any(map(_has_custom_checks, log.header.checks.values())):
        return
    unchecked = [
        record for record in log.records if _is_unchecked(record, log.header.checks.get(record.identity.case, {}))
    ]
    suite_folder = Path.cwd() if log.header.path is None else Path(log.header.path).parent
    with _importing_from(suite_folder), journal.JournalWriter(folder, redact) as writer:
        load_once = cache(partial(_load_function, suite_folder))
        caller = _Caller()
        for record in unchecked:
            checks = log.header.checks[record.identity.case]["checks"]
            functions = {name: load_once(name) for name in as_tuple(checks.get("python", ()))}
            functions |= {name: _load_plugin(name, wanted) for name, wanted in checks.get("plugin", {}).items()}
            failures = {name: caller.call(name, function, record) for name, function in functions.items()}
            writer.append({"kind": "check", "key": record.identity.key, "said": failures})


def _has_custom_checks(expectations: Mapping[str, Any]) -> bool:
    return not {"python", "plugin"}.isdisjoint(expectations.get("checks", {}))


def _is_unchecked(record: Record, expectations: Mapping[str, Any]) -> bool:
    """Return whether a record is the answered last turn of a case with custom checks, and has no results of them."""
    counts = record.outcome in TIMED and not record.warmup and is_last_turn(steps_of(expectations), record)
    return counts and _has_custom_checks(expectations) and record.custom_checks is None


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Put a folder first on the import path, and redirect stdout to stderr, since stdout holds results.

    The output of a function that exceeded the time limit goes to stdout afterwards, since threads share one stdout.
    """
    place = str(folder.resolve())
    sys.path.insert(0, place)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(place)


def _load_function(suite_folder: Path, name: str) -> CheckFunction | str:
    """Return the function that `module:function` names, or the reason why it cannot be loaded."""
    module, _, function = name.partition(":")
    try:
        found = getattr(_load_module(suite_folder.resolve() / f"{module.replace('.', '/')}.py"), function)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- user code may raise anything
        return f"it cannot be imported: {describe_exception(error)}"
    return found if callable(found) else "it is not a function"


def _load_module(file: Path) -> ModuleType:
    """Load a module under a name that contains its path, since two suites may have modules of the same name."""
    spec = spec_from_file_location(f"suite_checks.{file}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _load_plugin(name: str, wanted: object) -> CheckFunction | str:
    """Return a plug-in's check as a function of a record, or the reason why it cannot be loaded."""
    try:
        function = load_function("compare.checks", name)
    except BrokenPlugin as error:
        return str(error)
    except LookupError:
        return "no plug-in brings it any more"
    return lambda record: function(answer_of(record) or "", wanted)


@dataclass(slots=True)
class _Caller:
    """Calls functions with a time limit. A function that exceeds it keeps running, and is not called again."""

    timed_out: set[str] = field(default_factory=set)
    """Names of the functions that exceeded the time limit."""

    def call(self, name: str, function: CheckFunction | str, record: Record) -> str | None:
        """Return why a record fails a check; None if it passes."""
        if name in self.timed_out:
            return f"not called, since it took longer than {LIMIT_S:g} s on another record"
        failures: list[str | None] = []
        # A daemon thread does not keep the process alive. Threads cannot be ended; a process per call takes seconds.
        thread = Thread(target=lambda: failures.append(_call(function, record)), daemon=True)
        thread.start()
        thread.join(LIMIT_S)
        if failures:
            return failures[0]
        self.timed_out.add(name)
        return f"stopped, since it took longer than {LIMIT_S:g} s"


def _call(function: CheckFunction | str, record: Record) -> str | None:
    """Return why a record fails a check; None if it passes. A text in place of a function is its loading error."""
    if isinstance(function, str):
        return function
    try:
        result = function(record)
    except BaseException as error:  # noqa: BLE001 -- user code may raise anything, and pytest.fail raises no Exception
        return describe_exception(error)
    if result is True:
        return None
    if result is False:
        return "it returned False"
    return result if isinstance(result, str) else f"it returned {type(result).__name__}, not True, False or a text"
