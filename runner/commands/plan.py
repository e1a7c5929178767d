"""Plan a run without starting it; its keys need not be set."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import RunOptions
from runner.commands.run.prepare import PrepareContext, prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.errors import ErrorCollector, MissingKey, SeveralErrors, UnknownTarget
from runner.providers.key import find_key
from runner.providers.registry import Registry

NEEDS_NO_KEY: Mapping[str, object] = {"keyless": True, "api_key_env": ()}
"""Values of a provider's row with which a run can be prepared without a key."""


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """A prepared run that is not started. `missing_keys` maps each provider without a key to the reason."""

    prepared: PreparedRun
    missing_keys: Mapping[str, str]


def preview_plan(path: Path, options: RunOptions) -> PlanPreview:
    """Prepare a suite's run as if all keys were set, and open its gate. Nothing is sent, and no file is written.

    Raises:
        CompareError: the run could not be started for a reason other than missing keys of named targets.

    """
    errors = ErrorCollector()
    if options.compares:
        from runner.commands.diff import open_gate  # brings pandas

        errors.attempt(open_gate, options)
    preview = errors.attempt(_preview_run, path, options)
    errors.raise_collected()
    assert preview is not None
    return preview


def _preview_run(path: Path, options: RunOptions) -> PlanPreview:
    suite, registry = load_suite(path)
    try:
        return PlanPreview(prepare(suite, registry, options, sends=False), {})
    except (MissingKey, UnknownTarget, SeveralErrors):
        if not (suite.targets or suite.judge or options.models or options.providers or options.arms):
            raise  # no target is named, and no provider has a key: `compare run` would fail, too
    environ = PrepareContext.of(suite, registry, options).environ
    missing = _missing_keys(registry, environ)
    prefixes = [registry.resolve(pattern.partition("/")[0]) for pattern in options.models if "/" in pattern]
    as_if = as_if_keys_set(registry, missing)
    as_if = replace(as_if, own=registry.own | {name for name in prefixes if name in missing})
    prepared = prepare(suite, as_if, options, sends=False)
    judges = () if prepared.judge is None else (prepared.judge.target.provider,)
    asked = {*prepared.plan.providers(), *judges}
    return PlanPreview(prepared, {name: why for name, why in missing.items() if name in asked})


def as_if_keys_set(registry: Registry, names: Collection[str]) -> Registry:
    """Return the registry with rows that need no key for providers, each named by its id or an alias."""
    ids = {registry.resolve(name) for name in names}
    rows = {name: row.model_copy(update=NEEDS_NO_KEY) if name in ids else row for name, row in registry.rows.items()}
    return replace(registry, rows=rows)


def _missing_keys(registry: Registry, environ: Mapping[str, str]) -> dict[str, str]:
    missing = {}
    for provider, row in registry.rows.items():
        try:
            find_key(provider, row, environ)
        except MissingKey as error:
            missing[provider] = str(error)
    return missing
