"""Input tokens that providers counted for texts of a wanted number of tokens."""

from dataclasses import dataclass

import pandas as pd

from runner.analysis.dataframe import is_timed, targets_of
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run


@dataclass(frozen=True, slots=True)
class ReachedSize:
    """Range of the input tokens of one target's requests with a text of `wanted` tokens, including the prompt."""

    target: MeasuredTarget
    wanted: int
    text: str
    """Name of the text."""
    lowest: int | None
    """None, as `highest` is, if the provider counted no input tokens."""
    highest: int | None
    n: int
    """Number of timed requests with counted input tokens; of all timed requests if there are none."""


def measure_inputs(run: Run) -> tuple[ReachedSize, ...]:
    """Return the sizes reached by each target, for each size and text in the suite's order.

    Only first turns count, and in a cache probe all turns, which repeat the first.
    """
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
