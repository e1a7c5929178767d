"""Text on variants of targets: their parameters, the number of targets they make."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from runner.analysis.variants import models_of
from runner.core.target_name import VARIANT_NAME, TargetName
from runner.errors import counted
from runner.outputs.text.escape import one_line
from runner.outputs.text.table import TextTable
from runner.outputs.text.translation import _

if TYPE_CHECKING:  # these import pandas; plans use this module without it
    from runner.analysis.summary import TargetSummary

Settings = Mapping[str, object]
"""Parameter -> value in a variant."""

LONGEST = 60
"""Maximum number of characters shown of a value."""


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
    """Return the factors of the number of targets: `2 models × 3 variants`; None if no model has a variant.

    Args:
        names: the targets.
        vary: parameter -> values with which an option crossed every target.

    """
    if all(name.variant is None for name in names):
        return None
    sizes = Counter((name.provider, name.model) for name in names)
    models, size = counted(len(sizes), "model"), min(sizes.values())
    if size < max(sizes.values()):
        return f"{models}, each in its variants"
    crossed = prod(len(values) for values in vary.values())
    own, rest = divmod(size, crossed)
    if rest:  # a pattern selected some of them
        return f"{models} × {counted(size, 'variant')}"
    factors = [models, *([counted(own, "variant")] if own > 1 or not vary else [])]
    return " × ".join([*factors, *(f"{len(values)} {name}" for name, values in vary.items())])


def with_models(table: TextTable, summaries: "Sequence[TargetSummary]", variants: Mapping[str, Settings]) -> TextTable:
    """Return a table of targets with a row for each model above its variants; settings follow the names of variants."""
    rows: list[tuple[str, ...]] = []
    models = models_of([each.target for each in summaries], variants)
    for at, (each, model, row) in enumerate(zip(summaries, models, table.rows, strict=True)):
        if model is not None and (at == 0 or models[at - 1] != model):
            rows.append((str(model), *[""] * (len(row) - 1)))
        settings = variants.get(each.target.name)
        rows.append(row if settings is None else (f"{row[0]}: {describe_settings(settings)}", *row[1:]))
    return replace(table, rows=tuple(rows))
