"""A recorded run that replaces the providers: its targets, and provider rows that need no key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.commands.run.options import RunOptions
from runner.core.target_name import TargetName
from runner.errors import CompareError
from runner.planning.request import Target
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import Registry
from runner.storage.find_run import find_run
from runner.storage.journal import read
from runner.storage.recordings.reader import read_recordings

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
"""Values of a row whose replies are played back: no key, no base URL, no limits."""


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """A recorded run whose replies are played back."""

    folder: Path
    run_id: str
    targets: tuple[TargetName, ...]
    fast: bool
    vary: Mapping[str, tuple[Any, ...]]
    """Parameter -> values; each value made a variant of every target."""

    def offline_registry(self, registry: Registry) -> Registry:
        """Return a registry whose rows need no key, in which the recorded providers count as configured."""
        models: dict[str, list[str]] = {}
        for target in self.targets:
            models.setdefault(target.provider, []).append(target.model)
        rows = {provider: row.model_copy(update=OFFLINE) for provider, row in registry.rows.items()}
        for provider, recorded in models.items():
            row = rows.get(provider) or ProviderRow.model_validate(OFFLINE)
            rows[provider] = row.model_copy(update={"models": tuple(dict.fromkeys(recorded))})
        return replace(registry, rows=rows, own=frozenset(models), home_hosts={})

    def refuse_unrecorded(self, targets: Sequence[Target]) -> None:
        """Raise CompareError if a target was not recorded."""
        unknown = [target.name for target in targets if target.full_name not in self.targets]
        if unknown:
            recorded = ", ".join(map(str, self.targets))
            raise CompareError(f"{', '.join(unknown)} was not recorded in {self.run_id}. Recorded: {recorded}.")

    @property
    def note(self) -> str:
        """Sentence on the source of the replies."""
        pace = "as fast as possible" if self.fast else "at the recorded pace"
        return f"replies are those recorded in {self.run_id}, {pace}; no provider is asked"


def open_replay_source(run: Path | None, *, fast: bool) -> ReplaySource | None:
    """Return the recorded run that answers; None if `run` is None, so that providers answer.

    Raises:
        CompareError: there is no such run, or it has no recordings.

    """
    if run is None:
        return None
    folder = find_run(run)
    recorded = {str(entry.label.target): entry.label.target for entry in read_recordings(folder).entries}
    header = read(folder).header
    names = (*(name for name in header.targets if name in recorded), *sorted(recorded.keys() - {*header.targets}))
    targets = tuple(recorded[name] for name in names)
    vary = {name: tuple(values) for name, values in header.vary.items()}
    return ReplaySource(folder, header.run_id, targets, fast, vary)


def vary_as_recorded(options: RunOptions, source: ReplaySource | None) -> RunOptions:
    """Return the options with the variants of the recorded run, if there is one and the options name none."""
    return options if source is None or options.vary else replace(options, vary=source.vary)
