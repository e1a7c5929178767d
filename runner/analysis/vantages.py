"""A run that several nodes asked in full: what the places are called, and each target as it looks from each of them.

A target seen from a place is shown as a target of its own, `provider/model from place`, so that every table and every
picture that has a row for each target has one for each target and place.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import pandas as pd

from runner.analysis.cells import TEXT
from runner.analysis.source import RecordSource
from runner.core.nodes import Node
from runner.core.record import Record
from runner.storage.journal import Header


def name_places(vantages: Mapping[str, str | None]) -> dict[str, str]:
    """Return what each node's place is called: its region, where all have one and not all the same; else the node."""
    regions = {region for region in vantages.values() if region is not None}
    by_region = len(regions) > 1 and None not in vantages.values()
    return {node: region if by_region and region is not None else node for node, region in vantages.items()}


def find_nodes(vantages: Mapping[str, str | None], place: str) -> frozenset[str]:
    """Return the nodes of a place as tables call it, else of a region, else the node of that name, if there is one."""
    for called in (name_places(vantages), vantages, {node: node for node in vantages}):
        nodes = frozenset(node for node, name in called.items() if name == place)
        if nodes:
            return nodes
    return frozenset()


def describe_vantages(vantages: Mapping[str, str | None]) -> str:
    """List the nodes, each with its region."""
    return ", ".join(str(Node(*vantage)) for vantage in vantages.items())


def name_from(name: str, place: str) -> str:
    """Return what a model or a target is called as it looks from a place."""
    return f"{name} from {place}"


def split_header(header: Header, places: Mapping[str, str]) -> Header:
    """Return the header of a run with a target for each of its targets and places."""
    each = [(target, place) for target in header.targets for place in dict.fromkeys(places.values())]
    return replace(
        header,
        targets=tuple(name_from(*pair) for pair in each),
        prices={name_from(*pair): header.prices[pair[0]] for pair in each if pair[0] in header.prices},
        vantages={},
    )


def models_from(table: pd.DataFrame, places: Mapping[str, str]) -> "pd.Series[str]":
    """Return what the model of each row is called as it looks from the place of its node."""
    names: dict[tuple[str, object], str] = {}  # made once, however many rows have them
    for model, node in table[["model", "node"]].drop_duplicates().itertuples(index=False, name=None):
        names[model, node] = name_from(model, places[node]) if node in places else model
    cells = [names[pair] for pair in zip(table["model"].tolist(), table["node"].tolist(), strict=True)]
    return pd.Series(cells, index=table.index, dtype=TEXT)


@dataclass(frozen=True, slots=True)
class Seen:
    """The records of another source, each of a target as it looks from its place."""

    whole: RecordSource
    places: Mapping[str, str]

    @property
    def records(self) -> Iterator[Record]:
        """Every record."""
        return map(self._rename, self.whole.records)

    def records_at(self, places: AbstractSet[int]) -> Iterator[Record]:
        """Those at these places, from 0, in their order."""
        return map(self._rename, self.whole.records_at(places))

    def _rename(self, record: Record) -> Record:
        place, identity = self.places.get(record.node or ""), record.identity
        if place is None:
            return record
        return replace(record, identity=replace(identity, model=name_from(identity.model, place)))
