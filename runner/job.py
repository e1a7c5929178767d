"""A run made ready: everything that can be wrong with it is found here, before the first request costs money."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from runner.choice import Choice, Wish, choose_cases, choose_targets
from runner.errors import CompareError, InvalidFile, Problem
from runner.folder import RESULTS, check_outputs, new_run_id, refuse_used_folder
from runner.outputs import WRITERS
from runner.plan import Plan, Target
from runner.providers.config import find_config, load_config
from runner.providers.endpoint import read_endpoint
from runner.providers.environment import read_environment
from runner.providers.redaction import Redactor
from runner.providers.registry import Registry, builtin
from runner.suite.case import Suite

CONCURRENCY = 4
"""Requests under way at one provider unless its row or the user says otherwise: equal load for all."""

SIMULATOR = "sim"
PERSONAS = ("quick", "steady", "thinker")
"""Whom a machine without any key asks."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a command says beside the suite; None leaves the suite's, or the default, in force."""

    wish: Wish = field(default_factory=Wish)
    cases: tuple[str, ...] = ()
    repeat: int | None = None
    seed: int | None = None
    concurrency: int | None = None
    env_files: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    bom: bool = False
    warmup_requests: int = 0
    estimate_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is ready to start: nothing about it can fail for want of a file, a name or a key."""

    suite: Suite
    plan: Plan
    choice: Choice
    concurrency: int | None
    folder: Path
    outputs: tuple[Path, ...]
    bom: bool
    estimate_tokens: bool
    started: datetime

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator stands in."""
        return any(target.simulated for target in self.plan.targets)

    @property
    def limits(self) -> dict[str, int]:
        """How many requests each provider may have under way."""
        rows = {name: endpoint.row for name, endpoint in self.choice.endpoints.items()}
        return {name: self.concurrency or row.concurrency or CONCURRENCY for name, row in rows.items()}

    @property
    def redactor(self) -> Redactor:
        """Hides the keys this job may use."""
        return Redactor(endpoint.key for endpoint in self.choice.endpoints.values() if endpoint.key is not None)


def load_registry(start: Path) -> Registry:
    """Return the built-in rows with those of the nearest compare.yaml laid over them."""
    config = find_config(start)
    return builtin().with_rows(load_config(config)) if config else builtin()


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


def prepare(suite: Suite, registry: Registry, options: Options) -> Job:
    """Make everything certain that can be, before the first request costs money."""
    start = Path(suite.path) if suite.path else Path.cwd()
    environ = read_environment(options.env_files, start, os.environ)
    suite = choose_cases(suite, options.cases)
    choice = choose_targets(suite, options.wish, registry, environ)
    if not choice.targets:
        choice = _simulated_choice(suite, registry, choice.notes)
    started = datetime.now().astimezone()
    folder, outputs = _split_outputs(options.outputs, suite.name, started)
    refuse_used_folder(folder)
    check_outputs(outputs, WRITERS, folder)
    plan = Plan(
        cases=suite.cases,
        targets=choice.targets,
        repeat=options.repeat or suite.repeat,
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        warmups=options.warmup_requests,
    )
    return Job(
        suite=suite,
        plan=plan,
        choice=choice,
        concurrency=options.concurrency,
        folder=folder,
        outputs=outputs,
        bom=options.bom,
        estimate_tokens=options.estimate_tokens,
        started=started,
    )


def _simulated_choice(suite: Suite, registry: Registry, notes: Sequence[str]) -> Choice:
    targets = tuple(Target(SIMULATOR, persona, suite.parameters, simulated=True) for persona in PERSONAS)
    why = "no provider is configured, so the built-in simulator answers; `compare providers` shows which keys count"
    return Choice(targets, {SIMULATOR: read_endpoint(SIMULATOR, registry, {})}, (*notes, why))


def _split_outputs(outputs: Sequence[Path], suite: str, started: datetime) -> tuple[Path, tuple[Path, ...]]:
    """Tell the run's folder, which has no suffix, from further outputs, which have one."""
    folders = [path for path in outputs if not path.suffix or os.path.isdir(path)]  # noqa: PTH112 -- never raises
    if len(folders) > 1:
        raise CompareError(f"-o names two folders, {folders[0]} and {folders[1]}; a run has one")
    folder = folders[0] if folders else RESULTS / new_run_id(suite, started)
    return folder, tuple(path for path in outputs if path not in folders)
