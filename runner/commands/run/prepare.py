"""Prepare a run: everything that can be wrong with it is found here, before its first request costs money."""

import os
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runner.commands.allowed_hosts import find_unallowed
from runner.commands.run.check_attachments import refuse_secret_files, refuse_unsendable
from runner.commands.run.options import NamedFolder, RunOptions
from runner.commands.run.prepared_run import PreparedJudge, PreparedRun
from runner.commands.run.prompt_secrets import known_secrets, refuse_secrets
from runner.commands.run.replay_source import ReplaySource, open_replay_source
from runner.commands.run.resume import find_resumed_run, open_resumed_journal, settle_options, vantages_of
from runner.core.cluster_options import Node
from runner.core.suite import Suite
from runner.core.target_name import TargetName
from runner.errors import CompareError, MissingKey, UnknownTarget
from runner.outputs import find_writer, known_suffixes
from runner.planning.cache_probe import probe_caches
from runner.planning.judge_forecast import rubrics_of
from runner.planning.plan import Plan, Target
from runner.planning.prices import Prices, find_prices
from runner.planning.targets import (
    SelectedTargets,
    TargetSelection,
    choose_cases,
    choose_targets,
    describe_no_key,
    unlisted_targets,
)
from runner.pricing.rates import Price
from runner.providers.config import find_configs, load_prices, user_config
from runner.providers.endpoint import find_endpoint
from runner.providers.environment import Environment, is_ci, read_environment
from runner.providers.redaction import short_key_notes
from runner.providers.registry import Registry
from runner.providers.trust import UntrustedHost
from runner.simulator.http_request import RequestError
from runner.simulator.model_names import PROVIDER as SIMULATOR
from runner.simulator.model_names import parse_model
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
from runner.suite.vary_targets import vary_targets

AskUser = Callable[[UntrustedHost], None]

