"""`compare doctor`: check everything that a run depends on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.shared_options import allow_host_option, env_file_option, json_option
from runner.cli.terminal import echo_json, echo_wrapped

if TYPE_CHECKING:
    from runner.commands.doctor import DoctorFinding

MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


@click.command(cls=Command)
@click.option(
    "--ping",
    "pings",
    is_flag=True,
    help="Request the list of models of each configured provider, which costs no tokens.",
)
@json_option
@env_file_option
@allow_host_option
def doctor(env_files: tuple[Path, ...], allow_hosts: tuple[str, ...], *, pings: bool, as_json: bool) -> None:
    """Check what is installed, configured and reachable, and say what to do about problems.

    \b
    compare doctor
    compare doctor --ping

    Exit codes: 0 no problem, 1 a problem.
    """
    import json

    from runner.commands.doctor import Health, examine

    findings = examine(env_files, pings=pings, allowed=allow_hosts)
    if as_json:
        echo_json(json.dumps(list(map(_to_plain, findings)), ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            echo_wrapped(_render_line(finding))
    sys.exit(1 if any(finding.health is Health.BAD for finding in findings) else 0)


def _to_plain(finding: "DoctorFinding") -> dict[str, str | None]:
    """Return a finding as plain data, under the stored member names."""
    return {"topic": finding.topic, "health": finding.health, "text": finding.text, "remedy": finding.hint}


def _render_line(finding: "DoctorFinding") -> str:
    hint = f"\n        -> {finding.hint}" if finding.hint else ""
    return f"{MARKS[finding.health.value]} {finding.topic}: {finding.text}{hint}"
