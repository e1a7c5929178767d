"""Check everything that a run depends on: installation, files, certificates, clock, keys and providers."""

import os
import platform
import shutil
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from time import get_clock_info, perf_counter_ns

import httpx2

from runner.calibration.stored_calibration import find_clock_error
from runner.commands.allowed_hosts import find_unallowed
from runner.commands.event_loop import run_async
from runner.commands.package_requirement import install_command
from runner.commands.providers import load_registry
from runner.errors import CompareError, counted
from runner.providers.allowed_hosts import UnallowedHost
from runner.providers.config_files import CONFIG_NAME, find_configs
from runner.providers.endpoint import Endpoint, find_endpoint, is_configured
from runner.providers.environment import Environment, is_ci, read_environment
from runner.providers.find_config_files import find_own_file
from runner.providers.redaction import Redactor, secrets_of
from runner.providers.registry import Registry, builtin
from runner.storage.run_folder import RESULTS
from runner.version import __version__
from runner.wire.client import Client, ProviderRefusal
from runner.wire.proxy import ProxyLogins, UnusableProxy, proxy_for
from runner.wire.response_body import Phases

LIBRARIES = ("openai", "aiohttp", "httpx2", "anyio", "pandas", "uvloop")
EXTRAS = {
    "socks": "python-socks",
    "prices": "genai-prices",
    "images": "pillow",
    "parquet": "pyarrow",
    "ray": "ray",
}
"""Extra -> the distribution that it installs."""

PING_S = 10.0


class Health(StrEnum):
    """The result of a check of this machine."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "problem"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check, with a hint on what to do if something is wrong."""

    topic: str
    health: Health
    text: str
    hint: str | None = None


def examine(env_files: Sequence[Path] = (), *, pings: bool = False, allowed: Sequence[str] = ()) -> list[DoctorFinding]:
    """Return the results of all checks; with `pings`, also of those that need the network.

    A provider is not pinged if only a found file names its host and the user has not allowed it.
    """
    registry, environ, broken = _read_files(env_files)
    findings = [*_examine_offline(registry, environ), *broken]
    if pings:
        endpoints = _configured_endpoints(registry, environ)[0]
        unallowed = find_unallowed(endpoints, registry.with_allowed_hosts(allowed), environ)
        findings += [_refuse_ping(host) for host in unallowed]
        refused = {host.provider for host in unallowed}
        findings += run_async(_ping_all, [each for each in endpoints if each.provider not in refused])
    return findings


def _read_files(env_files: Sequence[Path]) -> tuple[Registry, Environment, list[DoctorFinding]]:
    """Return the providers and variables of the readable files, and a finding for each broken file.

    The built-in providers replace a broken configuration, the process's variables a broken .env.
    """
    broken = []
    try:
        registry = load_registry(Path.cwd())
    except CompareError as error:
        registry = builtin()
        broken.append(_describe_broken(CONFIG_NAME, error))
    try:
        environ = read_environment(env_files, Path.cwd(), os.environ)
    except CompareError as error:
        environ = Environment(os.environ, {}, None)
        broken.append(_describe_broken(".env", error))
    return registry, environ, broken


def _describe_broken(topic: str, error: CompareError) -> DoctorFinding:
    """Return a finding with all problems of a file."""
    text = str(error).replace("\n", "\n        ")
    return DoctorFinding(topic, Health.BAD, text, "correct it; until then its providers and variables are not checked")