NO_JUDGE = "the judge has no key: no rubric is decided; --resume asks it when the key is set"
PERSONAS = ("quick", "steady", "thinker")
"""Personas asked when no provider is configured."""


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

    The run to resume is opened, and options that are left out take its values. The folder is claimed before anything
    is asked of the user. Cases are selected, then targets, of
    the configured providers or of a recorded run. The folder and the outputs are checked, the plan is made, and its
    prices are found.

    Args:
        suite: what to ask.
        registry: the providers that are known.
        options: the user's options.
        simulate: whether the simulator answers where no provider is configured. By default it does not in CI or
            behind a gate: an empty secret would otherwise pass.
        sends: whether requests are to follow; for a plan, hosts that were not allowed are notes.
        ask: asks the user about hosts that were not allowed, and raises the refusal if the answer is no.

    Raises:
        CompareError: the run cannot be started as the suite and the options say.
        MissingKey: a target that was asked for by name has no key, or no provider has one and nothing is simulated.
        UntrustedHost: a suite or a found file names a host that the user has not allowed.

    """
    journal = open_resumed_journal(suite, options)
    claim = _claim_folder(options, journal) if sends else None
    try:
        prepared = _prepare(suite, registry, options, journal, simulate=simulate, sends=sends, ask=ask)
    except BaseException:
        if claim is not None:
            claim.release()  # now: a notebook keeps the traceback, and with it the claim
        raise
    return replace(prepared, claim=claim)


def _prepare(
    suite: Suite,
    registry: Registry,
    options: RunOptions,
    journal: Journal | None,
    *,
    simulate: bool | None,
    sends: bool,
    ask: AskUser | None,
) -> PreparedRun:
    options = settle_options(options, journal)
    options = replace(options, slo=options.slo or suite.slo)
    source = open_replay_source(options.replay, fast=options.fast)
    if source is not None and not options.vary:
        options = replace(options, vary=source.vary)
    start = Path(suite.path) if suite.path else Path.cwd()
    environ = read_environment(options.env_files, start, os.environ)
    suite = vary_targets(choose_cases(suite, options.cases), options.vary)
    if options.cache_probe:
        suite = probe_caches(suite, options.cache_idles)
    if simulate is None:
        simulate = not (options.gate or options.fail_undecided or is_ci(os.environ))
    earlier = {} if journal is None else journal.header.variants
    selected = _select_targets(suite, options, registry, environ, source, earlier=earlier, simulate=simulate)
    if source is None:
        selected = _check_trust(suite, selected, registry, environ, options.allow_hosts, sends=sends, ask=ask)
    selected = _with_options(suite, selected, options)
    started = datetime.now().astimezone()
    folder, outputs = _place_outputs(options, suite, started, journal)
    plan = _make_plan(suite, selected, options, vantages_of(journal))
    prepared = PreparedRun(
        suite=suite,
        plan=plan,
        selected=selected,
        folder=folder,
        options=options,
        outputs=outputs,
        prices=_find_prices(selected, registry, start, started),
        started=started,
        resumed=find_resumed_run(journal, plan, retry_errors=options.retry_errors),
        replay_source=source,
    )
    _refuse_missing_cluster(prepared)
    if source is not None or not any(rubrics_of(case) for case in suite.cases):
        return prepared
    judge = prepare_judge(suite, registry, options, environ, started, sends=sends, ask=ask)
    return _with_note(prepared, NO_JUDGE) if judge is None else replace(prepared, judge=judge)


def _with_options(suite: Suite, selected: SelectedTargets, options: RunOptions) -> SelectedTargets:
    """Return targets with what the options say of all of them.

    Raises:
        CompareError: a target's API has no form for an attachment of the suite.

    """
    targets = selected.targets
    if options.cache_probe:
        targets = _with_warm_caches(targets)
    notes = refuse_unsendable(suite, targets, selected.endpoints)
    if options.reply_limit is not None:
        targets = _with_reply_limit(targets, options.reply_limit)
    return replace(selected, targets=targets, notes=(*selected.notes, *notes))


def _with_note(prepared: PreparedRun, note: str) -> PreparedRun:
    return replace(prepared, selected=replace(prepared.selected, notes=(*prepared.selected.notes, note)))


def prepare_judge(
    suite: Suite,
    registry: Registry,
    options: RunOptions,
    environ: Environment,
    started: datetime,
    *,
    sends: bool,
    ask: AskUser | None,
) -> PreparedJudge | None:
    """Return a suite's judge, ready to be asked; None if it has no key and `skip_missing` allows that.

    Raises:
        MissingKey: the judge has no key.
        CompareError: it cannot be asked for another reason.

    """
    assert suite.judge is not None, "a suite with rubrics names a judge"
    alone = replace(suite, targets=(suite.judge,), variants=())
    try:
        selected = choose_targets(alone, TargetSelection(), registry, environ)
    except MissingKey as error:
        if options.skip_missing:
            return None
        raise MissingKey(f"the judge {suite.judge.names[0]}: {error}") from None
    _refuse_unknown_simulated(selected)
    selected = _check_trust(alone, selected, registry, environ, options.allow_hosts, sends=sends, ask=ask)
    (target,) = selected.targets
    start = Path(suite.path) if suite.path else Path.cwd()
    prices = _find_prices(selected, registry, start, started)
    return PreparedJudge(target, selected.endpoints[target.provider], prices, selected.notes)


def _select_targets(
    suite: Suite,
    options: RunOptions,
    registry: Registry,
    environ: Mapping[str, str],
    source: ReplaySource | None,
    *,
    earlier: Collection[str],
    simulate: bool,
) -> SelectedTargets:
    """Return the targets to ask: those that are named, else those listed or configured, else the simulator's.

    `earlier` are the names that were variants' in the run that is resumed.
    """
    selection = TargetSelection(options.arms or options.models, options.providers, skip_missing=options.skip_missing)
    if source is not None:
        return _select_recorded(suite, selection, registry, source)
    selected = choose_targets(suite, selection, registry, environ)
    _refuse_lost_variants(selected.targets, earlier)
    if selected.targets:
        _refuse_unknown_simulated(selected)
        return selected
    if not simulate:
        raise MissingKey(describe_no_key(registry, environ))
    return _select_simulator(suite, registry, selected.notes)


def _check_trust(
    suite: Suite,
    selected: SelectedTargets,
    registry: Registry,
    environ: Environment,
    allowed: tuple[str, ...],
    *,
    sends: bool,
    ask: AskUser | None,
) -> SelectedTargets:
    """Refuse hosts that the user has not allowed and prompts that hold a secret; return the targets with notes."""
    endpoints = selected.endpoints.values()
    unallowed = find_unallowed(endpoints, registry, environ, allowed)
    if unallowed and sends:
        refusal = UntrustedHost(unallowed, user_config())
        if ask is None:
            raise refusal
        ask(refusal)
        unallowed = []
    secrets = known_secrets(endpoints, registry.rows.values(), environ)
    refuse_secrets(suite, secrets)
    refuse_secret_files(suite, secrets)
    asked = [f"{host}; `compare run` asks before it does." for host in unallowed]
    notes = (*registry.notes, *environ.notes, *asked, *selected.notes, *short_key_notes(endpoints))
    return replace(selected, notes=tuple(dict.fromkeys(notes)))


def _refuse_unknown_simulated(selected: SelectedTargets) -> None:
    """Raise UnknownTarget, naming all of them, if the simulator has no such models or they have no such options."""
    faults = []
    models = dict.fromkeys(target.model for target in selected.targets if target.provider == SIMULATOR)
    for name in (TargetName(SIMULATOR, model) for model in models):
        try:
            parse_model(name.model)
        except RequestError as error:
            faults += [f"{name}: {error}", *(note for note in selected.notes if note.startswith(f"{name}: "))]
    if faults:
        raise UnknownTarget("\n".join(faults))


def _select_recorded(
    suite: Suite, selection: TargetSelection, registry: Registry, source: ReplaySource
) -> SelectedTargets:
    """Return the recorded targets, or those of them that are named."""
    if not (selection.models or selection.providers):
        selection = replace(selection, models=tuple(map(str, source.targets)))
    selected = choose_targets(suite, selection, source.offline_registry(registry), {})
    _refuse_lost_variants(selected.targets, [str(name) for name in source.targets if name.variant is not None])
    source.refuse_unrecorded(selected.targets)
    targets = tuple(replace(target, names_variant=True) for target in selected.targets)
    return replace(selected, targets=targets, notes=(*selected.notes, source.note))


def _refuse_lost_variants(targets: Iterable[Target], variants: Collection[str]) -> None:
    """Raise CompareError if a name that was a variant's in an earlier run would now be sent as a model's."""
    lost = [target.name for target in targets if target.variant is None and target.name in variants]
    if lost:
        raise CompareError(
            f"{', '.join(lost)}: asked as a variant before, which the suite does not have now. "
            "Put it back into the suite, or name the targets: -m provider/model"
        )


def _select_simulator(suite: Suite, registry: Registry, notes: Sequence[str]) -> SelectedTargets:
    names = [TargetName(SIMULATOR, persona) for persona in PERSONAS]
    targets = tuple(replace(target, simulated=True) for name in names for target in unlisted_targets(name, suite))
    why = "no provider is configured, so the built-in simulator answers; `compare providers` shows which keys count"
    return SelectedTargets(targets, {SIMULATOR: find_endpoint(SIMULATOR, registry, {})}, (*notes, why))


def _with_warm_caches(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return targets whose prompts may be cached by an API that has to be asked for it."""
    return tuple(replace(each, parameters=replace(each.parameters, cache="warm")) for each in targets)


