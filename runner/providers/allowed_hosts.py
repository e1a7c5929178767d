"""Decide which hosts a run may send keys or prompts to. Pure, except that the line of a row is read from its file.

The user trusts what the user installed or set: built-in rows, plug-ins, the compare.yaml in the user's own
configuration folder, the process's environment and files named by --env-file. A suite, and a compare.yaml or .env
found beside it or above it, may come from somebody else. So the user is asked once about a base URL that such a file
combines with a key's variable. No question is asked if the trusted rows have the same pair, the server is on this
machine, or the user allows its host.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from runner.document import read
from runner.errors import CompareError
from runner.providers.base_url import is_on_this_machine
from runner.providers.endpoint import Endpoint
from runner.providers.environment import Environment
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import Declaration, Registry

DEFAULT_PORTS = {"http": 80, "https": 443}
ALLOWED_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+)(:(?P<port>[0-9]{1,5}))?")

ROW_FIELDS = ("api_key_env", "base_url", "region", "regions", "base_url_env", "keyless")
"""Fields of a row that decide where a key goes, the most informative first."""


@dataclass(frozen=True, slots=True)
class UnallowedHost:
    """A host that a file of unknown origin names, with what would be sent there."""

    provider: str
    variable: str | None
    """The variable whose value would go there; None if only prompts would."""
    base_url: str
    path: str
    """The file that names it."""
    line: int

    @property
    def host(self) -> str:
        """The host, with its port where the URL has one."""
        return urlsplit(self.base_url).netloc

    @property
    def question(self) -> str:
        """The question for the user."""
        return f"{self}. Allow that from now on?"

    @property
    def digest(self) -> str:
        """The name of a remembered answer: the file's path, the variable and the base URL."""
        return sha256("\0".join((self.path, self.variable or "", self.base_url)).encode()).hexdigest()

    @property
    def what(self) -> str:
        """A phrase for the values that would be sent."""
        return f"the value of {self.variable}, and the prompts," if self.variable else "the prompts"

    def __str__(self) -> str:
        how = ", unencrypted" if urlsplit(self.base_url).scheme == "http" else ""
        return f"{self.path}:{self.line}: {self.provider} would send {self.what} to {self.host}{how}"


class HostNotAllowed(CompareError):
    """A file of unknown origin names hosts that the user has not allowed; nothing was sent."""

    def __init__(self, hosts: Sequence[UnallowedHost], user_config: Path | None) -> None:
        self.hosts = tuple(hosts)
        config = f", or write the provider into {user_config}" if user_config else ""
        names = list(dict.fromkeys(each.host for each in hosts))
        options = " ".join(f"--allow-host {name}" for name in names)
        super().__init__(
            "\n".join(f"{each}, which you have not allowed." for each in hosts)
            + f"\nIf that is meant, run it on a terminal and answer yes, add {options} "
            f"(in Python allow_host={names[0] if len(names) == 1 else names!r}){config}. Nothing was sent."
        )


def unallowed_hosts(
    endpoints: Iterable[Endpoint], registry: Registry, environ: Mapping[str, str]
) -> list[UnallowedHost]:
    """Return the hosts that endpoints would send to and that only a suite or a found file names.

    Args:
        endpoints: the endpoints that a run would use.
        registry: the rows they were found in, and the hosts that the user allows.
        environ: the variables they were found with.

    Raises:
        CompareError: an allowed host is not written as a host.

    """
    rules = [_parse_allowed(text) for text in registry.allowed_hosts]
    return [
        _describe(endpoint, registry, environ)
        for endpoint in endpoints
        if not is_on_this_machine(endpoint.base_url)
        and not any(_matches(rule, endpoint.base_url) for rule in rules)
        and not _is_known(endpoint, registry, environ)
    ]


def _is_known(endpoint: Endpoint, registry: Registry, environ: Mapping[str, str]) -> bool:
    """Return whether the user trusts an endpoint: by a row, by a variable of their own, or by one .env file."""
    variable = endpoint.key.variable if endpoint.key else None
    file = _file_of(endpoint.base_url_variable, environ)
    if file is not None and variable is not None and file == _file_of(variable, environ):
        return endpoint.provider in registry.known and _has_both(registry.known[endpoint.provider], endpoint)
    return any(_allows(row, endpoint, variable, is_own=file is None) for row in registry.known.values())


def _has_both(row: ProviderRow, endpoint: Endpoint) -> bool:
    """Return whether a row names the variables of an endpoint's base URL and key."""
    return (
        endpoint.key is not None
        and endpoint.key.variable in row.api_key_env
        and endpoint.base_url_variable in row.base_url_env
    )


def _allows(row: ProviderRow, endpoint: Endpoint, variable: str | None, *, is_own: bool) -> bool:
    """Return whether a trusted row would send the same variable to the same place."""
    if variable is not None and variable not in row.api_key_env:
        return False
    if endpoint.base_url_variable is not None and is_own and endpoint.base_url_variable in row.base_url_env:
        return True
    urls = [url for url in (row.base_url, *row.regions.values()) if url]
    return _origin(endpoint.base_url) in map(_origin, urls)


def _file_of(variable: str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the found .env file that a variable's value comes from; None if the user set it."""
    return environ.found_in(variable) if variable is not None and isinstance(environ, Environment) else None


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme)


def _parse_allowed(text: str) -> tuple[str, int | None]:
    found = ALLOWED_HOST.fullmatch(text.strip())
    if found is None:
        raise CompareError(f"{text!r} is not a host. Write the host alone, such as llm.example.com or host:8443.")
    return found["host"].strip("[]").lower(), int(found["port"]) if found["port"] else None


def _matches(rule: tuple[str, int | None], base_url: str) -> bool:
    _, host, port = _origin(base_url)
    return rule[0] == host and rule[1] in (None, port)


def _describe(endpoint: Endpoint, registry: Registry, environ: Mapping[str, str]) -> UnallowedHost:
    variable = endpoint.key.variable if endpoint.key else None
    file = _file_of(endpoint.base_url_variable, environ)
    if file is not None and isinstance(environ, Environment):
        path, line = str(file), environ.line_of(endpoint.base_url_variable or "")
    else:
        path, line = _place_in_row(registry.declared.get(endpoint.provider, ()))
    return UnallowedHost(endpoint.provider, variable, endpoint.base_url, path, line)


def _place_in_row(declarations: Sequence[Declaration]) -> tuple[str, int]:
    """Return the file and line of the most informative field of a row; the last file counts, since its row wins."""
    for declaration in reversed(declarations):
        if declaration.path is None:
            continue
        document = read(declaration.path)
        route = ("providers", declaration.name)
        fields = [name for name in ROW_FIELDS if document.node((*route, name)) is not None]
        place = document.position((*route, fields[0]) if fields else route, of_key=True)
        return str(declaration.path.absolute()), place.line
    return "(Python)", 1
