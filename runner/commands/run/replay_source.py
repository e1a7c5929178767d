"""Recordings stand in for providers: who can be asked then, and that it takes no key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.errors import CompareError
from runner.planning.plan import Target
from runner.planning.targets import TargetSelection
from runner.providers.registry import Registry
from runner.providers.row import Row
from runner.storage.journal import read
from runner.storage.recordings.reader import read_recordings
from runner.storage.run_folder import find_run

OFFLINE: Mapping[str, object] = {
    "base_url": "http://127.0.0.1/v1",
    "base_url_env": (),
    "region": None,
    "api_key_env": (),
    "keyless": True,
    "simulated": True,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "limits": {},
}
"""What is different of a row whose replies are played back: nothing of it is a secret or has a limit."""


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """A recorded run that answers in place of its providers."""

    folder: Path
    run_id: str
    targets: tuple[str, ...]
    fast: bool

    def wish(self, wish: TargetSelection) -> TargetSelection:
        """Ask everyone who was recorded, unless somebody is named."""
        return wish if wish.models or wish.providers else replace(wish, models=self.targets)

    def registry(self, registry: Registry) -> Registry:
        """Return a registry of rows that need no key, in which those who were recorded count as configured."""
        models: dict[str, list[str]] = {}
        for target in self.targets:
            provider, _, model = target.partition("/")
            models.setdefault(provider, []).append(model)
        rows = {provider: row.model_copy(update=OFFLINE) for provider, row in registry.rows.items()}
        for provider, recorded in models.items():
            row = rows.get(provider) or Row.model_validate(OFFLINE)
            rows[provider] = row.model_copy(update={"models": tuple(recorded)})
        return replace(registry, rows=rows, own=frozenset(models), home_hosts={})

    def refuse_unrecorded(self, targets: Sequence[Target]) -> None:
        """Raise CompareError if a target was not recorded: nobody could answer."""
        unknown = [target.name for target in targets if target.name not in self.targets]
        if unknown:
            raise CompareError(
                f"{', '.join(unknown)} was not recorded in {self.run_id}. Recorded: {', '.join(self.targets)}."
            )

    @property
    def note(self) -> str:
        """What the run's user should know first."""
        pace = "as fast as possible" if self.fast else "at the recorded pace"
        return f"replies are those recorded in {self.run_id}, {pace}; no provider is asked"


def find_stand_in(run: Path | None, *, fast: bool) -> ReplaySource | None:
    """Find the run whose recordings are to answer; None if none is.

    Raises:
        CompareError: `fast` without a run; there is no such run, or nothing of it was recorded.

    """
    if run is None:
        if fast:
            raise CompareError("--fast says how recorded replies are played. Name the run: --replay RUN")
        return None
    folder = find_run(run)
    recorded = {entry.label.target for entry in read_recordings(folder).entries}
    header = read(folder).header
    targets = (*(name for name in header.targets if name in recorded), *sorted(recorded - {*header.targets}))
    return ReplaySource(folder, header.run_id, targets, fast)
