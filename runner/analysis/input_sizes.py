"""The sizes that texts of a wanted number of tokens reached, as providers counted them."""

from dataclasses import dataclass

import pandas as pd

from runner.analysis.dataframe import is_timed, targets_of
from runner.analysis.measured_target import MeasuredTarget
from runner.analysis.run_results import Run


@dataclass(frozen=True, slots=True)
class ReachedSize:
    """The input tokens of one target's requests whose text was to have `wanted` tokens, the prompt included."""

    target: MeasuredTarget
    wanted: int
    text: str
    """The name of the text."""
    lowest: int | None
    """None, as the highest, where the provider counted none."""
    highest: int | None
    n: int
    """Timed requests whose input tokens were counted; where none were, timed requests."""


def measure_inputs(run: Run) -> tuple[ReachedSize, ...]:
    """Return the sizes reached, for each size and text in the suite's order, of each target; of first turns alone."""
    wanted = {
        case: (size["tokens"], size["text"])
        for case, size in run.header.inputs.items()
        if isinstance(size.get("tokens"), int) and isinstance(size.get("text"), str)  # a header may be damaged
    }
    if not wanted:
        return ()
    rows = run.measured[is_timed(run.measured)]
    first = rows[rows["case"].isin(list(wanted)) & ((rows["turn"] == 1) | bool(run.header.cache_probe))]
    sizes = first["case"].map(lambda case: wanted[case])
    groups = dict(list(first.groupby([targets_of(first), sizes], observed=True)))
    found = (
        (target, *size, groups.get((target, size))) for size in dict.fromkeys(wanted.values()) for target in run.targets
    )
    return tuple(_reached(target, tokens, text, own) for target, tokens, text, own in found if own is not None)


def _reached(target: MeasuredTarget, wanted: int, text: str, rows: pd.DataFrame) -> ReachedSize:
    counted = rows["input_tokens"].dropna()
    if counted.empty:
        return ReachedSize(target, wanted, text, None, None, len(rows))
    return ReachedSize(target, wanted, text, int(counted.min()), int(counted.max()), len(counted))
