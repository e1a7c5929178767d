"""`compare capacity`: search the highest load at which enough requests meet an SLO, with a run for each load tried."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from math import ceil
from pathlib import Path

from runner.analysis.capacity import CapacitySearch, FoundCapacity, TriedLoad
from runner.analysis.run_results import Run
from runner.commands.allowed_hosts import AskUser
from runner.commands.load_stored_run import load_run
from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import NamedFolder, RunOptions, is_folder
from runner.commands.run.perform import FinishedRun
from runner.commands.run.prepare import noting_that_nothing_was_sent, prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.core.load_profile import LoadProfile
from runner.core.suite import Suite
from runner.errors import CompareError, Spelling
from runner.outputs.capacity import write_json
from runner.providers.registry import Registry
from runner.storage.atomic_write import write_atomically
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import RESULTS

RESULT = "capacity.json"
MIN_A_PLACE = 5
"""Minimum number of requests per place in flight: with fewer there is hardly a steady state."""

RunOnce = Callable[[PreparedRun], FinishedRun]


@dataclass(frozen=True, slots=True)
class SearchStep:
    """A load that was just tried, or found in the folder of an earlier search; `capacity` is the result so far."""

    tried: TriedLoad
    capacity: FoundCapacity
    was_there: bool
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class PreparedSearch:
    """A search that is ready to start."""

    suite: Suite
    registry: Registry
    options: RunOptions
    """Options of each run, including the number of requests at each load."""
    bounds: CapacitySearch
    folder: Path
    targets: tuple[str, ...]
    """Names of the targets, which are searched one after the other."""
    ask: AskUser | None = None
    """Asks the user about hosts, as for `prepare`."""


def prepare_search(
    path: Path, options: RunOptions, bounds: CapacitySearch, ask: AskUser | None = None
) -> PreparedSearch:
    """Return a search over a suite file. Nothing is sent.

    Args:
        path: the suite file.
        options: options of each run, including the number of requests at each load.
        bounds: the limits of the search.
        ask: asks the user about hosts, as for `prepare`.

    Raises:
        CompareError: a limit of the search is out of range, its runs could not be started, or the output is not one
            folder.

    """
    _check_bounds(bounds, options.spell)
    with noting_that_nothing_was_sent():
        suite, registry = load_suite(path)
    targets = tuple(target.name for target in prepare(suite, registry, options, sends=False).plan.targets)
    folder = _choose_folder(options, suite)
    return PreparedSearch(suite, registry, options, bounds, folder, targets, ask)


def _check_bounds(search: CapacitySearch, spell: Spelling) -> None:
    """Raise CompareError, which names all of them, if limits of a search are out of range."""
    problems = []
    if not 0 < search.share < 1:
        problems.append(f"{spell('share')} must be above 0 % and below 100 %: no sample shows that all requests would")
    if not 0 < search.first <= search.most:
        problems.append(f"{spell('first')} must be above 0 and at most {spell('most')}, {search.most:g}")
    if search.loads < 1:
        problems.append(f"{spell('loads')} must be 1 or more")
    if problems:
        raise CompareError("\n".join(problems))


def _choose_folder(options: RunOptions, suite: Suite) -> Path:
    """Return the folder of a search: the named one, else one in results/ that the same search finds again."""
    folders = options.outputs or (RESULTS / f"capacity-{_as_file_name(suite.name) or 'suite'}",)
    if len(folders) > 1 or not is_folder(folders[0]):
        raise CompareError(
            f"{options.spell('outputs')} names the folder of the search, one without a suffix, not "
            f"{', '.join(map(str, folders))}"
        )
    return folders[0]


def _as_file_name(text: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in text).strip("-")[:40]


def search_capacities(prepared: PreparedSearch, run_once: RunOnce) -> Iterator[SearchStep]:
    """Search the capacity of one target after the other; yield each step, and write all results after each step.

    Targets are searched one by one, so that their requests do not compete. If there are several, each has a folder
    below that of the search.

    Args:
        prepared: the search.
        run_once: performs a run.

    Raises:
        CompareError: see `search_capacity`.

    """
    if len(prepared.targets) == 1:
        yield from search_capacity(prepared, run_once)
        return
    found: dict[str, FoundCapacity] = {}
    for target in prepared.targets:
        place = prepared.folder / f"{_as_file_name(target)}-{sha256(target.encode()).hexdigest()[:6]}"
        for step in search_capacity(replace(prepared, folder=place, targets=(target,)), run_once):
            found[target] = step.capacity
            write_atomically(prepared.folder / RESULT, write_json([*found.values()]))
            yield step
            if step.interrupted:
                return


def search_capacity(prepared: PreparedSearch, run_once: RunOnce) -> Iterator[SearchStep]:
    """Try one load of the only target after the other, each in a run of its own; yield each step, and write its result.

    Loads that have a complete run in the folder are not tried again, so an interrupted search can be continued.

    Raises:
        CompareError: the options do not fit a search, or the folder holds a search of another suite, target or SLO.

    """
    suite, folder, (target,) = prepared.suite, prepared.folder, prepared.targets
    options = replace(prepared.options, models=(target,), providers=(), slo=prepared.options.slo or suite.slo)
    bounds = _within_requests(prepared.bounds, options)
    tried: list[TriedLoad] = []
    simulated = False
    while (load := bounds.next_load(tried)) is not None:
        own = _at_load(options, load, bounds)
        place = folder / f"{'rate' if bounds.by_rate else 'concurrency'}-{load:g}"
        run, interrupted = _earlier_run(place, suite, own), False
        was_there = run is not None
        if run is None:
            unused = next(each for each in _folders_of_load(place) if not (each / JOURNAL_FILE).exists())
            own = replace(own, outputs=(NamedFolder(unused),))
            finished = run_once(prepare(suite, prepared.registry, own, ask=prepared.ask))
            run, interrupted = finished.run, finished.interrupted
        found, simulated = _read_load(run, load, bounds), simulated or run.simulated
        if not interrupted:
            tried.append(found)
        capacity = FoundCapacity(target, bounds, str(options.slo), tuple(tried), simulated)
        write_atomically(folder / RESULT, write_json(capacity))
        yield SearchStep(found, capacity, was_there, interrupted)
        if interrupted:
            return


def _at_load(options: RunOptions, load: float, bounds: CapacitySearch) -> RunOptions:
    if bounds.by_rate:
        return replace(options, rate=load, arrivals="poisson")
    return replace(options, levels=(int(load),))


def _within_requests(search: CapacitySearch, options: RunOptions) -> CapacitySearch:
    """Return the search, limited to concurrencies at which the number of requests allows a steady state."""
    if options.slo is None:
        raise CompareError(
            f"a capacity search needs an SLO: give {options.spell('slo', 'ttft=800ms,total=10s')}, or write "
            "`slo: ttft=800ms,total=10s` into the suite"
        )
    set_by_search = ("rate", "arrivals", "levels", "concurrency", "duration_s", "repeat", "resume", "adaptive")
    given = [name for name in set_by_search if getattr(options, name)]
    if given:
        raise CompareError(f"the search sets the load itself; leave out {', '.join(map(options.spell, given))}")
    if options.max_requests is None:
        raise CompareError(f"name the number of requests at each load: {options.spell('max_requests', 500)}")
    if search.by_rate:
        return search
    enough = options.max_requests // MIN_A_PLACE
    if enough < search.first:
        raise CompareError(
            f"{options.spell('max_requests', options.max_requests)} is too few for a concurrency of "
            f"{search.first:g}: give {ceil(MIN_A_PLACE * search.first)} or more, {MIN_A_PLACE} for each request "
            "in flight"
        )
    return replace(search, most=min(search.most, enough))


def _earlier_run(place: Path, suite: Suite, options: RunOptions) -> Run | None:
    """Return the complete run of a load in the folder; None if there is none.

    Raises:
        CompareError: the run is of another suite, target, SLO or load.

    """
    for folder in _folders_of_load(place):
        if not (folder / JOURNAL_FILE).is_file() or not (run := load_run(folder)).ended:
            continue
        header = run.header
        # The ramp may differ: requests sent during it are excluded anyway.
        load = replace(LoadProfile.from_plain(header.load), ramp=options.load.ramp)
        kept = (header.digest, header.targets, load, run.slo)
        if kept != (suite.digest, options.models, options.load, options.slo):
            raise CompareError(
                f"{folder} is of another search: its suite, target, SLO or number of requests differ. Name another "
                f"folder with {options.spell('outputs')}"
            )
        return run
    return None


def _folders_of_load(place: Path) -> Iterator[Path]:
    """Yield a load's folder, then its name with a number appended, for when an interrupted run is in it."""
    yield place
    yield from (place.with_name(f"{place.name}.{number}") for number in range(2, 100))


def _read_load(run: Run, load: float, search: CapacitySearch) -> TriedLoad:
    points = run.open_loop if search.by_rate else run.sweep
    if not points:
        return TriedLoad(load, None, run_id=run.header.run_id)
    return TriedLoad(load, points[0].goodput, points[0].requests_per_s, points[0].ttft_p95_s, run.header.run_id)
