"""The registry of providers: built-in rows merged with those of plug-ins and of the user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from runner.core.target_name import TargetName
from runner.document import read
from runner.errors import BrokenPlugin, CompareError, UnknownTarget, did_you_mean
from runner.plugins import broken_plugin, load_plugin, plugin_names
from runner.providers.provider_row import ProviderRow, ProviderRows


@dataclass(frozen=True, slots=True)
class Declaration:
    """A file with a row for a provider, and the provider's name in it; `path` is None for a row from Python data."""

    path: Path | None
    name: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Provider rows by id."""

    rows: Mapping[str, ProviderRow]
    known: Mapping[str, ProviderRow] = field(default_factory=dict)
    """The rows that the user trusts: built-in ones, those of plug-ins and of the user's own configuration."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that the user's own configuration or options allow, each with or without a port."""
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
        """All ids and aliases, including ids that cannot be used."""
        return (*(name for id_, row in self.rows.items() for name in (id_, *row.aliases)), *self.plugin_errors)

    def resolve(self, name: str) -> str | None:
        """Return the id of a name or alias, in any case; None if it is unknown."""
        wanted = name.strip().lower()
        for id_, row in self.rows.items():
            if wanted in (id_.lower(), *map(str.lower, row.aliases)):
                return id_
        return None

    def with_rows(self, rows: Mapping[str, ProviderRow], path: Path | None = None) -> "Registry":
        """Return a registry with the rows of a file merged in: a known id or alias changes its row, others are added.

        The new rows are not trusted; `trusted` makes them so.

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

    def with_allowed_hosts(self, hosts: Sequence[str]) -> "Registry":
        """Return a registry that allows further hosts."""
        return replace(self, allowed_hosts=(*hosts, *self.allowed_hosts))

    def trusted(self) -> "Registry":
        """Return a registry whose present rows are all trusted."""
        return replace(self, known=self.rows)


@cache
def builtin() -> Registry:
    """Return the registry of the built-in providers."""
    document = read(Path(__file__).with_name("builtin.yaml"))
    rows = TypeAdapter(ProviderRows).validate_python(document.data)
    _refuse_shared_names(rows)
    hosts = {id_: _home_hosts(row) for id_, row in rows.items()}
    return Registry(MappingProxyType(rows), home_hosts=MappingProxyType(hosts)).trusted()


def _home_hosts(row: ProviderRow) -> frozenset[str]:
    """Return the vendor's hosts; none for servers that users run themselves."""
    return frozenset() if row.keyless or row.base_url is None else row.hosts


def _refuse_shared_names(rows: Mapping[str, ProviderRow]) -> None:
    owners: dict[str, str] = {}
    for id_, row in rows.items():
        for name in {id_.lower(), *map(str.lower, row.aliases)}:
            if owners.setdefault(name, id_) != id_:
                raise CompareError(
                    f"The providers {owners[name]} and {id_} are both called {name!r}. Rename one, or its alias."
                )


def parse_target(text: str, registry: Registry) -> TargetName:
    """Parse `provider/model`; the provider may be an alias, the model any name, slashes included.

    Raises:
        UnknownTarget: the form is wrong, or there is no such provider.
        BrokenPlugin: the plug-in that brings the provider cannot be used.

    """
    name, slash, model = text.strip().partition("/")
    if not slash or not model.strip():
        raise UnknownTarget(f"{text!r} names no target. Write provider/model, as in deepseek/deepseek-flash.")
    return TargetName(resolve_provider(name, registry), model.strip())


def resolve_provider(name: str, registry: Registry) -> str:
    """Return the id of the provider with this name or alias.

    Raises:
        UnknownTarget: there is none; the message names the nearest known one.
        BrokenPlugin: the plug-in that brings the provider cannot be used.

    """
    provider = registry.resolve(name)
    if provider is None and name in registry.plugin_errors:
        raise BrokenPlugin(registry.plugin_errors[name])
    if provider is None:
        hint = did_you_mean(name.lower(), registry.names, "`compare providers` lists the known ones.")
        raise UnknownTarget(f"No provider is called {name!r}. {hint} A row in compare.yaml adds one.")
    return provider


def default_targets(provider: str, registry: Registry) -> tuple[TargetName, ...]:
    """Return a provider's default models as targets."""
    return tuple(TargetName(provider, model) for model in registry.rows[provider].models)


def with_plugins(registry: Registry) -> Registry:
    """Return a registry with the rows of installed plug-ins added; they replace no built-in row."""
    errors: dict[str, str] = {}
    for name in plugin_names("compare.providers"):
        try:
            row = {name: _load_row(name, registry)}
        except BrokenPlugin as error:
            errors[name] = str(error)
            continue
        rows, known = ({**registry.rows, **row}, {**registry.known, **row})
        registry = replace(registry, rows=MappingProxyType(rows), known=MappingProxyType(known))
    return replace(registry, plugin_errors=MappingProxyType(errors)) if errors else registry


def _load_row(name: str, registry: Registry) -> ProviderRow:
    row = _validated(name, load_plugin("compare.providers", name))
    taken = [each for each in (name, *row.aliases) if registry.resolve(each) is not None]
    if taken:
        raise broken_plugin("compare.providers", name, f"is called {taken[0]}, as another provider is")
    return row


def _validated(name: str, data: object) -> ProviderRow:
    if not isinstance(data, Mapping):
        raise broken_plugin(
            "compare.providers", name, f"is {type(data).__name__}, and no mapping with the keys of a row"
        )
    try:
        return TypeAdapter(ProviderRows).validate_python({name: dict(data)})[name]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"][1:])) or name
        raise broken_plugin("compare.providers", name, f"is not a row: {place}: {first['msg']}") from None
