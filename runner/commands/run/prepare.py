"""Prepare a run: find everything that can be wrong with it before its first request costs money."""

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.commands.allowed_hosts import AskUser, find_unallowed, refuse_unallowed
from runner.commands.run.load_suite import find_suite, load_suite
from runner.commands.run.options import RunOptions, check_options
from runner.commands.run.prepared_run import PreparedJudge, PreparedRun
from runner.commands.run.refuse_secrets_and_attachments import known_secrets, refuse_secret_files, refuse_secrets
from runner.commands.run.replay_source import ReplaySource, open_replay_source, vary_as_recorded
from runner.commands.run.resume import find_resumed_run, open_resumed_journal, resumed_options, vantages_of
from runner.commands.run.select_targets import refuse_unknown_simulated, select_recorded, select_targets, with_options
from runner.core.cluster_node import Node
from runner.core.suite import Suite
from runner.errors import CompareError, ErrorCollector, InvalidFile, MissingKey, SeveralErrors
from runner.outputs import find_writer, known_suffixes
from runner.planning.cache_probe_suite import probe_caches
from runner.planning.plan import Plan
from runner.planning.target_patterns import SelectedTargets, TargetSelection, choose_cases, choose_targets
from runner.planning.target_prices import Prices, find_prices
from runner.pricing.rates import Price
from runner.providers.config_files import find_configs, load_prices
from runner.providers.environment import Environment, is_ci, read_environment
from runner.providers.redaction import short_key_notes
from runner.providers.registry import Registry
from runner.storage.journal import Journal
from runner.storage.run_folder import (
    DEFAULT_OUTPUTS,
    RESULTS,
    FolderClaim,
    check_outputs,
    claim_folder,
    new_run_id,
    refuse_used_folder,
)
from runner.suite.suite_targets import vary_targets

if TYPE_CHECKING:
    from runner.commands.diff import Gate


@dataclass(frozen=True, slots=True)
class PrepareContext:
    """The context in which a suite is prepared: providers, options, variables, and how to ask the user."""

    registry: Registry
    options: RunOptions
    """The options as the user set them."""
    start: Path
    """Path at which the search for the nearest compare.yaml starts."""
    environ: Environment
    sends: bool = True
    """Whether requests will follow; for a plan, hosts that are not allowed become notes."""
    ask: AskUser | None = None
    """Asks the user about hosts that are not allowed, and raises the refusal if the answer is no."""

    @classmethod
    def of(
        cls, suite: Suite, registry: Registry, options: RunOptions, *, sends: bool = True, ask: AskUser | None = None
    ) -> "PrepareContext":
        """Return the context of a suite, with the variables of the .env nearest to its file."""
        start = Path(suite.path) if suite.path else Path.cwd()
        environ = read_environment(options.env_files, start, os.environ)
        return cls(registry.with_allowed_hosts(options.allow_hosts), options, start, environ, sends, ask)


def prepare_with_gate(
    path: Path | None, options: RunOptions, ask: AskUser | None = None
) -> "tuple[PreparedRun, Gate | None]":
    """Return the run of a suite file and the gate that it must pass; None if the options name no comparison.

    Raises:
        CompareError: the run or the gate cannot be used. If the gate cannot be opened, no folder is claimed and nobody
            is asked, and the message has the mistakes of the run, too.

    """
    if not options.compares:
        return prepare_file(path, options, ask=ask), None
    from runner.commands.diff import open_gate  # brings pandas

    errors = ErrorCollector()
    gate = errors.attempt(open_gate, options)
    if gate is None:
        errors.attempt(prepare_file, path, options, sends=False)
        with noting_that_nothing_was_sent(sends=True):
            errors.raise_collected()
    assert gate is not None
    prepared = prepare_file(path, options, ask=ask)
    names = [target.name for target in prepared.plan.targets]
    return prepared, gate.with_planned_names(names, prepared.suite.cases, prepared.options.slo)