def _with_reply_limit(targets: Sequence[Target], limit: int) -> tuple[Target, ...]:
    return tuple(replace(each, parameters=replace(each.parameters, reply_limit=limit)) for each in targets)


def _place_outputs(
    options: RunOptions, suite: Suite, started: datetime, journal: Journal | None
) -> tuple[Path, tuple[Path, ...]]:
    """Return the run's folder, and the further files to write, each of which has a writer."""
    folders = _folders_in(options.outputs)
    if len(folders) > 1:
        raise CompareError(f"-o names two folders, {folders[0]} and {folders[1]}; a run has one")
    if journal is not None:
        folder = journal.path.parent
        if folders:
            raise CompareError(f"-o {folders[0]} names a folder; a resumed run stays in its own, {folder}")
    else:
        folder = folders[0] if folders else RESULTS / new_run_id(suite.name, started)
        refuse_used_folder(folder)
    files = tuple(path for path in options.outputs if path not in folders)
    named = (suite.path, *suite.files, *options.env_files, options.baseline)
    _check_writers(files, folder, [Path(each) for each in named if each is not None])
    return folder, files


def _folders_in(outputs: Sequence[Path]) -> list[Path]:
    """Return which of the outputs are folders for a run rather than files."""
    return [
        path
        for path in outputs
        if isinstance(path, NamedFolder) or not path.suffix or os.path.isdir(path)  # noqa: PTH112 -- never raises
    ]


def _claim_folder(options: RunOptions, journal: Journal | None) -> FolderClaim | None:
    """Claim the folder that is resumed or named with -o; None for one whose name is new, which nobody else takes."""
    if journal is not None:
        return claim_folder(journal.path.parent, journal)
    folders = _folders_in(options.outputs)
    return claim_folder(folders[0]) if len(folders) == 1 else None


def _check_writers(files: Sequence[Path], folder: Path, reads: Sequence[Path]) -> None:
    """Find the writer of each file, so that none turns out to be missing or broken when the run is over."""
    suffixes = [path.suffix.lower() for path in files]
    views = [folder / name for name in DEFAULT_OUTPUTS]
    check_outputs([*views, *files], known_suffixes(suffixes), folder, reads)
    for suffix in suffixes:
        find_writer(suffix)


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


def _find_prices(selected: SelectedTargets, registry: Registry, start: Path, at: datetime) -> Prices:
    """Return the targets' prices on the day of the run, from the nearest compare.yaml or as published."""
    user_prices: dict[str, Price] = {}
    for config in find_configs(start):  # the nearest one first, since the first price that fits counts
        prices = load_prices(config, registry)
        user_prices |= {target: price for target, price in prices.items() if target not in user_prices}
    base_urls = {name: endpoint.base_url for name, endpoint in selected.endpoints.items()}
    return find_prices(selected.targets, base_urls, user_prices, at)


def _refuse_missing_cluster(prepared: PreparedRun) -> None:
    """Raise CompareError if requests remain that only the nodes of a cluster may send, and no cluster is named."""
    if prepared.options.cluster is None and prepared.plan.vantages and prepared.remaining_requests != 0:
        names = ", ".join(node.name for node in prepared.plan.vantages)
        raise CompareError(f"{prepared.run_id} asks everything from each of {names}. Go on with --engine ray")
