"""Targets as they appear in tables: split by the place that requests were sent from (`--vantage`) and by who answered.

A place is a region, or a node if regions do not distinguish the nodes. A run that was sent from several places has a
row for each target and place in every table, and a curve for each in every chart. A run that is read `--by` a column
such as `served_by` has one for each value of the column.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from runner.core.answered_by import AnsweredByColumn
from runner.core.cluster_node import Node
from runner.core.record import Record
from runner.errors import CompareError, did_you_mean
from runner.storage.journal import Header

UNKNOWN = "unknown"
"""The name of who answered if a response does not tell, for example a failed one."""


@dataclass(frozen=True, slots=True)
class MeasuredTarget:
    """A target of a table row, such as `a/m`, `a/m from north`, `a/m by Together` or `a/m from north · run 2`."""

    name: str
    """Name of the target: `provider/model`, or `provider/model#variant`."""
    place: str | None = None
    """Place that the requests were sent from; None if targets are not split by place."""
    run: str | None = None
    """Name of the run, if a table has several."""
    answered_by: str | None = None
    """Value of the column of who answered; None if targets are not split by it."""

    def __str__(self) -> str:
        place = f" from {self.place}" if self.place is not None else ""
        answered_by = f" by {self.answered_by}" if self.answered_by is not None else ""
        run = f" · {self.run}" if self.run is not None else ""
        return f"{self.name}{place}{answered_by}{run}"

    @property
    def provider(self) -> str:
        """The provider: the name up to its first slash."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class TargetSplit:
    """The rule that splits the targets of a run into rows of its tables; by default they are not split."""

    places: Mapping[str, str] = field(default_factory=dict)
    """Place of each node."""
    column: AnsweredByColumn | None = None
    answered_by: Mapping[MeasuredTarget, tuple[str, ...]] = field(default_factory=dict)
    """Values in the column, for each target and place; targets without values are left out."""

    @classmethod
    def by_place(cls, vantages: Mapping[str, str | None], column: AnsweredByColumn | None = None) -> Self:
        """Return the split by place, if requests were sent from several places, and by a column, if one is given."""
        places = name_places(vantages)
        return cls(places if len({*places.values()}) > 1 else {}, column)

    def list_targets(self, names: Iterable[str]) -> tuple[MeasuredTarget, ...]:
        """Return each target, once for each place and each value of who answered there."""
        each_place = tuple(dict.fromkeys(self.places.values())) or (None,)
        targets = (MeasuredTarget(name, place) for name in names for place in each_place)
        return tuple(
            target if value is None else replace(target, answered_by=value)
            for target in targets
            for value in self.answered_by.get(target, (None,))
        )

    def part_of(self, name: str, node: object, answered_by: object) -> MeasuredTarget:
        """Return the target of a row, given its name, the node that sent it and its value in the column."""
        target = MeasuredTarget(name, self.places.get(str(node)))
        return replace(target, answered_by=str(answered_by or UNKNOWN)) if target in self.answered_by else target

    def target_of(self, record: Record) -> MeasuredTarget:
        """Return the target of a record."""
        value = None if self.column is None else getattr(record, self.column)
        return self.part_of(record.identity.target, record.node, value)


WHOLE = TargetSplit()
"""No split: a row for each target."""


def name_places(vantages: Mapping[str, str | None]) -> dict[str, str]:
    """Return the place of each node: its region if all nodes have one and these differ, else the node itself."""
    regions = {region for region in vantages.values() if region is not None}
    by_region = len(regions) > 1 and None not in vantages.values()
    return {node: region if by_region and region is not None else node for node, region in vantages.items()}


def name_target(target: MeasuredTarget, number: int, count: int) -> MeasuredTarget:
    """Return a target with the name of its run, counted from 1, if there are several."""
    return replace(target, run=f"run {number}" if count > 1 else None)


def find_nodes(vantages: Mapping[str, str | None], place: str) -> frozenset[str]:
    """Return the nodes of a place, else those of a region, else the node, of this name; empty if there is none."""
    for names in (name_places(vantages), vantages, {node: node for node in vantages}):
        nodes = frozenset(node for node, name in names.items() if name == place)
        if nodes:
            return nodes
    return frozenset()


def describe_vantages(vantages: Mapping[str, str | None]) -> str:
    """Return a list of the nodes as text, each with its region."""
    return ", ".join(str(Node(*vantage)) for vantage in vantages.items())


def find_places(header: Header, a: str, b: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the nodes of two places that a run was sent from.

    Raises:
        CompareError: the run was not sent from two such places.

    """
    vantages, run_id = header.vantages, header.run_id
    if not vantages:
        raise CompareError(
            f"{run_id} was not asked in full from several places; compare run --engine ray --vantage does that"
        )
    found = (find_nodes(vantages, a), find_nodes(vantages, b))
    regions = [region for region in dict.fromkeys(vantages.values()) if region is not None]
    for name, nodes in zip((a, b), found, strict=True):
        if not nodes:
            hint = did_you_mean(name, (*regions, *vantages), f"It was asked from {describe_vantages(vantages)}")
            raise CompareError(f"{run_id} was not asked from {name}. {hint}")
    if found[0] & found[1]:
        raise CompareError(f"{a} and {b} are not two places: {', '.join(sorted(found[0] & found[1]))} is in both")
    return found


def list_answered_by(targets: Iterable[MeasuredTarget]) -> dict[MeasuredTarget, tuple[str, ...]]:
    """Return the names of who answered each target at each place, in order, with UNKNOWN last."""
    found: dict[MeasuredTarget, set[str]] = {}
    for target in targets:
        if target.answered_by is not None:
            found.setdefault(replace(target, answered_by=None), set()).add(target.answered_by)
    return {target: tuple(sorted(names, key=lambda name: (name == UNKNOWN, name))) for target, names in found.items()}
