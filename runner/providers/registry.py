"""The registry of providers: built-in rows merged with those of plug-ins and of the user."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter

from runner.document import read
from runner.errors import CompareError
from runner.providers.provider_row import Row, Rows


@dataclass(frozen=True, slots=True)
class Declaration:
    """A file that has a row for a provider, and the name that it has there; no file where Python data has it."""

    path: Path | None
    name: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Provider rows by id."""

    rows: Mapping[str, Row]
    known: Mapping[str, Row] = field(default_factory=dict)
    """The rows that the user trusts: built-in ones, those of plug-ins and of the user's own configuration."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that the user's own configuration allows."""
    declared: Mapping[str, tuple[Declaration, ...]] = field(default_factory=dict)
    """Id -> the files with a row for it, the last of which wins."""
    notes: tuple[str, ...] = ()
    """Sentences on files that were not read."""
    own: frozenset[str] = frozenset()
    """Ids for which a compare.yaml or a suite has a row."""
    home_hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Id -> the hosts of its built-in row, even if the user replaced it; empty for servers that users run."""
    plugin_errors: Mapping[str, str] = field(default_factory=dict)
    """Id of a plug-in's provider that cannot be used -> the reason."""

    @property
    def names(self) -> tuple[str, ...]:
        """All ids and aliases, with those that cannot be used."""
        return (*(name for id_, row in self.rows.items() for name in (id_, *row.aliases)), *self.plugin_errors)

    def resolve(self, name: str) -> str | None:
        """Return the id of a name or alias, in any case; None if it is unknown."""
        wanted = name.strip().lower()
        for id_, row in self.rows.items():
            if wanted in (id_.lower(), *map(str.lower, row.aliases)):
                return id_
        return None

    def with_rows(self, rows: Mapping[str, Row], path: Path | None = None) -> "Registry":
        """Return a registry with the rows of a file merged in: a known id or alias changes its row, others are added.

        They are not trusted: `trusted` makes them so.

        Raises:
            CompareError: two providers would share a name.

        """
        merged, own, declared = dict(self.rows), set(self.own), dict(self.declared)
        for name, row in rows.items():
            id_ = self.resolve(name) or name
            merged[id_] = row.merged_onto(merged[id_]) if id_ in merged else row
            own.add(id_)
            declared[id_] = (*declared.get(id_, ()), Declaration(path, name))
        _refuse_shared_names(merged)
        return replace(self, rows=MappingProxyType(merged), own=frozenset(own), declared=MappingProxyType(declared))

    def trusted(self) -> "Registry":
        """Return a registry in which the user trusts every row that it has now."""
        return replace(self, known=self.rows)

    def with_plugin_row(self, id_: str, row: Row) -> "Registry":
        """Return a registry with the row of a plug-in, which the user installed, added under an unused id."""
        rows = MappingProxyType({**self.rows, id_: row})
        return replace(self, rows=rows, known=MappingProxyType({**self.known, id_: row}))


@cache
def builtin() -> Registry:
    """Return the registry of the built-in providers."""
    document = read(Path(__file__).with_name("builtin.yaml"))
    rows = TypeAdapter(Rows).validate_python(document.data)
    _refuse_shared_names(rows)
    hosts = {id_: _home_hosts(row) for id_, row in rows.items()}
    return Registry(MappingProxyType(rows), home_hosts=MappingProxyType(hosts)).trusted()


def _home_hosts(row: Row) -> frozenset[str]:
    """Return the vendor's hosts; none for servers that users run themselves."""
    return frozenset() if row.keyless or row.base_url is None else row.hosts


def _refuse_shared_names(rows: Mapping[str, Row]) -> None:
    owners: dict[str, str] = {}
    for id_, row in rows.items():
        for name in {id_.lower(), *map(str.lower, row.aliases)}:
            if owners.setdefault(name, id_) != id_:
                raise CompareError(
                    f"The providers {owners[name]} and {id_} are both called {name!r}. Rename one, or its alias."
                )
