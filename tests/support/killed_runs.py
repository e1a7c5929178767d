"""One run through several processes, against a simulator that lives longer and counts what it is asked."""

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
from runner.simulator.process import launch_sync
from runner.storage import journal
from tests.support.command import compare, start, write_config, write_yaml

Asked = tuple[str, str]
"""Model and question: each is asked once by a plan without repeats."""


@dataclass(frozen=True)
class Lineage:
    """A folder with a suite and the run `out`, and the simulator that it asks."""

    place: Path
    base_url: str

    @property
    def out(self) -> Path:
        """The run's folder."""
        return self.place / "out"

    @property
    def journal(self) -> Path:
        """Where the run is written."""
        return self.out / journal.FILE_NAME

    def write_suite(self, cases: list[dict[str, Any]], **more: Any) -> None:
        """Write the suite anew."""
        write_yaml(self.place / "suite.yaml", {"version": 1, "name": "suite", "cases": cases, **more})

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Return the command that begins the run, or goes on with it."""
        begins = ("suite.yaml", "-o", "out") if not self.journal.exists() else ("--resume", "out")
        return ("run", *begins, "--progress", "plain", *arguments)

    def run(self, *arguments: str) -> CompletedProcess[str]:
        """Begin the run, or go on with it, to its end."""
        return compare(self.place, *self.command(*arguments))

    def start(self, *arguments: str) -> Popen[str]:
        """Begin the run, or go on with it, and return at once."""
        return start(self.place, *self.command(*arguments))

    def log(self) -> list[Asked]:
        """Return what the simulator was asked so far, in its order."""
        with urlopen(self.base_url.removesuffix("/v1") + "/log") as reply:
            return [(entry["model"], entry["question"]) for entry in json.load(reply)]

    def records(self) -> list[Record]:
        """Return the records that count."""
        return list(journal.read(self.out).records) if self.journal.exists() else []

    def recorded(self) -> Counter[Asked]:
        """Count the records that count."""
        return Counter((record.identity.model, record.identity.prompt) for record in self.records())


@contextmanager
def begin(place: Path, *models: str) -> Iterator[Lineage]:
    """Start a simulator that serves these models as a provider of the user's own."""
    with launch_sync() as base_url:
        write_config(place, acme={"base_url": base_url, "keyless": True, "models": list(models)})
        yield Lineage(place, base_url)
