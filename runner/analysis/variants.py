"""The variants of each model of a run: the targets that differ in nothing but their settings, in the suite's order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runner.analysis.measured_target import MeasuredTarget
from runner.core.target_name import VARIANT_MARK


@dataclass(frozen=True, slots=True)
class ModelVariants:
    """A model that was asked in several variants; where targets are split by place or run, at one place in one run."""

    model: MeasuredTarget
    variants: Mapping[str, MeasuredTarget]
    """Variant -> its target."""


def group_variants(targets: Sequence[MeasuredTarget], variants: Mapping[str, object]) -> tuple[ModelVariants, ...]:
    """Return the models that have two or more variants, each with its variants in the order of the targets.

    Args:
        targets: the targets of a run.
        variants: the names of those that are variants, as the run's header has them.

    """
    models: dict[MeasuredTarget, dict[str, MeasuredTarget]] = {}
    for target in targets:
        if target.name in variants:
            model, _, variant = target.name.rpartition(VARIANT_MARK)
            models.setdefault(replace(target, name=model), {})[variant] = target
    return tuple(ModelVariants(model, found) for model, found in models.items() if len(found) > 1)
