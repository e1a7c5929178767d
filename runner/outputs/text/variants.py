"""Variants in words: the parameters that each sets, and how many of them a plan multiplies."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

from runner.core.target_name import VARIANT_NAME, TargetName
from runner.outputs.text.escape import one_line
from runner.outputs.text.figures import count
from runner.outputs.text.language import _

Settings = Mapping[str, object]
"""Parameter -> the value that a variant gives it."""

LONGEST = 60
"""Characters of a value that are shown."""


def describe_settings(settings: Settings) -> str:
    """Return the parameters of a variant on one line: `thinking: off, max_tokens: 4000`."""
    return ", ".join(f"{name}: {_value(value)}" for name, value in settings.items()) or _("as the target is")


def _value(value: object) -> str:
    if isinstance(value, str) and VARIANT_NAME.fullmatch(value):
        text = value
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def describe_product(names: Sequence[TargetName], vary: Mapping[str, Sequence[object]]) -> str | None:
    """Return what makes so many targets: `2 models × 3 variants`; None where no model has a variant.

    Args:
        names: the targets.
        vary: parameter -> values, which an option crossed every target with.

    """
    if all(name.variant is None for name in names):
        return None
    sizes = Counter((name.provider, name.model) for name in names)
    models, size = count(len(sizes), "model"), min(sizes.values())
    if size < max(sizes.values()):
        return f"{models}, each in its variants"
    crossed = prod(len(values) for values in vary.values())
    own, rest = divmod(size, crossed)
    if rest:  # a pattern chose some of them
        return f"{models} × {count(size, 'variant')}"
    factors = [models, *([count(own, "variant")] if own > 1 or not vary else [])]
    return " × ".join([*factors, *(f"{len(values)} {name}" for name, values in vary.items())])
