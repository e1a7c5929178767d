"""Which targets a run asks: what the suite lists, what the command names, what is configured. Pure.

Being *named* matters: a named target without a key stops the run before anything is sent, while a configured
one that turns out unusable is only left out, and said to be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from runner.core.suite import Suite
from runner.errors import CompareError, MissingKey, UnknownTarget, did_you_mean
from runner.planning.plan import Target
from runner.providers.endpoint import Endpoint, find_configured, find_endpoint
from runner.providers.registry import Registry
from runner.providers.request_body import request_body, retirement
from runner.providers.target_name import default_targets, parse_target, resolve_provider


@dataclass(frozen=True, slots=True)
class TargetSelection:
    """What the command line says about targets: -m, -p and --skip-missing."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    skip_missing: bool = False


@dataclass(frozen=True, slots=True)
class SelectedTargets:
    """Whom to ask, where they are, and what their user should know first."""

    targets: tuple[Target, ...]
    endpoints: Mapping[str, Endpoint]
    notes: tuple[str, ...] = ()


def choose_targets(
    suite: Suite, wish: TargetSelection, registry: Registry, environ: Mapping[str, str]
) -> SelectedTargets:
    """Choose a run's targets; an empty choice means that nothing is named and nothing configured.

    Raises:
        CompareError: nothing is named, and nothing of what is configured can be asked.
        MissingKey: a named target has no usable key; every such target is in the message.
        UnknownTarget: a name or pattern fits nothing.

    """
    listed, notes = list(_listed(suite, registry)), list[str]()
    if not suite.targets:
        configured = find_configured(registry, environ)
        notes += configured.left_out.values()
        providers = [endpoint.provider for endpoint in configured.endpoints]
        listed = [target for provider in providers for target in _defaults(provider, suite, registry)]
    is_open = not (wish.models or wish.providers)
    wanted = listed if is_open else _apply(wish, listed, suite, registry)
    if notes and not wanted:
        raise CompareError("\n".join([*notes, "The built-in simulator needs no key: -p sim asks it."]))
    endpoints, missing = _find_endpoints(wanted, registry, environ)
    targets = tuple(
        replace(target, simulated=endpoints[target.provider].row.simulated)
        for target in {target.name: target for target in wanted}.values()
        if target.provider in endpoints
    )
    if missing and not (wish.skip_missing and targets):
        raise MissingKey("\n".join(missing))
    # Who names targets need not hear of the others.
    told = [*([*notes, *registry.plugin_errors.values()] if is_open else []), *missing, *_notes(targets, endpoints)]
    return SelectedTargets(targets, endpoints, tuple(dict.fromkeys(told)))


def _listed(suite: Suite, registry: Registry) -> Iterator[Target]:
    for row in suite.targets:
        provider = resolve_provider(row.provider, registry)
        models = row.models or registry.rows[provider].models
        if not models:
            raise UnknownTarget(f"{provider} has no default model. Write `models:` for it in the suite.")
        yield from (Target(provider, model, row.parameters) for model in models)


def _defaults(provider: str, suite: Suite, registry: Registry) -> list[Target]:
    return [Target(name.provider, name.model, suite.parameters) for name in default_targets(provider, registry)]


def _apply(wish: TargetSelection, listed: Sequence[Target], suite: Suite, registry: Registry) -> list[Target]:
    """Return the targets named as provider/model, then those listed that fit the bare patterns."""
    named = [pattern for pattern in wish.models if _names_target(pattern, registry)]
    patterns = [pattern for pattern in wish.models if pattern not in named]
    parameters = {target.name: target.parameters for target in listed}
    chosen = []
    for pattern in named:
        name = parse_target(pattern, registry)
        chosen.append(Target(name.provider, name.model, parameters.get(str(name), suite.parameters)))
    if patterns or wish.providers:
        chosen += _filter(listed, patterns, _add_named_providers(wish.providers, listed, suite, registry), registry)
    return chosen


def _names_target(pattern: str, registry: Registry) -> bool:
    provider, slash, model = pattern.partition("/")
    is_known = registry.resolve(provider) is not None or provider in registry.plugin_errors
    # `?` stays a letter here: the simulator's exact models have one in their names.
    return bool(slash) and is_known and "*" not in model


