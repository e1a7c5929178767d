"""Select the targets of a run: named, listed, configured or recorded ones, or those of the simulator."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.commands.run.options import RunOptions
from runner.commands.run.refuse_secrets_and_attachments import refuse_unsendable
from runner.commands.run.replay_source import ReplaySource
from runner.core.suite import Suite
from runner.core.target_name import SIMULATOR, VARIANT_MARK, TargetName
from runner.errors import CompareError, MissingKey, UnknownTarget
from runner.planning.request import Target
from runner.planning.target_patterns import (
    SelectedTargets,
    TargetSelection,
    choose_targets,
    describe_no_key,
    unlisted_targets,
)
from runner.providers.endpoint import find_endpoint
from runner.providers.registry import Registry
from runner.simulator.http_request import RequestError
from runner.simulator.model_names import parse_model

DEFAULT_PERSONAS = ("quick", "steady", "thinker")
"""Personas asked when no provider is configured."""


def select_targets(
    suite: Suite,
    options: RunOptions,
    registry: Registry,
    environ: Mapping[str, str],
    *,
    earlier: Collection[str],
    simulate: bool,
) -> SelectedTargets:
    """Return the targets of a run: the named ones, else those listed or configured, else the simulator's.

    `earlier` holds the names of the resumed run's variants.

    Raises:
        MissingKey: no target is configured or named, and `simulate` is false.
        CompareError: a name matches nothing, or a variant of the earlier run is not in the suite now.

    """
    try:
        selected = choose_targets(suite, _selection_of(options), registry, environ)
    except UnknownTarget as error:
        names = (name.partition(VARIANT_MARK)[0] for name in options.arms or options.models)
        raise UnknownTarget("\n".join([*_describe_unknown_simulated(names), str(error)])) from None
    _refuse_lost_variants(selected.targets, earlier, options)
    if selected.targets:
        refuse_unknown_simulated(selected)
        return selected
    if not simulate:
        raise MissingKey(describe_no_key(registry, environ, options.spell))
    return _select_simulator(suite, registry, selected.notes)


def _selection_of(options: RunOptions) -> TargetSelection:
    models = options.arms or options.models
    return TargetSelection(options.spell, models, options.providers, skip_missing=options.skip_missing)


def refuse_unknown_simulated(selected: SelectedTargets) -> None:
    """Raise UnknownTarget, which names all of them, if the simulator does not know models or their options."""
    names = [str(TargetName(each.provider, each.model)) for each in selected.targets]
    faults = list(_describe_unknown_simulated(names, selected.notes))
    if faults:
        raise UnknownTarget("\n".join(faults))


def _describe_unknown_simulated(names: Iterable[str], notes: Iterable[str] = ()) -> Iterator[str]:
    """Yield what is wrong with each name of a simulated model, and the notes on it; other names are ignored."""
    for name in dict.fromkeys(names):
        provider, _, model = name.partition("/")
        if provider != SIMULATOR or "*" in model:
            continue
        try:
            parse_model(model)
        except RequestError as error:
            yield f"{name}: {error}"
            yield from (note for note in notes if note.startswith(f"{name}: "))


def select_recorded(suite: Suite, options: RunOptions, registry: Registry, source: ReplaySource) -> SelectedTargets:
    """Return the recorded targets, or the named ones among them."""
    selection = _selection_of(options)
    if not (selection.models or selection.providers):
        selection = replace(selection, models=tuple(map(str, source.targets)))
    selected = choose_targets(suite, selection, source.offline_registry(registry), {})
    variants = [str(name) for name in source.targets if name.variant is not None]
    _refuse_lost_variants(selected.targets, variants, options)
    source.refuse_unrecorded(selected.targets)
    targets = tuple(replace(target, names_variant=True) for target in selected.targets)
    return replace(selected, targets=targets, notes=(*selected.notes, source.note))


def _refuse_lost_variants(targets: Iterable[Target], variants: Collection[str], options: RunOptions) -> None:
    """Raise CompareError if a name that an earlier run used for a variant would now be sent as a model name."""
    lost = [target.name for target in targets if target.variant is None and target.name in variants]
    if lost:
        raise CompareError(
            f"{', '.join(lost)}: asked as a variant before, which the suite does not have now. "
            f"Put it back into the suite, or name the targets: {options.spell('models', 'provider/model')}"
        )


def _select_simulator(suite: Suite, registry: Registry, notes: Sequence[str]) -> SelectedTargets:
    names = [TargetName(SIMULATOR, persona) for persona in DEFAULT_PERSONAS]
    targets = tuple(replace(target, simulated=True) for name in names for target in unlisted_targets(name, suite))
    why = "no provider is configured, so the built-in simulator answers; `compare providers` shows which keys count"
    return SelectedTargets(targets, {SIMULATOR: find_endpoint(SIMULATOR, registry, {})}, (*notes, why))


def with_options(suite: Suite, selected: SelectedTargets, options: RunOptions) -> SelectedTargets:
    """Return the targets with the parameters that options set for all of them.

    Raises:
        CompareError: a target's API has no form for an attachment of the suite.

    """
    changes: dict[str, Any] = {}
    if options.cache_probe:
        changes["cache"] = "warm"  # some APIs have to be asked to cache
    if options.reply_limit is not None:
        changes["reply_limit"] = options.reply_limit
    targets = tuple(replace(each, parameters=replace(each.parameters, **changes)) for each in selected.targets)
    notes = refuse_unsendable(suite, targets, selected.endpoints)
    return replace(selected, targets=targets, notes=(*selected.notes, *notes))
