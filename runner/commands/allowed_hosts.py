"""Remember the hosts that the user has allowed, and refuse runs that would send to others.

Each yes is a small file in the user's state folder, named by the digest of the question.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runner.errors import CompareError
from runner.providers.config_files import user_config
from runner.providers.endpoint import Endpoint
from runner.providers.owned_files import user_folder
from runner.providers.registry import Registry
from runner.providers.trusted_hosts import NewHost, UntrustedHost, new_hosts


def refuse_new_hosts(
    endpoints: Iterable[Endpoint], registry: Registry, environ: Mapping[str, str], allowed: Sequence[str] = ()
) -> None:
    """Raise UntrustedHost if one of these endpoints would send to a host that the user has not allowed."""
    hosts = find_unallowed(endpoints, registry, environ, allowed)
    if hosts:
        raise UntrustedHost(hosts, user_config())


def find_unallowed(
    endpoints: Iterable[Endpoint], registry: Registry, environ: Mapping[str, str], allowed: Sequence[str] = ()
) -> list[NewHost]:
    """Return the hosts that only a file of unknown origin names, and that the user has not allowed yet."""
    return [host for host in new_hosts(endpoints, registry, environ, allowed) if not is_remembered(host)]


def is_remembered(host: NewHost) -> bool:
    """Return whether the user has allowed the same file, variable and base URL before."""
    folder = _answers()
    return folder is not None and os.path.isfile(folder / host.digest)  # noqa: PTH113 -- never raises


def remember(hosts: Iterable[NewHost]) -> None:
    """Store that the user allowed these hosts.

    Raises:
        CompareError: the folder cannot be written, or there is no home folder.

    """
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
