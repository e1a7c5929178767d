"""A run that is started, killed and resumed, against a simulator that keeps a log of all requests."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any
from urllib.request import urlopen

from runner.core.record import Record
from runner.simulator.child_process import launch_sync
from runner.storage import journal
from tests.support.command import compare, start, write_config, write_yaml

Question = tuple[str, str]
"""Model and prompt, which occur once in a plan without repeats."""


@dataclass(frozen=True)
class ResumableRun:
    """A folder with a suite and the run `out`, and the base URL of its simulator."""

    place: Path
    base_url: str

    @property
    def out(self) -> Path:
        """The run's folder."""
        return self.place / "out"

    @property
    def journal(self) -> Path:
        """The run's journal."""
        return self.out / journal.JOURNAL_FILE

    def write_suite(self, cases: list[dict[str, Any]], **more: Any) -> None:
        """Write the suite, or overwrite it."""
        write_yaml(self.place / "suite.yaml", {"version": 1, "name": "suite", "cases": cases, **more})

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Return the command that starts the run, or resumes it."""
        which = ("suite.yaml", "-o", "out") if not self.journal.exists() else ("--resume", "out")
        return ("run", *which, "--progress", "plain", *arguments)

    def run(self, *arguments: str) -> CompletedProcess[str]:
        """Start the run, or resume it, and wait for its end."""
        return compare(self.place, *self.command(*arguments))

    def start(self, *arguments: str) -> Popen[str]:
        """Start the run, or resume it, in a new process; return immediately."""
        return start(self.place, *self.command(*arguments))

    def asked(self) -> list[Question]:
        """Return the requests that the simulator has received, in order."""
        with urlopen(self.base_url.removesuffix("/v1") + "/log") as reply:
            return [(entry["model"], entry["question"]) for entry in json.load(reply)]

    def asked_judges(self) -> list[str]:
        """Return the questions to the simulator's judges, in order."""
        return [question for model, question in self.asked() if model.startswith("judge")]

    def records(self) -> list[Record]:
        """Return the run's records; the last one of a repeated request."""
        has_begun = self.journal.exists() and b"\n" in self.journal.read_bytes()
        return list(journal.read(self.out).records) if has_begun else []

    def recorded(self) -> Counter[Question]:
        """Count the run's records by question."""
        return Counter((record.identity.model, record.identity.prompt) for record in self.records())


@contextmanager
def open_run(place: Path, *models: str) -> Iterator[ResumableRun]:
    """Start a simulator during a block, with a compare.yaml that lists it as a provider of these models."""
    with launch_sync() as base_url:
        write_config(place, acme={"base_url": base_url, "keyless": True, "models": list(models)})
        yield ResumableRun(place, base_url)