def _fits(target: Target, pattern: str, registry: Registry) -> bool:
    provider, _, model = pattern.partition("/")
    if registry.resolve(provider) == target.provider:
        return fnmatchcase(target.model, model)
    return fnmatchcase(target.model, pattern) or fnmatchcase(target.name, pattern)


def _add_named_providers(
    patterns: Sequence[str], listed: Sequence[Target], suite: Suite, registry: Registry
) -> Mapping[str, list[Target]]:
    """Return what each -p fits; a known provider that is not listed is named, and so brings its own models."""
    fitting: dict[str, list[Target]] = {}
    for pattern in patterns:
        id_ = resolve_provider(pattern, registry) if pattern in registry.plugin_errors else registry.resolve(pattern)
        fits = [t for t in listed if t.provider == id_ or fnmatchcase(t.provider, pattern)]
        fitting[pattern] = fits or (_defaults(id_, suite, registry) if id_ else [])
        if not fitting[pattern] and id_:
            raise UnknownTarget(f"{id_} has no default model. Name one: -m {id_}/MODEL.")
        if not fitting[pattern]:
            raise UnknownTarget(_no_match("-p", pattern, [*registry.names, *(t.provider for t in listed)]))
    return fitting


def _filter(
    listed: Sequence[Target], patterns: Sequence[str], by_provider: Mapping[str, list[Target]], registry: Registry
) -> list[Target]:
    pool = [target for fits in by_provider.values() for target in fits] if by_provider else list(listed)
    if not patterns:
        return pool
    chosen = []
    for pattern in patterns:
        fits = [target for target in pool if _fits(target, pattern, registry)]
        if not fits:
            raise UnknownTarget(_no_match("-m", pattern, [target.model for target in pool], registry))
        chosen += fits
    return chosen


def _no_match(option: str, pattern: str, known: Sequence[str], registry: Registry | None = None) -> str:
    near = did_you_mean(pattern, known)
    configured = ", ".join(dict.fromkeys(known)) or "none"
    hint = f"Did you mean {near}?" if near else f"To choose from: {configured}."
    if registry is None:
        return f"{option} {pattern} fits no provider. {hint} `compare providers` lists all."
    return f"{option} {pattern} fits no configured model. {hint} Any other is named as provider/model."


def _find_endpoints(
    targets: Sequence[Target], registry: Registry, environ: Mapping[str, str]
) -> tuple[dict[str, Endpoint], list[str]]:
    """Return an endpoint for each provider that can be asked, and a sentence for each that cannot."""
    endpoints, missing = {}, []
    for provider in dict.fromkeys(target.provider for target in targets):
        try:
            endpoints[provider] = find_endpoint(provider, registry, environ)
        except MissingKey as error:
            missing.append(str(error))
    return endpoints, missing


def _notes(targets: Sequence[Target], endpoints: Mapping[str, Endpoint]) -> list[str]:
    """Say once what is asked for and cannot be sent as such, and which model names are past their time."""
    notes = [note for endpoint in endpoints.values() for note in endpoint.notes]
    for target in targets:
        row = endpoints[target.provider].row
        retired = retirement(row, target.model)
        notes += [retired] if retired else []
        notes += request_body(row, target.model, target.parameters)[1]
    return notes


def choose_cases(suite: Suite, patterns: Sequence[str]) -> Suite:
    """Keep the cases whose id fits one of the globs; raise if one fits none."""
    if not patterns:
        return suite
    ids = [case.id for case in suite.cases]
    for pattern in patterns:
        if not any(_fits_case(id_, pattern) for id_ in ids):
            near = did_you_mean(pattern, ids)
            hint = f"Did you mean {near}?" if near else f"The suite has: {', '.join(ids[:20])}."
            raise CompareError(f"-k {pattern} fits no case. {hint}")
    kept = tuple(case for case in suite.cases if any(_fits_case(case.id, pattern) for pattern in patterns))
    return replace(suite, cases=kept)


def _fits_case(id_: str, pattern: str) -> bool:
    return id_ == pattern or fnmatchcase(id_, pattern)
