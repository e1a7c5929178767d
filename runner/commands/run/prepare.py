"""A run made ready: everything that can be wrong with it is found here, before the first request costs money."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runner.commands.run.job import PreparedRun, RunOptions
from runner.commands.run.replay_source import find_stand_in
from runner.core.load import LoadProfile
from runner.core.suite import Suite
from runner.errors import CompareError, InvalidFile, Problem
from runner.outputs import find_writer, known_suffixes
from runner.planning.plan import Plan, Target
from runner.planning.prices import Prices, find_prices
from runner.planning.targets import SelectedTargets, choose_cases, choose_targets
from runner.providers.config import find_config, load_config, load_prices
from runner.providers.endpoint import find_endpoint
from runner.providers.environment import read_environment
from runner.providers.plugins import with_plugins
from runner.providers.registry import Registry, builtin
from runner.storage.journal import Journal, read
from runner.storage.resume import (
    ResumedRun,
    refuse_foreign_suite,
    refuse_mixed_replay,
    refuse_new_vantages,
    refuse_timed_load,
    resume_state,
)
from runner.storage.run_folder import RESULTS, check_outputs, find_run, new_run_id, refuse_used_folder

SIMULATOR = "sim"
PERSONAS = ("quick", "steady", "thinker")
"""Whom a machine without any key asks."""


def load_registry(start: Path) -> Registry:
    """Return the built-in rows, those of plug-ins, and those of the nearest compare.yaml laid over them."""
    registry, config = with_plugins(builtin()), find_config(start)
    return registry.with_rows(load_config(config)) if config else registry


def find_suite(suite: Path | None, options: RunOptions) -> Path:
    """Return the suite's file: the one named, else that of the run to be resumed.

    Raises:
        CompareError: none is named, and no such run tells it.

    """
    if suite is not None:
        return suite
    if options.resume is None:
        raise CompareError("there is nothing to ask. Name a suite file, such as prompts/basic.yaml")
    header = read(find_run(options.resume)).header
    if header.path is None:
        raise CompareError(f"{header.run_id} was not made from a suite file; only a run of `compare run` is resumed")
    if not Path(header.path).is_file():
        raise CompareError(
            f"{header.path}, the suite of {header.run_id}, is not here. "
            f"Name it: compare run SUITE --resume {options.resume}"
        )
    return Path(header.path)


def load_suite(path: Path) -> tuple[Suite, Registry]:
    """Read a suite and the rows it is used with; every problem of both files is reported at once."""
    from runner.suite.load import load  # noqa: PLC0415 -- brings pydantic and the YAML reader

    problems: list[Problem] = []
    registry = builtin()
    try:
        registry = load_registry(path)
    except InvalidFile as error:
        problems += error.problems
    try:
        suite, rows = load(path, registry.names)
    except InvalidFile as error:
        raise InvalidFile([*problems, *error.problems]) from None
    if problems:
        raise InvalidFile(problems)
    return suite, registry.with_rows(rows)


def prepare(suite: Suite, registry: Registry, options: RunOptions) -> PreparedRun:
    """Make everything certain that can be, before the first request costs money."""
    if options.record and options.fleet is not None:
        raise CompareError("--record keeps what this machine reads, and --engine ray has others read it: choose one")
    journal = _open_journal(suite, options)
    options = options if journal is None else options.like(journal.header)
    stand_in = find_stand_in(options.replay, fast=options.fast)
    start = Path(suite.path) if suite.path else Path.cwd()
    environ = read_environment(options.env_files, start, os.environ)
    configured = registry
    if stand_in is not None:
        registry, environ = stand_in.registry(registry), {}
        options = replace(options, wish=stand_in.wish(options.wish))
    suite = choose_cases(suite, options.cases)
    choice = choose_targets(suite, options.wish, registry, environ)
    if not choice.targets:
        choice = _simulated_choice(suite, registry, choice.notes)
    if stand_in is not None:
        stand_in.refuse_unrecorded(choice.targets)
        choice = replace(choice, notes=(*choice.notes, stand_in.note))
    started = datetime.now().astimezone()
    folder, outputs = _split_outputs(options.outputs, suite.name, started, journal)
    _check_writers(outputs, folder)
    plan = _plan(suite, choice, options)
    job = PreparedRun(
        suite=suite,
        plan=plan,
        choice=choice,
        folder=folder,
        options=options,
        outputs=outputs,
        prices=_find_prices(choice, configured, start, started),
        started=started,
        past=None if journal is None else _past(journal, plan, retry_errors=options.retry_errors),
        stand_in=stand_in,
    )
    if options.fleet is None and plan.vantages and job.left != 0:
        names = ", ".join(node.name for node in plan.vantages)
        raise CompareError(f"{job.run_id} asks everything from each of {names}. Go on with --engine ray")
    return job


def _open_journal(suite: Suite, options: RunOptions) -> Journal | None:
    """Open the journal of the run to be resumed, if there is one, and see that this suite and load may resume it."""
    if options.resume is None:
        if options.retry_errors:
            raise CompareError("--retry-errors repeats what failed in a run. Name the run: --resume RUN")
        return None
    journal = read(find_run(options.resume))
    refuse_foreign_suite(suite, journal.header)
    refuse_mixed_replay(journal.header, replayed=options.replay is not None)
    refuse_new_vantages(journal.header, wanted=options.fleet is not None and options.fleet.vantage)
    refuse_timed_load(LoadProfile.from_plain({**journal.header.load, **options.load.to_plain()}), journal.header)
    return journal


def _find_prices(choice: SelectedTargets, registry: Registry, start: Path, at: datetime) -> Prices:
    """Find what the targets cost on the day of the run, by the nearest compare.yaml or by what is published."""
    config = find_config(start)
    written = load_prices(config, registry) if config else {}
    base_urls = {name: endpoint.base_url for name, endpoint in choice.endpoints.items()}
    return find_prices(choice.targets, base_urls, written, at)


def _past(journal: Journal, plan: Plan, *, retry_errors: bool) -> ResumedRun:
    return ResumedRun(journal, resume_state(plan, journal.kept_records, retry_errors=retry_errors))


def _plan(suite: Suite, choice: SelectedTargets, options: RunOptions) -> Plan:
    has_own_end = options.load.is_bounded or options.until_ci is not None
    return Plan(
        cases=suite.cases,
        targets=choice.targets,
        repeat=options.repeat or (None if has_own_end else suite.repeat),
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        order=options.order or "blocks",
        warmups=options.warmup_requests,
        levels=max(1, len(options.load.levels)),
        vantages=options.vantages,
    )


def _simulated_choice(suite: Suite, registry: Registry, notes: Sequence[str]) -> SelectedTargets:
    targets = tuple(Target(SIMULATOR, persona, suite.parameters, simulated=True) for persona in PERSONAS)
    why = "no provider is configured, so the built-in simulator answers; `compare providers` shows which keys count"
    return SelectedTargets(targets, {SIMULATOR: find_endpoint(SIMULATOR, registry, {})}, (*notes, why))


def _check_writers(outputs: Sequence[Path], folder: Path) -> None:
    """Find what writes each output, so that nothing is missing or broken once the run is over."""
    suffixes = [path.suffix.lower() for path in outputs]
    check_outputs(outputs, known_suffixes(suffixes), folder)
    for suffix in suffixes:
        find_writer(suffix)


def _split_outputs(
    outputs: Sequence[Path], suite: str, started: datetime, journal: Journal | None
) -> tuple[Path, tuple[Path, ...]]:
    """Tell the run's folder, which has no suffix, from further outputs, which have one."""
    folders = [path for path in outputs if not path.suffix or os.path.isdir(path)]  # noqa: PTH112 -- never raises
    if len(folders) > 1:
        raise CompareError(f"-o names two folders, {folders[0]} and {folders[1]}; a run has one")
    if journal is not None:
        if folders:
            raise CompareError(f"-o {folders[0]} names a folder; a resumed run stays in its own, {journal.path.parent}")
        return journal.path.parent, tuple(outputs)
    folder = folders[0] if folders else RESULTS / new_run_id(suite, started)
    refuse_used_folder(folder)
    return folder, tuple(path for path in outputs if path not in folders)
