"""Which providers there are: the built-in rows with the user's own laid over them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter

from runner.document import read
from runner.errors import CompareError
from runner.providers.address import read_address
from runner.providers.row import Row, Rows


@dataclass(frozen=True, slots=True)
class Registry:
    """Rows by canonical id.

    `own` are the ids that a compare.yaml or a suite has a row for; `home_hosts` are the machines that the
    built-in row of an id names, whatever was laid over it, and none where users have their own. `faults` are ids that
    plug-ins bring and that cannot be used, each with the sentence that says why.
    """

    rows: Mapping[str, Row]
    own: frozenset[str] = frozenset()
    home_hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every id and alias, those that cannot be used as well."""
        return (*(name for id_, row in self.rows.items() for name in (id_, *row.aliases)), *self.faults)

    def resolve(self, name: str) -> str | None:
        """Return the id that a name or alias means, in any case; None if it means none."""
        wanted = name.strip().lower()
        for id_, row in self.rows.items():
            if wanted in (id_.lower(), *map(str.lower, row.aliases)):
                return id_
        return None

    def with_rows(self, rows: Mapping[str, Row]) -> "Registry":
        """Lay the user's rows over these: an id or alias that is known changes its row, others are added."""
        merged, own = dict(self.rows), set(self.own)
        for name, row in rows.items():
            id_ = self.resolve(name) or name
            merged[id_] = row.laid_over(merged[id_]) if id_ in merged else row
            own.add(id_)
        _refuse_shared_names(merged)
        return replace(self, rows=MappingProxyType(merged), own=frozenset(own))

    def with_foreign_row(self, id_: str, row: Row) -> "Registry":
        """Add a row under a name that is free; it is nobody's own."""
        return replace(self, rows=MappingProxyType({**self.rows, id_: row}))

    def with_faults(self, faults: Mapping[str, str]) -> "Registry":
        """Keep why ids cannot be used."""
        return replace(self, faults=faults)


@cache
def builtin() -> Registry:
    """Return the providers known from the start."""
    document = read(Path(__file__).with_name("builtin.yaml"))
    rows = TypeAdapter(Rows).validate_python(document.data)
    _refuse_shared_names(rows)
    hosts = {id_: _home_hosts(row) for id_, row in rows.items()}
    return Registry(MappingProxyType(rows), home_hosts=MappingProxyType(hosts))


def _home_hosts(row: Row) -> frozenset[str]:
    """Return where the vendor is; nowhere in particular for servers that users run themselves."""
    urls = () if row.keyless or row.base_url is None else (row.base_url, *row.regions.values())
    return frozenset(read_address(url).host for url in urls)


def _refuse_shared_names(rows: Mapping[str, Row]) -> None:
    owners: dict[str, str] = {}
    for id_, row in rows.items():
        for name in {id_.lower(), *map(str.lower, row.aliases)}:
            if owners.setdefault(name, id_) != id_:
                raise CompareError(
                    f"The providers {owners[name]} and {id_} are both called {name!r}. Rename one, or its alias."
                )
