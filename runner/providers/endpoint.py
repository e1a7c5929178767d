"""Find a provider's base URL and key from its row and the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

from runner.core.suite import Api
from runner.errors import CompareError, did_you_mean
from runner.providers.base_url import InvalidBaseUrl, ParsedBaseUrl, is_on_this_machine, parse_base_url
from runner.providers.key import Key, find_key
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import Registry


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider's base URL, key and row; `notes` are sentences to show the user once."""

    provider: str
    base_url: str
    key: Key | None
    row: ProviderRow = field(repr=False)
    notes: tuple[str, ...] = ()
    base_url_variable: str | None = None
    """The environment variable that the base URL comes from; None if it comes from the row."""
    api_paths: Mapping[Api, str] = field(default_factory=dict)
    """API -> its path on the host of the base URL, for APIs that have a path of their own there."""

    def url_of(self, api: Api) -> str:
        """Return the base URL of an API; its host is the same for all of them."""
        path = self.api_paths.get(api)
        return self.base_url if path is None else urlunsplit((*urlsplit(self.base_url)[:2], path, "", ""))

    def moved_to(self, base_url: str) -> "Endpoint":
        """Return the endpoint at another base URL, which is used for every API."""
        return replace(self, base_url=base_url, api_paths={})


@dataclass(frozen=True, slots=True)
class Configured:
    """The providers to ask when no target is named.

    `left_out` maps each configured provider that cannot be asked to the reason.
    """

    endpoints: tuple[Endpoint, ...]
    left_out: Mapping[str, str]


def find_endpoint(provider: str, registry: Registry, environ: Mapping[str, str]) -> Endpoint:
    """Return a provider's base URL and key.

    Raises:
        MissingKey: the provider needs a key and none is set.
        CompareError: there is no base URL, or it cannot be used.

    """
    row = registry.rows[provider]
    base_url, variable = _find_base_url(provider, row, environ)
    key = find_key(provider, row, environ)
    notes = [f"{provider}: {note}." for note in base_url.notes]
    if variable:
        notes.append(f"{provider}: asked at the base URL that {variable} holds.")
    if key:
        notes += _warn_of_host(provider, base_url, key, registry)
    paths = row.api_paths if base_url.host in row.hosts else {}  # a variable may name a gateway without such paths
    return Endpoint(provider, base_url.url, key, row, tuple(notes), variable, paths)


def find_configured(registry: Registry, environ: Mapping[str, str]) -> Configured:
    """Return the providers that have a key, or a row by the user, and a default model."""
    endpoints, left_out = [], {}
    for provider, row in registry.rows.items():
        if not is_configured(provider, registry, environ):
            continue
        try:
            endpoint = find_endpoint(provider, registry, environ)
        except CompareError as error:
            left_out[provider] = str(error)
            continue
        if row.models:
            endpoints.append(endpoint)
        else:
            left_out[provider] = f"{provider} has no default model. Name one as {provider}/MODEL."
    return Configured(tuple(endpoints), left_out)


def is_configured(provider: str, registry: Registry, environ: Mapping[str, str]) -> bool:
    """Return whether the user set up a provider, by a key or by a row; a keyless or `only_named` one needs a row."""
    row = registry.rows[provider]
    has_key = not (row.keyless or row.only_named) and any(environ.get(name, "").strip() for name in row.api_key_env)
    return has_key or provider in registry.own


def _find_base_url(provider: str, row: ProviderRow, environ: Mapping[str, str]) -> tuple[ParsedBaseUrl, str | None]:
    """Return the base URL, and the environment variable that it comes from, if any."""
    variable = next((name for name in row.base_url_env if environ.get(name, "").strip()), None)
    text = environ[variable] if variable else _base_url_of_row(provider, row)
    if text is None:
        names = " or ".join(row.base_url_env)
        hint = f"Set {names}, or write" if names else "Write"
        raise CompareError(f"{provider} has no base URL. {hint} base_url in compare.yaml.")
    try:
        return parse_base_url(text, row.default_path), variable
    except InvalidBaseUrl as error:
        raise CompareError(f"{provider}, by {variable or 'its row'}: {error}.") from None


def _base_url_of_row(provider: str, row: ProviderRow) -> str | None:
    if row.region is None:
        return row.base_url
    if row.region not in row.regions:
        hint = did_you_mean(row.region, tuple(row.regions), f"Known: {', '.join(row.regions) or 'none'}.")
        raise CompareError(f"{provider} has no region {row.region!r}. {hint}")
    return row.regions[row.region]


def _warn_of_host(provider: str, base_url: ParsedBaseUrl, key: Key, registry: Registry) -> list[str]:
    """Return notes on a key that is sent to a host other than the vendor's; the row may come from a foreign suite."""
    notes = []
    home = registry.home_hosts.get(provider)
    if home is None:
        notes.append(f"{provider}: the key from {key.variable} goes to {base_url.host}.")
    elif home and base_url.host not in home:
        notes.append(f"{provider}: the key from {key.variable} goes to {base_url.host}, not to the built-in address.")
    if urlsplit(base_url.url).scheme == "http" and not is_on_this_machine(base_url.url):
        notes.append(f"{provider}: the key from {key.variable} travels unencrypted to {base_url.host}.")
    return notes
