"""Select the targets and cases of a run from the suite, the command line and the configured providers. Pure.

A target that the user names and that has no key stops the run before anything is sent; a configured one that cannot be
used is left out with a note.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from runner.core.suite import Parameters, Suite, Variant
from runner.core.target_name import SIMULATOR, VARIANT_MARK, TargetName
from runner.errors import CompareError, MissingKey, Spelling, UnknownTarget, closest_word, did_you_mean, suggest
from runner.planning.request import Target
from runner.providers.endpoint import Endpoint, find_configured, find_endpoint
from runner.providers.environment import is_ci
from runner.providers.key import SHARED_VARIABLE
from runner.providers.registry import Registry, default_targets, parse_target, resolve_provider
from runner.providers.request_body import request_body, retirement, route_problem


@dataclass(frozen=True, slots=True)
class TargetSelection:
    """The user's options on targets: patterns of models and providers, and whether those without a key are left out."""

    spell: Spelling
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    skip_missing: bool = False


@dataclass(frozen=True, slots=True)
class SelectedTargets:
    """The targets of a run, the endpoints of their providers, and notes to show the user first."""

    targets: tuple[Target, ...]
    endpoints: Mapping[str, Endpoint]
    notes: tuple[str, ...] = ()


def choose_targets(
    suite: Suite, selection: TargetSelection, registry: Registry, environ: Mapping[str, str]
) -> SelectedTargets:
    """Return a run's targets; empty if the user names none and no provider is configured.

    Raises:
        CompareError: the user names no target, and no configured provider can be used.
        MissingKey: targets that the user names have no usable key; the message lists all of them.
        UnknownTarget: a name or pattern matches nothing.

    """
    spell = selection.spell
    for option, patterns in (("models", selection.models), ("providers", selection.providers)):
        if not all(pattern.strip() for pattern in patterns):
            raise UnknownTarget(f"{spell(option)} is empty. `compare providers` lists the providers and their models.")
    listed, notes = list(_listed_targets(suite, registry)), list[str]()
    names_none = not (selection.models or selection.providers)
    if not suite.targets:
        configured = find_configured(registry, environ)
        notes += configured.left_out.values()
        notes += _note_on_shared_key(configured.endpoints) if names_none else []
        providers = [endpoint.provider for endpoint in configured.endpoints]
        listed = [target for provider in providers for target in _default_targets(provider, suite, registry)]
    wanted = listed if names_none else _PatternMatcher(listed, suite, registry, spell).find(selection)
    if notes and not wanted:
        hint = f"The built-in simulator needs no key: {spell('providers', SIMULATOR)} asks it."
        raise CompareError("\n".join([*notes, hint]))
    endpoints, missing = _find_endpoints(wanted, registry, environ)
    targets = tuple(
        replace(target, simulated=endpoints[target.provider].row.simulated)
        for target in {target.name: target for target in wanted}.values()
        if target.provider in endpoints
    )
    if missing and not (selection.skip_missing and targets):
        raise MissingKey("\n".join(missing))
    _refuse_routes(targets, endpoints)
    # Notes on other targets are left out if the user names some.
    general = [*notes, *registry.plugin_errors.values()] if names_none else []
    shown = [
        *general,
        *missing,
        *_notes_on(targets, endpoints, suite),
        *_notes_on_unknown_variants(targets, listed, suite, spell),
    ]
    return SelectedTargets(targets, endpoints, tuple(dict.fromkeys(shown)))


def _refuse_routes(targets: Sequence[Target], endpoints: Mapping[str, Endpoint]) -> None:
    """Raise CompareError if a target pins a vendor at a provider whose row has no way to do so."""
    problems = [route_problem(each.provider, endpoints[each.provider].row, each.parameters) for each in targets]
    found = list(dict.fromkeys(filter(None, problems)))
    if found:
        raise CompareError("\n".join(found))


def _note_on_shared_key(endpoints: Sequence[Endpoint]) -> list[str]:
    """Return a note if the only variable that is set is the one that tutorials use for any vendor's key."""
    variables = [(each.key.variable if each.key else None, each.base_url_variable) for each in endpoints]
    if variables != [(SHARED_VARIABLE, None)]:
        return []
    only = endpoints[0]
    note = (
        f"only {SHARED_VARIABLE} is set, so {only.provider} alone is asked. If it holds another vendor's key, as in "
        "tutorials, put that into the vendor's own variable, such as DASHSCOPE_API_KEY; `compare providers` lists them."
    )
    return [note]


