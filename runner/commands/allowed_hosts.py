"""Remember the hosts that the user has allowed, and refuse runs that would send to others.

Each allowed host is a small file in the user's state folder, named by the digest of the question.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from runner.errors import CompareError
from runner.providers.allowed_hosts import HostNotAllowed, UnallowedHost, unallowed_hosts
from runner.providers.config_files import user_config
from runner.providers.endpoint import Endpoint
from runner.providers.environment import is_ci
from runner.providers.find_config_files import user_folder
from runner.providers.registry import Registry

AskUser = Callable[[HostNotAllowed], None]
"""Asks the user about hosts that are not allowed; raises the refusal if the answer is no. It is not called in CI."""


def refuse_unallowed(
    endpoints: Iterable[Endpoint], registry: Registry, environ: Mapping[str, str], ask: AskUser | None = None
) -> None:
    """Ask about the hosts of these endpoints that the user has not allowed, and remember the answer yes.

    Raises:
        HostNotAllowed: the user has not allowed a host, or cannot be asked: there is no `ask`, or this is CI.
        CompareError: the answer cannot be stored.

    """
    hosts = find_unallowed(endpoints, registry, environ)
    if not hosts:
        return
    refusal = HostNotAllowed(hosts, user_config())
    if ask is None or is_ci(os.environ):
        raise refusal
    ask(refusal)
    _remember(hosts)


def find_unallowed(
    endpoints: Iterable[Endpoint], registry: Registry, environ: Mapping[str, str]
) -> list[UnallowedHost]:
    """Return the hosts that only a file of unknown origin names, and that the user has not allowed yet."""
    return [host for host in unallowed_hosts(endpoints, registry, environ) if not _is_remembered(host)]


def _is_remembered(host: UnallowedHost) -> bool:
    """Return whether the user has allowed the same file, variable and base URL before."""
    folder = _answers()
    return folder is not None and os.path.isfile(folder / host.digest)  # noqa: PTH113 -- never raises


def _remember(hosts: Iterable[UnallowedHost]) -> None:
    folder = _answers()
    if folder is None:
        raise CompareError("there is no home folder to keep the answer in; add --allow-host instead")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for host in hosts:
            (folder / host.digest).write_text(f"{host}\n{host.base_url}\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise CompareError(f"{folder} cannot be written: {error.strerror}; add --allow-host instead") from error


def _answers() -> Path | None:
    folder = user_folder("XDG_STATE_HOME", ".local/state")
    return None if folder is None else folder / "allowed-hosts"
