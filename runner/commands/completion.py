"""Words for shell completion: targets, providers, cases, measures and runs."""

import os
from typing import TYPE_CHECKING

from runner.errors import CompareError

if TYPE_CHECKING:  # it brings urllib, and `compare --help` needs this module
    from pathlib import Path

    from runner.storage.stored_summary import StoredRun


def target_words() -> list[str]:
    """Return the default targets of every known provider, those with a key first."""
    from pathlib import Path

    from runner.commands.providers import load_registry  # brings pydantic
    from runner.providers.endpoint import is_configured
    from runner.providers.environment import read_environment
    from runner.providers.registry import default_targets

    registry = load_registry(Path.cwd())
    environ = read_environment((), Path.cwd(), os.environ)
    providers = sorted(registry.rows, key=lambda name: not is_configured(name, registry, environ))
    return [str(target) for name in providers for target in default_targets(name, registry)]


def provider_words() -> list[str]:
    """Return the ids of every known provider."""
    from pathlib import Path

    from runner.commands.providers import load_registry  # brings pydantic

    return list(load_registry(Path.cwd()).rows)


def case_words(suite: "Path | None") -> list[str]:
    """Return the ids of a suite's cases; empty without a suite."""
    from runner.commands.run.load_suite import load_suite  # brings pydantic

    return [] if suite is None else [case.id for case in load_suite(suite)[0].cases]


def metric_words() -> list[str]:
    """Return the names of the measures that can be compared."""
    from runner.analysis.diff_measures import MEASURES

    return [measure.name.removesuffix("_s") for measure in MEASURES]


def followed_metric_words() -> list[str]:
    """Return the names of the measures that have a history."""
    from runner.analysis.diff_measures import MEASURES
    from runner.commands.history import WITHOUT_LEVEL

    return [measure.name.removesuffix("_s") for measure in MEASURES if measure not in WITHOUT_LEVEL]


def fault_words() -> list[str]:
    """Return the faults of the simulator, and `list`."""
    from runner.simulator.faults import FAULTS

    return ["list", *FAULTS]


def suite_words(folder: "Path | None") -> list[str]:
    """Return the suites of the runs in a folder, by default that of results."""
    return list(dict.fromkeys(run.summary.suite for run in _stored_runs(folder)))


def stored_target_words(folder: "Path | None") -> list[str]:
    """Return the targets of the runs in a folder, by default that of results."""
    return list(dict.fromkeys(each.target for run in _stored_runs(folder) for each in run.summary.targets))


def _stored_runs(folder: "Path | None") -> "tuple[StoredRun, ...]":
    from runner.commands.runs import list_stored_runs
    from runner.storage.run_folder import RESULTS

    return list_stored_runs(folder or RESULTS).runs


def run_words() -> list[str]:
    """Return the runs in the folder of results, the newest first."""
    from runner.storage.find_run import list_runs

    return list_runs()


def run_target_words(run: "Path | None") -> list[str]:
    """Return the targets of a run; empty without a run."""
    from runner.storage import journal
    from runner.storage.find_run import find_run

    if run is None:
        return []
    try:
        return list(journal.read(find_run(run)).header.targets)
    except CompareError:
        return []
