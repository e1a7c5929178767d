"""Looks over what a run depends on, and says what is amiss before a run does."""

import os
import platform
import shutil
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from time import get_clock_info, perf_counter_ns

import httpx2

from runner.calibration.stored import find_clock_error
from runner.document import find_nearest
from runner.errors import CompareError
from runner.providers.config import find_config
from runner.providers.endpoint import Endpoint, find_endpoint, is_configured
from runner.providers.redaction import Redactor
from runner.providers.registry import Registry
from runner.storage.run_folder import RESULTS
from runner.version import __version__
from runner.wire.client import Client, ProviderRefusal
from runner.wire.proxy import UnusableProxy, proxy_for
from runner.wire.response_body import Phases

LIBRARIES = ("openai", "aiohttp", "httpx2", "anyio", "pandas", "uvloop")
EXTRAS = {"socks": "python-socks", "prices": "genai-prices", "parquet": "pyarrow", "ray": "ray"}
PING_S = 10.0


class Health(StrEnum):
    """How a finding is meant."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "problem"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing that was looked at: what it is, how it is, and what to do where something is amiss."""

    topic: str
    health: Health
    text: str
    hint: str | None = None


def examine(registry: Registry, environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    """Look at all that can be seen without the network."""
    yield DoctorFinding(
        "version", Health.GOOD, f"compare {__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    yield DoctorFinding("libraries", Health.GOOD, _name_versions(LIBRARIES))
    yield _find_extras()
    yield _find_command()
    yield from _find_files()
    yield _find_authorities()
    yield _find_clock()
    yield from _find_providers(registry, environ)


def _name_versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {_version_of(name) or 'not installed'}" for name in packages)


def _version_of(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def _find_extras() -> DoctorFinding:
    absent = [extra for extra, package in EXTRAS.items() if _version_of(package) is None]
    if not absent:
        return DoctorFinding("extras", Health.GOOD, f"all installed: {', '.join(EXTRAS)}")
    return DoctorFinding(
        "extras",
        Health.NOTE,
        f"not installed: {', '.join(absent)}",
        f"pip install 'compare-runner[{','.join(absent)}]'",
    )


def _find_command() -> DoctorFinding:
    """Say who answers to `compare`: ImageMagick has a command of that name."""
    found = shutil.which("compare")
    if found is None:
        return DoctorFinding(
            "command", Health.NOTE, "no `compare` on PATH", "compare-llm and python -m runner are the same"
        )
    if Path(found).parent.resolve() == Path(sys.executable).parent.resolve():
        return DoctorFinding("command", Health.GOOD, f"`compare` is {found}")
    return DoctorFinding(
        "command",
        Health.NOTE,
        f"`compare` is {found}, which belongs to somebody else",
        "use compare-llm, or python -m runner",
    )


def _find_files() -> Iterator[DoctorFinding]:
    here = Path.cwd()
    config, variables = find_config(here), find_nearest(".env", here)
    found = [str(path) for path in (config, variables) if path is not None]
    yield DoctorFinding("files", Health.GOOD, ", ".join(found) or "neither a compare.yaml nor a .env here or above")
    place = RESULTS if RESULTS.is_dir() else here
    if not os.access(place, os.W_OK):
        yield DoctorFinding("results", Health.BAD, f"{place.absolute()} is not writable", "name another folder with -o")


def _find_authorities() -> DoctorFinding:
    """Say where the certificates come from that a server's is checked against."""
    count = ssl.create_default_context().cert_store_stats()["x509_ca"]
    paths = ssl.get_default_verify_paths()
    place = os.environ.get(paths.openssl_cafile_env) or paths.cafile or paths.capath or paths.openssl_capath
    if count or (place and Path(place).is_dir()):
        return DoctorFinding("certificates", Health.GOOD, f"{count} authorities loaded, from {place}")
    hint = f"install ca-certificates, or set {paths.openssl_cafile_env}"
    return DoctorFinding(
        "certificates", Health.BAD, "no certificate authority is known: every HTTPS request will fail", hint
    )


def _find_clock() -> DoctorFinding:
    clock = get_clock_info("perf_counter")
    loop = "uvloop" if _version_of("uvloop") else "asyncio's own loop"
    told = f"{clock.implementation}, {clock.resolution * 1e9:g} ns, {loop}"
    error = find_clock_error(datetime.now().astimezone())
    if error is None:
        return DoctorFinding(
            "clock", Health.NOTE, f"{told}; this machine's error is not known", "run: compare calibrate"
        )
    p99_ms = error.ttft_p99_s * 1000
    return DoctorFinding(
        "clock", Health.GOOD, f"{told}; TTFT p99 off by {p99_ms:.2f} ms (n {error.n}) on {error.calibrated_at[:10]}"
    )


def configured_endpoints(registry: Registry, environ: Mapping[str, str]) -> tuple[list[Endpoint], list[str]]:
    """Return the providers that are set up, and a sentence for each that is set up and cannot be asked."""
    endpoints, problems = [], []
    for provider in registry.rows:
        if not is_configured(provider, registry, environ):
            continue
        try:
            endpoints.append(find_endpoint(provider, registry, environ))
        except CompareError as error:
            problems.append(str(error))
    return endpoints, problems


def _find_providers(registry: Registry, environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    endpoints, problems = configured_endpoints(registry, environ)
    if not endpoints:
        hint = "export DEEPSEEK_API_KEY=...; `compare providers` names every variable"
        yield DoctorFinding("providers", Health.NOTE, "none is configured: the simulator will answer", hint)
    for problem in problems:
        yield DoctorFinding("providers", Health.BAD, problem)
    for endpoint in endpoints:
        yield _find_provider(endpoint, environ)


def _find_provider(endpoint: Endpoint, environ: Mapping[str, str]) -> DoctorFinding:
    key = f"key from {endpoint.key.variable}" if endpoint.key else "no key needed"
    try:
        proxy = proxy_for(httpx2.URL(endpoint.base_url), environ)
    except UnusableProxy as error:
        return DoctorFinding(endpoint.provider, Health.BAD, str(error), "correct the variable, or unset it")
    way = f", through the proxy of {proxy.variable}" if proxy else ""
    told = f"{endpoint.base_url}, {key}{way}"
    return DoctorFinding(
        endpoint.provider, Health.NOTE if endpoint.notes else Health.GOOD, told, " ".join(endpoint.notes) or None
    )


async def ping(endpoint: Endpoint) -> DoctorFinding:
    """Open one connection and ask for the list of models, which costs no tokens; tell how long each phase took."""
    redactor = Redactor([endpoint.key] if endpoint.key is not None else [])
    client = Client(endpoint, PING_S)
    try:
        opened = await client.warm_up(1)
        asked_ns = perf_counter_ns()
        models = await client.list_models()
        answered_s = (perf_counter_ns() - asked_ns) / 1e9
    except ProviderRefusal as refusal:
        failed = refusal.failed
        status = f"HTTP {failed.http_status}" if failed.http_status else failed.outcome.value
        said = f"{_name_phases(opened)}; GET /models: {status}: {redactor.in_errors(failed.message)}"
        reached = failed.http_status in {404, 405}
        return DoctorFinding(endpoint.provider, Health.NOTE if reached else Health.BAD, said)
    finally:
        await client.aclose()
    return DoctorFinding(
        endpoint.provider,
        Health.GOOD,
        f"{_name_phases(opened)}; GET /models {answered_s * 1000:.0f} ms, {len(models)} models",
    )


def _name_phases(opened: list[Phases]) -> str:
    if not opened:
        return "no connection could be opened"
    phases = opened[0]
    spans = {
        "DNS": (phases.dns_start, phases.dns_end),
        "TCP": (phases.tcp_start, phases.tcp_end),
        "TLS": (phases.tcp_end, phases.tls_end),
    }
    told = [f"{name} {(end - start) / 1e6:.1f} ms" for name, (start, end) in spans.items() if start and end]
    return ", ".join(told) or "connected"