def prepare_file(
    path: Path | None, options: RunOptions, *, sends: bool = True, ask: AskUser | None = None
) -> PreparedRun:
    """Return the run of a suite file, by default of the run to resume, ready to start; arguments as for `prepare`.

    Raises:
        CompareError: as for `prepare`, or the file is wrong; the message then has the mistakes of the options, too.

    """
    path, errors = find_suite(path, options), ErrorCollector()
    with noting_that_nothing_was_sent(sends=sends):
        loaded = errors.attempt(load_suite, path)
        if loaded is None:
            errors.attempt(check_options, options)
            if options.resume is None:
                unread = Suite(path.stem, (), digest="", path=str(path))
                errors.attempt(_choose_outputs, options, unread, datetime.now().astimezone(), None)
        errors.raise_collected()
    assert loaded is not None
    return prepare(*loaded, options, sends=sends, ask=ask)


@contextmanager
def noting_that_nothing_was_sent(*, sends: bool = True) -> Iterator[None]:
    """Add a note to errors that list problems, if requests would have followed."""
    try:
        yield
    except (InvalidFile, SeveralErrors) as error:
        if sends:
            error.add_note("Nothing was sent.")
        raise


def prepare(
    suite: Suite,
    registry: Registry,
    options: RunOptions,
    *,
    simulate: bool | None = None,
    sends: bool = True,
    ask: AskUser | None = None,
) -> PreparedRun:
    """Return a run that is ready to start.

    The steps are: open the run to resume; claim the folder, before the user is asked anything; fill omitted options
    from the resumed run, the recorded run or the suite; check the options, select cases, make the turns of a cache
    probe, choose the outputs, and select targets and the judge, whose mistakes are reported at once; ask about hosts
    that are not allowed, and refuse secrets; make the plan; find the prices; find what the resumed run leaves to be
    sent; check the host of the judge and its prompts, too.

    Args:
        suite: the suite to send.
        registry: the known providers.
        options: the user's options.
        simulate: whether the simulator answers if no provider is configured. By default it does not in CI or with a
            gate, where an empty secret would otherwise pass.
        sends, ask: see `PrepareContext`.

    Raises:
        CompareError: the run cannot be started with this suite and these options.
        MissingKey: a named target has no key, or no provider has one and the simulator is not to answer.
        HostNotAllowed: only a suite or a found file names a host, and the user has not allowed it.

    """
    if options.resume is not None:
        check_options(options)  # contradictions in themselves, before those with the resumed run
    journal = open_resumed_journal(suite, options)
    claim = _claim_outputs(options, journal) if sends else None
    if simulate is None:
        simulate = not (options.gate or options.fail_undecided or is_ci(os.environ))
    try:
        with noting_that_nothing_was_sent(sends=sends):
            context = PrepareContext.of(suite, registry, options, sends=sends, ask=ask)
            prepared = _prepare(suite, context, journal, simulate=simulate)
    except BaseException:
        if claim is not None:
            claim.release()  # explicitly, since a notebook keeps the traceback and so the claim
        raise
    return replace(prepared, claim=claim)


def _prepare(suite: Suite, context: PrepareContext, journal: Journal | None, *, simulate: bool) -> PreparedRun:
    errors = ErrorCollector()
    options = errors.attempt(check_options, context.options) or context.options
    source = open_replay_source(options.replay, fast=options.fast)
    if not errors.errors:
        options = vary_as_recorded(resumed_options(options, journal), source)
    options = replace(options, slo=options.slo or suite.slo)
    started = datetime.now().astimezone()
    chosen = errors.attempt(_cases_to_send, suite, options)
    paths = errors.attempt(_choose_outputs, options, suite, started, journal)
    varied = errors.attempt(vary_targets, chosen or suite, options.vary, options.spell("vary"))
    earlier = {} if journal is None else journal.header.variants
    selected = None
    if varied is not None:
        selected = errors.attempt(_select, varied, options, context, source, earlier=earlier, simulate=simulate)
    if chosen is not None and _is_judged(chosen, source):
        errors.attempt(_select_judge, _judge_alone(chosen), context)
    errors.raise_collected()
    assert paths is not None
    assert varied is not None
    assert selected is not None
    (folder, outputs), suite = paths, varied
    if source is None:
        selected = _refuse_unsafe(suite, selected, context)
    selected = with_options(suite, selected, options)
    plan = _make_plan(suite, selected, options, vantages_of(journal))
    prepared = PreparedRun(
        suite=suite,
        plan=plan,
        selected=selected,
        folder=folder,
        options=options,
        outputs=outputs,
        prices=_find_prices(selected, context, started),
        started=started,
        resumed=find_resumed_run(journal, plan, retry_errors=options.retry_errors),
        replay_source=source,
    )
    _refuse_missing_cluster(prepared)
    return _with_judge(prepared, context)