def _listed_targets(suite: Suite, registry: Registry) -> Iterator[Target]:
    for row in suite.targets:
        provider = resolve_provider(row.provider, registry)
        models = row.models or registry.rows[provider].models
        if not models:
            raise UnknownTarget(f"{provider} has no default model. Write `models:` for it in the suite.")
        for model in models:
            yield from _targets_of_variants(provider, model, row.parameters, row.variants)


def _targets_of_variants(
    provider: str, model: str, parameters: Parameters, variants: Sequence[Variant]
) -> list[Target]:
    """Return a target for each variant of a model; one if it has none."""
    if not variants:
        return [Target(provider, model, parameters)]
    return [
        Target(provider, model, variant.parameters, variant=variant.name, settings=variant.settings)
        for variant in variants
    ]


def _default_targets(provider: str, suite: Suite, registry: Registry) -> list[Target]:
    return [target for name in default_targets(provider, registry) for target in unlisted_targets(name, suite)]


def unlisted_targets(name: TargetName, suite: Suite) -> list[Target]:
    """Return the targets of a model that the suite does not list, in the variants of every target; or the one named."""
    name = name.divided([variant.name for variant in suite.variants])
    targets = _targets_of_variants(name.provider, name.model, suite.parameters, suite.variants)
    return [target for target in targets if name.variant in (None, target.variant)]


