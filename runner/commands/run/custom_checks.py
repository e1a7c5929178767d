"""Functions that are not ours as checks: called once for each new record, what they said kept in the journal.

A suite names functions in files beside it, and checks of installed plug-ins. This runs the code of whoever wrote them,
and is the only place that does. It waits until the run is over, so that nothing of it is measured. Whatever a function
does wrong is a failed check with its message, not a crash.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from runner.checks.answer import answer_of, listed
from runner.core.events import TIMED
from runner.core.record import Record
from runner.errors import BrokenPlugin
from runner.plugins import describe, load_function
from runner.storage import journal

Judge = Callable[[Record], object]


def ask_own_checks(folder: Path, redact: Callable[[str], str]) -> None:
    """Ask the functions that a suite demands about the records of its run that they have not been asked about.

    Nothing is imported, and nothing is written, where the suite has none.
    """
    log = journal.read(folder)
    if log.header.path is None or not any(map(_asks, log.header.checks.values())):
        return
    asked = [record for record in log.records if _is_open(record, log.header.checks.get(record.identity.case, {}))]
    home = Path(log.header.path).parent
    with _importing_from(home), journal.JournalWriter(folder, redact) as writer:
        found: dict[str, Judge | str] = {}
        for record in asked:
            checks = log.header.checks[record.identity.case]["checks"]
            judges = {name: _once(found, name, home) for name in listed(checks.get("python", ()))}
            judges |= {name: _judge_of(name, wanted) for name, wanted in checks.get("plugin", {}).items()}
            said = {name: _ask(judge, record) for name, judge in judges.items()}
            writer.append({"kind": "check", "key": record.identity.key, "said": said})


def _asks(demands: Mapping[str, Any]) -> bool:
    return not {"python", "plugin"}.isdisjoint(demands.get("checks", {}))


def _is_open(record: Record, demands: Mapping[str, Any]) -> bool:
    """Tell whether a record is one to ask about: a last turn that was answered, and not asked about before."""
    counts = record.outcome in TIMED and not record.warmup and record.identity.turn == demands.get("turns")
    return counts and _asks(demands) and record.custom_checks is None


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let modules of a folder be found first; what they print goes to stderr, for stdout holds results."""
    place = str(folder.resolve())
    sys.path.insert(0, place)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(place)


def _once(found: dict[str, Judge | str], name: str, home: Path) -> Judge | str:
    """Find a function unless it was found before: its module is loaded once."""
    if name not in found:
        found[name] = _find(name, home)
    return found[name]


def _find(name: str, home: Path) -> Judge | str:
    """Return the function that a name stands for, or why it is not to be had."""
    module, _, function = name.partition(":")
    try:
        found = getattr(_load(home.resolve() / f"{module.replace('.', '/')}.py"), function)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- user code may raise anything
        return f"it cannot be imported: {describe(error)}"
    return found if callable(found) else "it is not a function"


def _load(file: Path) -> ModuleType:
    """Load a module under a name of its own: another suite's, loaded before, may be called the same."""
    spec = spec_from_file_location(f"suite_checks.{file}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _judge_of(name: str, wanted: object) -> Judge | str:
    """Return a plug-in's check as a function of a record, or why it is not to be had."""
    try:
        function = load_function("compare.checks", name)
    except BrokenPlugin as error:
        return str(error)
    except LookupError:
        return "no plug-in brings it any more"
    return partial(_judge_answer, function, wanted)


def _judge_answer(function: Callable[..., object], wanted: object, record: Record) -> object:
    return function(answer_of(record) or "", wanted)


def _ask(judge: Judge | str, record: Record) -> str | None:
    """Return why a record fails a function, None if it passes."""
    if isinstance(judge, str):
        return judge
    try:
        said = judge(record)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- user code may raise anything
        return describe(error)
    if said is True:
        return None
    if said is False:
        return "it returned False"
    return said if isinstance(said, str) else f"it returned {type(said).__name__}, not True, False or a text"
