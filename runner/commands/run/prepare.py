"""Prepare a run: find everything that can be wrong with it before its first request costs money."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runner.commands.allowed_hosts import find_unallowed
from runner.commands.run.check_contents import known_secrets, refuse_secret_files, refuse_secrets
from runner.commands.run.options import RunOptions
from runner.commands.run.place_outputs import claim_outputs, place_outputs
from runner.commands.run.prepared_run import PreparedJudge, PreparedRun
from runner.commands.run.replay_source import open_replay_source
from runner.commands.run.resume import find_resumed_run, open_resumed_journal, settle_options, vantages_of
from runner.commands.run.select_targets import refuse_unknown_simulated, select_targets, with_options
from runner.core.cluster_options import Node
from runner.core.suite import Suite
from runner.errors import CompareError, MissingKey
from runner.planning.cache_probe import probe_caches
from runner.planning.choose_prices import Prices, find_prices
from runner.planning.judge_forecast import rubrics_of
from runner.planning.plan import Plan
from runner.planning.targets import SelectedTargets, TargetSelection, choose_cases, choose_targets
from runner.pricing.rates import Price
from runner.providers.config_files import find_configs, load_prices, user_config
from runner.providers.environment import Environment, is_ci, read_environment
from runner.providers.redaction import short_key_notes
from runner.providers.registry import Registry
from runner.providers.trusted_hosts import UntrustedHost
from runner.storage.journal import Journal
from runner.suite.vary_targets import vary_targets

AskUser = Callable[[UntrustedHost], None]

NO_JUDGE = "the judge has no key: no rubric is decided; --resume asks it when the key is set"


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
        return cls(registry, options, start, environ, sends, ask)


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

    The steps are: open the run to resume, and fill omitted options from it; claim the folder, before the user is asked
    anything; select cases, then targets, from the configured providers or a recorded run; check the folder and the
    outputs; make the plan; find the prices.

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
        UntrustedHost: only a suite or a found file names a host, and the user has not allowed it.

    """
    journal = open_resumed_journal(suite, options)
    claim = claim_outputs(options, journal) if sends else None
    if simulate is None:
        simulate = not (options.gate or options.fail_undecided or is_ci(os.environ))
    try:
        context = PrepareContext.of(suite, registry, options, sends=sends, ask=ask)
        prepared = _prepare(suite, context, journal, simulate=simulate)
    except BaseException:
        if claim is not None:
            claim.release()  # explicitly, since a notebook keeps the traceback and so the claim
        raise
    return replace(prepared, claim=claim)


def _prepare(suite: Suite, context: PrepareContext, journal: Journal | None, *, simulate: bool) -> PreparedRun:
    options = settle_options(context.options, journal)
    options = replace(options, slo=options.slo or suite.slo)
    source = open_replay_source(options.replay, fast=options.fast)
    if source is not None and not options.vary:
        options = replace(options, vary=source.vary)
    suite = vary_targets(choose_cases(suite, options.cases), options.vary)
    if options.cache_probe:
        suite = probe_caches(suite, options.cache_idles)
    earlier = {} if journal is None else journal.header.variants
    selected = select_targets(
        suite, options, context.registry, context.environ, source, earlier=earlier, simulate=simulate
    )
    if source is None:
        selected = _check_trust(suite, selected, context)
    selected = with_options(suite, selected, options)
    started = datetime.now().astimezone()
    folder, outputs = place_outputs(options, suite, started, journal)
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
    if source is not None or not any(rubrics_of(case) for case in suite.cases):
        return prepared
    judge = prepare_judge(suite, context, started)
    if judge is None:
        return replace(prepared, selected=replace(selected, notes=(*selected.notes, NO_JUDGE)))
    return replace(prepared, judge=judge)


def prepare_judge(suite: Suite, context: PrepareContext, started: datetime) -> PreparedJudge | None:
    """Return a suite's judge with its endpoint and prices; None if it has no key and `skip_missing` is set.

    Raises:
        MissingKey: the judge has no key.
        CompareError: the judge cannot be asked for another reason.

    """
    assert suite.judge is not None, "a suite with rubrics names a judge"
    alone = replace(suite, targets=(suite.judge,), variants=())
    try:
        selected = choose_targets(alone, TargetSelection(), context.registry, context.environ)
    except MissingKey as error:
        if context.options.skip_missing:
            return None
        raise MissingKey(f"the judge {suite.judge.names[0]}: {error}") from None
    refuse_unknown_simulated(selected)
    selected = _check_trust(alone, selected, context)
    (target,) = selected.targets
    prices = _find_prices(selected, context, started)
    return PreparedJudge(target, selected.endpoints[target.provider], prices, selected.notes)


def _check_trust(suite: Suite, selected: SelectedTargets, context: PrepareContext) -> SelectedTargets:
    """Refuse hosts that the user has not allowed, and prompts that hold a secret; return the targets with notes."""
    registry, environ, endpoints = context.registry, context.environ, selected.endpoints.values()
    unallowed = find_unallowed(endpoints, registry, environ, context.options.allow_hosts)
    if unallowed and context.sends:
        refusal = UntrustedHost(unallowed, user_config())
        if context.ask is None:
            raise refusal
        context.ask(refusal)
        unallowed = []
    secrets = known_secrets(endpoints, registry.rows.values(), environ)
    refuse_secrets(suite, secrets)
    refuse_secret_files(suite, secrets)
    asked = [f"{host}; `compare run` asks before it does." for host in unallowed]
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
        raise CompareError(f"{prepared.run_id} asks everything from each of {names}. Go on with --engine ray")