@dataclass(frozen=True, slots=True)
class _PatternMatcher:
    """Finds the targets that patterns name: among the listed ones, else among the default models of providers."""

    listed: Sequence[Target]
    suite: Suite
    registry: Registry
    spell: Spelling

    def find(self, selection: TargetSelection) -> list[Target]:
        """Return the targets named as provider/model, then those that match the other patterns.

        A model that the suite lists at a router, such as vendor/model, means that one, not a provider of the vendor's
        name.
        """
        at_routers = {name for each in self.listed for name in _model_names(each)} if self.suite.targets else set[str]()
        by_name = _targets_by_name(self.listed)
        found, patterns = list[Target](), list[str]()
        for pattern in selection.models:
            name = parse_target(pattern, self.registry) if self._names_target(pattern) else None
            named = by_name.get(str(name), [])
            if name is not None and (named or pattern not in at_routers):
                found += named or unlisted_targets(name, self.suite)
            else:
                patterns.append(pattern)
        if selection.providers:
            among = self._of_providers(selection.providers, patterns)
            self._refuse_others(found, among, selection.providers)
            matching = _find_each(patterns, lambda pattern: self._matching(pattern, among))
            return [*found, *matching] if selection.models else among
        return [*found, *_find_each(patterns, self._matching)]

    def _of_providers(self, providers: Iterable[str], models: Iterable[str]) -> list[Target]:
        """Return the targets of the -p patterns; if one fits nothing, also name each -m of an unknown provider."""
        try:
            return _find_each(dict.fromkeys(providers), self._of_provider)
        except UnknownTarget as error:
            unknown = [each for each in models if "/" in each and self.registry.resolve(each.partition("/")[0]) is None]
            try:
                _find_each(unknown, self._matching)
            except UnknownTarget as more:
                raise UnknownTarget(f"{error}\n{more}") from None
            raise

    def _refuse_others(self, named: Sequence[Target], among: Sequence[Target], providers: Sequence[str]) -> None:
        """Raise UnknownTarget if a target named in full is of none of the -p providers, whose targets are given."""
        kept = {target.provider for target in among}
        others = dict.fromkeys(target.name for target in named if target.provider not in kept)
        if others:
            raise UnknownTarget(
                f"{self.spell('models', ', '.join(others))} is of another provider than "
                f"{self.spell('providers', ', '.join(providers))}. Leave out {self.spell('providers')}, or add its "
                "provider."
            )

    def _names_target(self, pattern: str) -> bool:
        provider, slash, model = pattern.partition("/")
        is_known = self.registry.resolve(provider) is not None or provider in self.registry.plugin_errors
        # `?` is an ordinary letter here: the names of the simulator's exact models contain it.
        return bool(slash) and is_known and "*" not in model

    def _of_provider(self, pattern: str) -> list[Target]:
        """Return the targets of matching providers: listed ones, else the default models of a provider of this name."""
        is_broken = pattern in self.registry.plugin_errors
        id_ = resolve_provider(pattern, self.registry) if is_broken else self.registry.resolve(pattern)
        matches = [each for each in self.listed if each.provider == id_ or fnmatchcase(each.provider, pattern)]
        matches = matches or (_default_targets(id_, self.suite, self.registry) if id_ else [])
        if not matches and id_:
            raise UnknownTarget(f"{id_} has no default model. Name one as {id_}/MODEL.")
        if not matches:
            hint = _hint_of_names(pattern, [*self.registry.names, *(each.provider for each in self.listed)])
            raise UnknownTarget(
                f"{self.spell('providers', pattern)} fits no provider. {hint} `compare providers` lists all."
            )
        return matches

    def _matching(self, pattern: str, among: Sequence[Target] | None = None) -> list[Target]:
        """Return the targets whose models match a pattern, among those of the named providers, else the listed ones.

        A pattern such as `sim/*` that no listed target matches selects from the default models of its provider.
        """
        candidates = self.listed if among is None else among
        prefix, slash, _ = pattern.partition("/")
        provider = self.registry.resolve(prefix)
        matches = [target for target in candidates if self._matches(target, pattern)]
        if not matches and among is None and slash and provider:
            defaults = _default_targets(provider, self.suite, self.registry)
            matches = [target for target in defaults if self._matches(target, pattern)]
        if matches:
            return matches
        near = self._near_target(pattern) if among is None else None
        hint = _hint_of_names(pattern, [target.full_name.model_and_variant for target in candidates], near)
        other = "Any other is named as provider/model."
        if slash:
            other = f"Write the whole name of any other: {prefix}/MODEL."
        if slash and provider is None:
            other = f"No provider is called {prefix!r}; `compare providers` lists all."
        raise UnknownTarget(f"{self.spell('models', pattern)} fits no configured model. {hint} {other}")

    def _matches(self, target: Target, pattern: str) -> bool:
        provider, _, model = pattern.partition("/")
        if self.registry.resolve(provider) == target.provider:
            return any(fnmatchcase(name, model) for name in _model_names(target))
        return any(fnmatchcase(name, pattern) for name in (target.name, *_model_names(target)))

    def _near_target(self, pattern: str) -> str | None:
        """Return the target or provider that a mistyped pattern probably means; None if none is similar."""
        provider, slash, model = pattern.partition("/")
        if slash:
            near = closest_word(provider, self.registry.names)
            return f"{near}/{model}" if near and near != provider else None
        targets = [target for name in self.registry.rows for target in default_targets(name, self.registry)]
        meant = {target.model: str(target) for target in targets}
        meant |= {name: self.spell("providers", name) for name in self.registry.names}
        found = closest_word(pattern, tuple(meant))
        return meant[found] if found else None


def _find_each(patterns: Iterable[str], find: Callable[[str], list[Target]]) -> list[Target]:
    """Return the targets of all patterns; raise UnknownTarget with the message of each pattern that matches nothing."""
    found, faults = list[Target](), list[str]()
    for pattern in patterns:
        try:
            found += find(pattern)
        except UnknownTarget as error:
            faults.append(str(error))
    if faults:
        raise UnknownTarget("\n".join(faults))
    return found


def _model_names(target: Target) -> set[str]:
    """Return the name of a target's model, without its variant and with it."""
    return {target.model, target.full_name.model_and_variant}


def _targets_by_name(listed: Sequence[Target]) -> Mapping[str, list[Target]]:
    """Return targets by name; the name of a model stands for all its variants, unless a target has that very name."""
    by_model: dict[str, list[Target]] = {}
    for target in listed:
        by_model.setdefault(str(TargetName(target.provider, target.model)), []).append(target)
    return by_model | {target.name: [target] for target in listed}


