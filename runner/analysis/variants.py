"""The variants of each model of a run: targets that differ only in their settings, in the suite's order."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from runner.analysis.measured_targets import MeasuredTarget
from runner.core.target_name import VARIANT_MARK


@dataclass(frozen=True, slots=True)
class ModelVariants:
    """A model with several variants; if targets are split by place or run, those at one place in one run."""

    model: MeasuredTarget
    variants: Mapping[str, MeasuredTarget]
    """Target of each variant."""


def group_variants(targets: Sequence[MeasuredTarget], variants: Mapping[str, object]) -> tuple[ModelVariants, ...]:
    """Return the models with two or more variants, each with its variants in the order of the targets.

    Args:
        targets: targets of a run.
        variants: names of those that are variants, as in the run's header.

    """
    models: dict[MeasuredTarget, dict[str, MeasuredTarget]] = {}
    for target in targets:
        if target.name in variants:
            model, _, variant = target.name.rpartition(VARIANT_MARK)
            models.setdefault(replace(target, name=model), {})[variant] = target
    return tuple(ModelVariants(model, found) for model, found in models.items() if len(found) > 1)


def models_of(targets: Sequence[MeasuredTarget], variants: Mapping[str, object]) -> list[MeasuredTarget | None]:
    """Return the model of each target that is one of several variants; None for the others."""
    groups = group_variants(targets, variants)
    model_of = {target: group.model for group in groups for target in group.variants.values()}
    return [model_of.get(target) for target in targets]


def keep_together(models: Sequence[Hashable | None], ranks: Sequence[tuple[float, ...]]) -> list[int]:
    """Return the positions of targets by ascending rank, with all variants of a model at the rank of its best one.

    The variants of a model keep their order.

    Args:
        models: model of each target; None for targets without a group.
        ranks: rank of each target.

    """
    best: dict[Hashable, tuple[tuple[float, ...], int]] = {}
    for at, (model, rank) in enumerate(zip(models, ranks, strict=True)):
        if model is not None:
            best[model] = min(best.get(model, (rank, at)), (rank, at))
    return sorted(range(len(models)), key=lambda at: (best.get(models[at], (ranks[at], at)), at))