def _cases_to_send(suite: Suite, options: RunOptions) -> Suite:
    chosen = choose_cases(suite, options.cases, options.spell)
    return probe_caches(chosen, options.cache_idles) if options.cache_probe else chosen


def _select(
    suite: Suite,
    options: RunOptions,
    context: PrepareContext,
    source: ReplaySource | None,
    *,
    earlier: Collection[str],
    simulate: bool,
) -> SelectedTargets:
    if source is not None:
        return select_recorded(suite, options, context.registry, source)
    return select_targets(suite, options, context.registry, context.environ, earlier=earlier, simulate=simulate)


def _is_judged(suite: Suite, source: ReplaySource | None) -> bool:
    """Return whether a judge is asked about rubrics; a replay copies the answers of the recorded one."""
    return source is None and any(case.rubrics for case in suite.cases)


def _with_judge(prepared: PreparedRun, context: PrepareContext) -> PreparedRun:
    """Return the run with the judge of its rubrics, if one is asked."""
    if not _is_judged(prepared.suite, prepared.replay_source):
        return prepared
    judge = prepare_judge(prepared.suite, context, prepared.started)
    if judge is None:
        resume = context.options.spell("resume", str(prepared.folder))
        note = f"the judge has no key: no rubric is decided; {resume} asks it when the key is set"
        return replace(prepared, selected=replace(prepared.selected, notes=(*prepared.selected.notes, note)))
    return replace(prepared, judge=judge)


def prepare_judge(suite: Suite, context: PrepareContext, started: datetime) -> PreparedJudge | None:
    """Return a suite's judge with its endpoint and prices; None if it has no key and `skip_missing` is set.

    Raises:
        MissingKey: the judge has no key.
        CompareError: the judge cannot be asked for another reason.

    """
    alone = _judge_alone(suite)
    selected = _select_judge(alone, context)
    if selected is None:
        return None
    selected = _refuse_unsafe(alone, selected, context)
    (target,) = selected.targets
    prices = _find_prices(selected, context, started)
    return PreparedJudge(target, selected.endpoints[target.provider], prices, selected.notes)


def _judge_alone(suite: Suite) -> Suite:
    """Return a suite whose only target is its judge."""
    assert suite.judge is not None, "a suite with rubrics names a judge"
    return replace(suite, targets=(suite.judge,), variants=())


def _select_judge(alone: Suite, context: PrepareContext) -> SelectedTargets | None:
    try:
        selected = choose_targets(alone, TargetSelection(context.options.spell), context.registry, context.environ)
    except MissingKey as error:
        if context.options.skip_missing:
            return None
        raise MissingKey(f"the judge {alone.targets[0].names[0]}: {error}") from None
    refuse_unknown_simulated(selected)
    return selected


def _refuse_unsafe(suite: Suite, selected: SelectedTargets, context: PrepareContext) -> SelectedTargets:
    """Refuse hosts that the user has not allowed, and prompts that hold a secret; return the targets with notes."""
    registry, environ, endpoints = context.registry, context.environ, selected.endpoints.values()
    asked: list[str] = []
    if context.sends:
        refuse_unallowed(endpoints, registry, environ, context.ask)
    else:
        unallowed = find_unallowed(endpoints, registry, environ)
        asked = [f"{host}; `compare run` asks before it does." for host in unallowed]
    secrets = known_secrets(endpoints, registry.rows.values(), environ)
    refuse_secrets(suite, secrets)
    refuse_secret_files(suite, secrets)
    notes = (*registry.notes, *environ.notes, *asked, *selected.notes, *short_key_notes(endpoints))
    return replace(selected, notes=tuple(dict.fromkeys(notes)))