def _hint_of_names(pattern: str, known: Sequence[str], near_target: str | None = None) -> str:
    """Return the hint for a pattern without a match: the name that is probably meant, or the known names."""
    near = (None if "/" in pattern else closest_word(pattern, known)) or near_target
    if near:
        return suggest(near)
    return f"To choose from: {', '.join(dict.fromkeys(known))}." if known else "No provider is configured."


def _find_endpoints(
    targets: Sequence[Target], registry: Registry, environ: Mapping[str, str]
) -> tuple[dict[str, Endpoint], list[str]]:
    """Return an endpoint for each provider with a key, and a sentence for each without one."""
    endpoints, missing = {}, []
    for provider in dict.fromkeys(target.provider for target in targets):
        try:
            endpoints[provider] = find_endpoint(provider, registry, environ)
        except MissingKey as error:
            missing.append(str(error))
    return endpoints, missing


def _notes_on(targets: Sequence[Target], endpoints: Mapping[str, Endpoint], suite: Suite) -> list[str]:
    """Return notes on endpoints, retired model names and parameters that are not sent as the suite has them."""
    notes = [note for endpoint in endpoints.values() for note in endpoint.notes]
    for target in targets:
        row = endpoints[target.provider].row
        retired = retirement(row, target.model)
        notes += [retired] if retired else []
        notes += request_body(row, target.model, target.parameters)[1]
        for case in (case for case in suite.cases if case.overrides):
            notes += request_body(row, target.model, case.parameters(target.parameters))[1]
    return list(dict.fromkeys(notes))


def _notes_on_unknown_variants(
    targets: Sequence[Target], listed: Sequence[Target], suite: Suite, spell: Spelling
) -> Iterator[str]:
    """Yield a note on each unlisted model name that ends in `#` and the name of no known variant."""
    known = dict.fromkeys([*(t.variant for t in listed if t.variant), *(each.name for each in suite.variants)])
    names = {TargetName(target.provider, target.model) for target in listed}
    for name in dict.fromkeys(TargetName(target.provider, target.model) for target in targets):
        _, mark, end = name.model.rpartition(VARIANT_MARK)
        if mark and name not in names:
            making = f"`variants` in the suite, or {spell('vary')}, makes variants"
            others = f"There are {', '.join(known)}" if known else making
            hint = did_you_mean(f"{VARIANT_MARK}{end}", [f"{VARIANT_MARK}{each}" for each in known], others)
            yield f"{name}: no variant is called {end}, so all of it is taken for the model's name. {hint}"


def describe_no_key(registry: Registry, environ: Mapping[str, str], spell: Spelling) -> str:
    """Return why no provider can be used if none is configured, with the variables that are set but empty."""
    rows = [row for row in registry.rows.values() if not (row.keyless or row.only_named)]
    variables = [name for row in rows for name in row.api_key_env]
    empty = [name for name in dict.fromkeys(variables) if name in environ]
    if empty:
        cause = (
            f"{', '.join(empty)} {'is' if len(empty) == 1 else 'are'} set and empty, and no other provider has a key"
        )
    else:
        cause = f"no provider has a key: none of {len(set(variables))} variables, such as {variables[0]}, is set"
    hint = (
        "Pass the key on as a secret of the pipeline (one from a fork gets none)"
        if is_ci(environ)
        else "Set one in the shell, or in a file .env"
    )
    return (
        f"{cause}. Nothing was sent. {hint}; `compare providers` lists the variables. The simulator answers here "
        f"only where it is named: {spell('providers', SIMULATOR)}"
    )


def choose_cases(suite: Suite, patterns: Sequence[str], spell: Spelling) -> Suite:
    """Return a suite with the cases whose id matches one of the globs; without globs, all of them.

    Raises:
        CompareError: a glob matches no case.

    """
    if not patterns:
        return suite
    ids = [case.id for case in suite.cases]
    for pattern in patterns:
        if not any(_matches_case(id_, pattern) for id_ in ids):
            hint = did_you_mean(pattern, ids, f"The suite has: {', '.join(ids[:20])}.")
            raise CompareError(f"{spell('cases', pattern)} fits no case. {hint}")
    kept = tuple(case for case in suite.cases if any(_matches_case(case.id, pattern) for pattern in patterns))
    return replace(suite, cases=kept)


def _matches_case(id_: str, pattern: str) -> bool:
    return id_ == pattern or fnmatchcase(id_, pattern)
