"""Where a provider is asked, and with which key: its row met with the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from runner.errors import CompareError, did_you_mean
from runner.providers.address import Address, InvalidAddress, read_address
from runner.providers.key import Key, find_key
from runner.providers.registry import Registry
from runner.providers.row import Row

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider ready to be asked; `notes` are sentences its user should see once."""

    provider: str
    base_url: str
    key: Key | None
    row: Row = field(repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Configured:
    """What is asked when no target is named, and why some of what was configured is not."""

    endpoints: tuple[Endpoint, ...]
    left_out: Mapping[str, str]


def read_endpoint(provider: str, registry: Registry, environ: Mapping[str, str]) -> Endpoint:
    """Find a provider's address and key; raise `MissingKey` or `CompareError` saying what to do."""
    row = registry.rows[provider]
    address, source = _read_base_url(provider, row, environ)
    key = find_key(provider, row, environ)
    notes = [f"{provider}: {note}." for note in address.notes]
    if source:
        notes.append(f"{provider}: asked at the base URL that {source} holds.")
    if key:
        notes += _warn_of_address(provider, address, key, registry)
    return Endpoint(provider, address.url, key, row, tuple(notes))


def read_configured(registry: Registry, environ: Mapping[str, str]) -> Configured:
    """Gather the providers that have their key, or a row of the user's own, and a default model."""
    endpoints, left_out = [], {}
    for provider, row in registry.rows.items():
        if not is_configured(provider, registry, environ):
            continue
        try:
            endpoint = read_endpoint(provider, registry, environ)
        except CompareError as error:
            left_out[provider] = str(error)
            continue
        if row.models:
            endpoints.append(endpoint)
        else:
            left_out[provider] = f"{provider} has no default model. Name one: -m {provider}/MODEL."
    return Configured(tuple(endpoints), left_out)


def is_configured(provider: str, registry: Registry, environ: Mapping[str, str]) -> bool:
    """Tell whether the user set a provider up; a keyless one only by a row of their own."""
    row = registry.rows[provider]
    has_key = not row.keyless and any(environ.get(name, "").strip() for name in row.api_key_env)
    return has_key or provider in registry.own


def _read_base_url(provider: str, row: Row, environ: Mapping[str, str]) -> tuple[Address, str | None]:
    """Return the address and the variable it came from, if it came from one."""
    variable = next((name for name in row.base_url_env if environ.get(name, "").strip()), None)
    text = environ[variable] if variable else _written_base_url(provider, row)
    if text is None:
        names = " or ".join(row.base_url_env)
        hint = f"Set {names}, or write" if names else "Write"
        raise CompareError(f"{provider} has no base URL. {hint} base_url in compare.yaml.")
    try:
        return read_address(text, row.default_path), variable
    except InvalidAddress as error:
        raise CompareError(f"{provider}, by {variable or 'its row'}: {error}.") from None


def _written_base_url(provider: str, row: Row) -> str | None:
    if row.region is None:
        return row.base_url
    if row.region not in row.regions:
        near = did_you_mean(row.region, tuple(row.regions))
        known = f"Did you mean {near}?" if near else f"Known: {', '.join(row.regions) or 'none'}."
        raise CompareError(f"{provider} has no region {row.region!r}. {known}")
    return row.regions[row.region]


def _warn_of_address(provider: str, address: Address, key: Key, registry: Registry) -> list[str]:
    """Say where a key goes if a row or variable sends it elsewhere: the row may come from somebody else's suite."""
    notes = []
    home = registry.home_hosts.get(provider)
    if home is None:
        notes.append(f"{provider}: the key from {key.variable} goes to {address.host}.")
    elif home and address.host not in home:
        notes.append(f"{provider}: the key from {key.variable} goes to {address.host}, not to the built-in address.")
    if urlsplit(address.url).scheme == "http" and address.host not in LOOPBACK:
        notes.append(f"{provider}: the key from {key.variable} travels unencrypted to {address.host}.")
    return notes