def _make_plan(suite: Suite, selected: SelectedTargets, options: RunOptions, vantages: tuple[Node, ...]) -> Plan:
    load = options.load
    has_own_end = load.is_bounded or options.until_ci is not None
    return Plan(
        cases=suite.cases,
        targets=selected.targets,
        repeat=options.repeat or (None if has_own_end else suite.repeat),
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        order=options.order or "blocks",
        warmups=options.warmup_requests,
        levels=max(1, len(load.levels)),
        vantages=vantages,
    )


def _find_prices(selected: SelectedTargets, context: PrepareContext, at: datetime) -> Prices:
    """Return the targets' prices at a time: the user's own from compare.yaml files, else the published ones."""
    user_prices: dict[str, Price] = {}
    for config in find_configs(context.start):  # the nearest one first, since the first matching price counts
        prices = load_prices(config, context.registry)
        user_prices |= {target: price for target, price in prices.items() if target not in user_prices}
    base_urls = {name: endpoint.base_url for name, endpoint in selected.endpoints.items()}
    return find_prices(selected.targets, base_urls, user_prices, at)


def _refuse_missing_cluster(prepared: PreparedRun) -> None:
    """Raise CompareError if remaining requests need the nodes of a cluster, and no cluster is named."""
    if prepared.options.cluster is None and prepared.plan.vantages and prepared.remaining_requests != 0:
        names = ", ".join(node.name for node in prepared.plan.vantages)
        raise CompareError(
            f"{prepared.run_id} sends every request from each of {names}; add {prepared.options.spell('engine', 'ray')}"
        )


# Outputs


def _claim_outputs(options: RunOptions, journal: Journal | None) -> FolderClaim | None:
    """Claim the folder that is resumed or named with -o; return None for a new default folder, whose name is unique."""
    if journal is not None:
        return claim_folder(journal.path.parent, journal)
    folders = options.folders
    return claim_folder(folders[0]) if len(folders) == 1 else None


def _choose_outputs(
    options: RunOptions, suite: Suite, started: datetime, journal: Journal | None
) -> tuple[Path, tuple[Path, ...]]:
    """Return the run's folder and the further files to write, each of which has a writer.

    Raises:
        CompareError: two folders are named, a folder is named for a resumed run, or an output cannot be written.

    """
    folders = options.folders
    if len(folders) > 1:
        raise CompareError(
            f"{options.spell('outputs')} names two folders, {folders[0]} and {folders[1]}; a run has one"
        )
    if journal is not None:
        folder = journal.path.parent
        if folders:
            what = options.spell("outputs", str(folders[0]))
            raise CompareError(f"{what} names a folder; a resumed run stays in its own, {folder}")
    else:
        folder = folders[0] if folders else RESULTS / new_run_id(suite.name, started)
        refuse_used_folder(folder)
    files = tuple(path for path in options.outputs if path not in folders)
    named = (suite.path, *suite.files, *options.env_files, options.baseline)
    _check_writers(files, folder, [Path(each) for each in named if each is not None], options)
    return folder, files


def _check_writers(files: Sequence[Path], folder: Path, reads: Sequence[Path], options: RunOptions) -> None:
    """Load the writer of each file, so that a missing or broken one is found before the run."""
    suffixes = [path.suffix.lower() for path in files]
    views = [folder / name for name in DEFAULT_OUTPUTS]
    check_outputs(
        [*views, *files],
        known_suffixes(suffixes),
        folder,
        reads,
        spell=lambda path: options.spell("outputs", str(path)),
    )
    for suffix in suffixes:
        find_writer(suffix)
