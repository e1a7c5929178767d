"""Runs the command in a process of its own, in a folder that knows only the providers it is given."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
KEPT = ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")
COMPARE = ("-m", "runner")
PATIENCE_S = 60


def write_yaml(path: Path, content: object) -> Path:
    """Write a suite or a configuration."""
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def write_config(folder: Path, **rows: Mapping[str, object]) -> None:
    """Write a compare.yaml with rows for these providers."""
    write_yaml(folder / "compare.yaml", {"providers": rows})


def start(
    folder: Path, *arguments: str, program: tuple[str, ...] = COMPARE, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the command in a folder, with these variables and none that a developer's machine may have."""
    environ = {name: os.environ[name] for name in KEPT if name in os.environ}
    environ |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **(variables or {})}
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process that was started; kill it rather than wait for ever."""
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def compare(
    folder: Path, *arguments: str, program: tuple[str, ...] = COMPARE, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return finish(start(folder, *arguments, program=program, variables=variables))


def read_lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the lines of one kind of a run's journal."""
    lines = (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a run's CSV."""
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
