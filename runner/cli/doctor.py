"""`compare doctor`: what a run depends on, looked over before a run does."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import env_file_option

if TYPE_CHECKING:
    from runner.commands.doctor import DoctorFinding
    from runner.providers.endpoint import Endpoint

MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


@click.command()
@click.option("--ping", "pings", is_flag=True, help="Ask each configured provider for its list of models; no tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@env_file_option
def doctor(env_files: tuple[Path, ...], *, pings: bool, as_json: bool) -> None:
    """Say what is installed, configured and reachable, and what to do where something is amiss.

    \b
    compare doctor
    compare doctor --ping

    Exit codes: 0 nothing is wrong, 1 something is.
    """
    import json  # noqa: PLC0415
    import os  # noqa: PLC0415

    from runner.commands.doctor import Health, configured_endpoints, examine  # noqa: PLC0415 -- heavy
    from runner.commands.run.prepare import load_registry  # noqa: PLC0415
    from runner.providers.environment import read_environment  # noqa: PLC0415

    registry = load_registry(Path.cwd())
    environ = read_environment(env_files, Path.cwd(), os.environ)
    findings = list(examine(registry, environ))
    if pings:
        findings += _ping_all(configured_endpoints(registry, environ)[0])
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            click.echo(_line(finding))
    sys.exit(1 if any(finding.health is Health.BAD for finding in findings) else 0)


def _ping_all(endpoints: "list[Endpoint]") -> "list[DoctorFinding]":
    import anyio  # noqa: PLC0415

    from runner.commands.doctor import ping  # noqa: PLC0415
    from runner.commands.run.perform import backend  # noqa: PLC0415

    async def ask() -> "list[DoctorFinding]":
        # One after the other: together they would share the line, and tell its sharing.
        return [await ping(endpoint) for endpoint in endpoints]

    return anyio.run(ask, **backend())


def _line(finding: "DoctorFinding") -> str:
    hint = f"\n        -> {finding.hint}" if finding.hint else ""
    return f"{MARKS[finding.health.value]} {finding.topic}: {finding.text}{hint}"