def _examine_offline(registry: Registry, environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    yield DoctorFinding(
        "version", Health.GOOD, f"compare {__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    yield DoctorFinding("libraries", Health.GOOD, _list_versions(LIBRARIES))
    yield _check_extras()
    yield _check_command()
    yield from _check_files()
    yield _check_authorities()
    yield _check_clock()
    yield from _check_providers(registry, environ)


def _list_versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {_version_of(name) or 'not installed'}" for name in packages)


def _version_of(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def _check_extras() -> DoctorFinding:
    absent = [extra for extra, package in EXTRAS.items() if _version_of(package) is None]
    if not absent:
        return DoctorFinding("extras", Health.GOOD, f"all installed: {', '.join(EXTRAS)}")
    return DoctorFinding("extras", Health.NOTE, f"not installed: {', '.join(absent)}", install_command(absent))


def _check_command() -> DoctorFinding:
    """Check which program `compare` on PATH is, since ImageMagick has a command of that name."""
    found = shutil.which("compare")
    if found is None:
        return DoctorFinding(
            "command", Health.NOTE, "no `compare` on PATH", "compare-llm and python -m runner are the same"
        )
    if Path(found).parent.resolve() == Path(sys.executable).parent.resolve():
        return DoctorFinding("command", Health.GOOD, f"`compare` is {found}")
    text = f"`compare` is {found}, another program"
    return DoctorFinding("command", Health.NOTE, text, "use compare-llm, or python -m runner")


def _check_files() -> Iterator[DoctorFinding]:
    here = Path.cwd()
    variables, ignored = find_own_file(".env", here)
    found = [str(path) for path in (*find_configs(here), variables) if path is not None]
    yield DoctorFinding("files", Health.GOOD, ", ".join(found) or "neither a compare.yaml nor a .env here or above")
    for note in (*find_own_file(CONFIG_NAME, here)[1], *ignored):
        yield DoctorFinding("files", Health.NOTE, note)
    place = RESULTS if RESULTS.is_dir() else here
    if not os.access(place, os.W_OK):
        yield DoctorFinding("results", Health.BAD, f"{place.absolute()} is not writable", "name another folder with -o")


def _check_authorities() -> DoctorFinding:
    """Check that certificate authorities are installed, against which server certificates are verified."""
    count = ssl.create_default_context().cert_store_stats()["x509_ca"]
    paths = ssl.get_default_verify_paths()
    place = os.environ.get(paths.openssl_cafile_env) or paths.cafile or paths.capath or paths.openssl_capath
    if count or (place and Path(place).is_dir()):
        return DoctorFinding("certificates", Health.GOOD, f"{count} authorities loaded, from {place}")
    hint = f"install ca-certificates, or set {paths.openssl_cafile_env}"
    return DoctorFinding(
        "certificates", Health.BAD, "no certificate authority is known: every HTTPS request will fail", hint
    )


def _check_clock() -> DoctorFinding:
    clock = get_clock_info("perf_counter")
    loop = "uvloop" if _version_of("uvloop") else "asyncio's own loop"
    description = f"{clock.implementation}, {clock.resolution * 1e9:g} ns, {loop}"
    error = find_clock_error(datetime.now().astimezone())
    if error is None:
        return DoctorFinding(
            "clock", Health.NOTE, f"{description}; this machine's error is not known", "run: compare calibrate"
        )
    p99_ms = error.ttft_p99_s * 1000
    return DoctorFinding(
        "clock",
        Health.GOOD,
        f"{description}; TTFT p99 off by {p99_ms:.2f} ms (n {error.n}) on {error.calibrated_at[:10]}",
    )


def _configured_endpoints(registry: Registry, environ: Mapping[str, str]) -> tuple[list[Endpoint], list[str]]:
    """Return the endpoints of the configured providers, and a message for each one that cannot be used."""
    endpoints, problems = [], []
    for provider in registry.rows:
        if not is_configured(provider, registry, environ):
            continue
        try:
            endpoints.append(find_endpoint(provider, registry, environ))
        except CompareError as error:
            problems.append(str(error))
    return endpoints, problems


def _check_providers(registry: Registry, environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    endpoints, problems = _configured_endpoints(registry, environ)
    if not endpoints:
        hint = "export DEEPSEEK_API_KEY=...; `compare providers` names every variable"
        outcome = "`compare run` ends with exit code 4" if is_ci(os.environ) else "the simulator will answer"
        yield DoctorFinding("providers", Health.NOTE, f"none is configured: {outcome}", hint)
    for problem in problems:
        yield DoctorFinding("providers", Health.BAD, problem)
    for endpoint in endpoints:
        yield _check_provider(endpoint, environ)


def _check_provider(endpoint: Endpoint, environ: Mapping[str, str]) -> DoctorFinding:
    key = f"key from {endpoint.key.variable}" if endpoint.key else "no key needed"
    try:
        proxy = proxy_for(httpx2.URL(endpoint.base_url), environ)
    except UnusableProxy as error:
        return DoctorFinding(endpoint.provider, Health.BAD, str(error), "correct the variable, or unset it")
    route = f", through the proxy of {proxy.variable}" if proxy else ""
    health = Health.NOTE if endpoint.notes else Health.GOOD
    text = f"{endpoint.base_url}, {key}{route}"
    return DoctorFinding(endpoint.provider, health, text, " ".join(endpoint.notes) or None)


def _refuse_ping(host: UnallowedHost) -> DoctorFinding:
    return DoctorFinding(host.provider, Health.NOTE, f"not pinged: {host}", f"if it is meant: --allow-host {host.host}")


async def _ping_all(endpoints: Sequence[Endpoint]) -> list[DoctorFinding]:
    # Pings run one after the other, since concurrent ones would slow each other down.
    logins = ProxyLogins()
    return [await ping(endpoint, logins) for endpoint in endpoints]


async def ping(endpoint: Endpoint, logins: ProxyLogins) -> DoctorFinding:
    """Open a connection and request the list of models, which costs no tokens; return the duration of each phase."""
    redactor = Redactor(secrets_of([endpoint], os.environ))
    client = Client(endpoint, PING_S, logins=logins)
    try:
        opened = await client.warm_up(1)
        sent_ns = perf_counter_ns()
        models = await client.list_models()
        answered_s = (perf_counter_ns() - sent_ns) / 1e9
    except ProviderRefusal as refusal:
        failed = refusal.failed
        status = f"HTTP {failed.http_status}" if failed.http_status else failed.outcome.value
        text = f"{_describe_phases(opened)}; GET /models: {status}: {redactor.in_errors(failed.message)}"
        has_no_list = failed.http_status in {404, 405}
        return DoctorFinding(endpoint.provider, Health.NOTE if has_no_list else Health.BAD, text)
    finally:
        await client.aclose()
    text = f"{_describe_phases(opened)}; GET /models {answered_s * 1000:.0f} ms, {counted(len(models), 'model')}"
    if client.rate_limits:
        limits = redactor.in_headers(client.rate_limits)
        text += f"; limits: {', '.join(f'{name} {value}' for name, value in limits.items())}"
    unlisted = find_unlisted(endpoint.row.models, models)
    if unlisted:
        text += f"; not listed, though asked when none is named: {', '.join(unlisted)}"
        hint = f"correct `models`: `compare providers --models {endpoint.provider}` lists those there are"
        return DoctorFinding(endpoint.provider, Health.NOTE, text, hint)
    return DoctorFinding(endpoint.provider, Health.GOOD, text)


def find_unlisted(asked: Sequence[str], listed: Sequence[str]) -> list[str]:
    """Return the models that are not in a list, ignoring case and vendor prefixes; none if the list is empty."""
    names = {part for name in listed for part in (name.lower(), name.lower().rpartition("/")[2])}
    return [model for model in asked if names and model.lower() not in names]


def _describe_phases(opened: list[Phases]) -> str:
    if not opened:
        return "no connection could be opened"
    phases = opened[0]
    spans = {
        "DNS": (phases.dns_start, phases.dns_end),
        "TCP": (phases.tcp_start, phases.tcp_end),
        "TLS": (phases.tcp_end, phases.tls_end),
    }
    described = [f"{name} {(end - start) / 1e6:.1f} ms" for name, (start, end) in spans.items() if start and end]
    return ", ".join(described) or "connected"
