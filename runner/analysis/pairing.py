"""What may be compared with what: two arms' rows become blocks, the units of evidence.

Ratios are differences of logarithms: equal steps up and down weigh equally, and no one slow request decides a mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.frame import measured, targets_of
from runner.analysis.measures import TIMED_MEASURES
from runner.core.events import TIMED, Outcome

Floats = NDArray[np.float64]

STRATUM = ["case", "turn"]
SCENE = [*STRATUM, "vantage"]
PLACE = [*SCENE, "block"]
"""`vantage` tells apart the nodes, or places, that each asked everything; it is blank where nobody cares who asked."""

_TOLD = ("prompt", "reply", "outcome", "finish_reason", "flags", "simulated", "response_model", "currency")
_READ = frozenset({*STRATUM, "block", *_TOLD, "client_error_s", *(measure.name for measure in TIMED_MEASURES)})
"""The columns that are compared; in a long run, a copy of all others would take more memory than all else."""

UNASKED = frozenset({Outcome.CANCELLED, Outcome.SKIPPED})
"""Ways to end that say nothing about a target: we stopped it, or an earlier turn failed and counts already."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: a target's measured rows of one run."""

    label: str
    rows: pd.DataFrame

    @property
    def asked(self) -> pd.DataFrame:
        """Rows that tell success from failure."""
        return self.rows[~self.rows["outcome"].isin([outcome.value for outcome in UNASKED])]

    @property
    def timed(self) -> pd.DataFrame:
        """Rows that enter figures."""
        return self.rows[self.rows["outcome"].isin([outcome.value for outcome in TIMED])]

    def only(self, kept: "pd.Series[bool]") -> "Arm":
        """Leave out rows."""
        return Arm(self.label, self.rows[kept])


def arm_of(table: pd.DataFrame, target: str, label: str, vantages: Mapping[str, str] | None = None) -> Arm:
    """Return a target's arm. With vantages, node -> what it is called, rows are compared with those of the same one."""
    counted = measured(table)
    read = [name for name in counted.columns if name in _READ]
    own = counted[targets_of(counted) == target]
    called = vantages or {}
    nodes = own["node"].fillna("").map(lambda node: called.get(node, ""))
    return Arm(label, own[read].assign(vantage=nodes.astype(object)))


@dataclass(frozen=True, slots=True)
class Blocks:
    """Logarithms by block. Paired: `base` is None and `new` holds differences; else the values of either run.

    `n` counts the values behind them, of both arms; the levels are typical values, geometric means.
    """

    new: Floats
    base: Floats | None
    n: tuple[int, int]
    base_level: float
    new_level: float


def pair_blocks(base: Arm, new: Arm, column: str) -> Blocks | None:
    """Pair rows of one run by case, turn and block; average by block. None if no pair has the figure."""
    pairs = pd.concat({"base": _logs(base, column), "new": _logs(new, column)}, axis=1).dropna()
    if pairs.empty:
        return None
    differences = _by_block(pairs["new"] - pairs["base"])
    levels = np.exp(pairs.mean())
    n = (len(pairs), len(pairs))
    return Blocks(differences, None, n, float(levels["base"]), float(levels["new"]))


def match_blocks(base: Arm, new: Arm, column: str) -> Blocks | None:
    """Take from each value what its scene usually gives, in the middle of both runs; average by run and block."""
    old, now = _logs(base, column), _logs(new, column)
    usual = pd.concat({"base": _by_scene(old), "new": _by_scene(now)}, axis=1).dropna()
    if usual.empty:
        return None
    middle = usual.mean(axis=1)
    old, now = _rest(old, middle), _rest(now, middle)
    levels = np.exp(usual.mean())
    n = (len(old), len(now))
    return Blocks(_by_block(now), _by_block(old), n, float(levels["base"]), float(levels["new"]))


def _logs(arm: Arm, column: str) -> "pd.Series[float]":
    """Return the logarithm of a column by place; a reply without any character counts as one of one character."""
    places = arm.timed.set_index(PLACE)
    values: pd.Series[float] = places[column].dropna().astype(float)
    if column == "chars":
        values = values.clip(lower=1)
    values = values[values > 0]
    logs = pd.Series(np.log(values.to_numpy()), index=values.index, dtype=float)
    return logs.groupby(level=PLACE).mean()


def _by_scene(logs: "pd.Series[float]") -> "pd.Series[float]":
    return logs.groupby(level=SCENE).mean()


def _by_block(logs: "pd.Series[float]") -> Floats:
    return np.asarray(logs.groupby(level="block").mean(), dtype=np.float64)


def _rest(logs: "pd.Series[float]", usual: "pd.Series[float]") -> "pd.Series[float]":
    """Take from each value what is usual for its scene; leave out scenes that only one run has."""
    scenes = pd.MultiIndex.from_arrays([logs.index.get_level_values(name) for name in SCENE])
    return (logs - usual.reindex(scenes).to_numpy(dtype=float)).dropna()
