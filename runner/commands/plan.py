"""What a command would send, without sending it: made ready as a run is, whether or not the keys are there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.commands.run.job import PreparedRun, RunOptions
from runner.commands.run.prepare import prepare
from runner.core.suite import Suite
from runner.errors import MissingKey
from runner.providers.environment import read_environment
from runner.providers.key import find_key
from runner.providers.registry import Registry

NEEDS_NO_KEY: Mapping[str, object] = {"keyless": True, "api_key_env": ()}
"""What to change in a provider's row so that it can be made ready without its key."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A run that is not held. `missing_keys` says of a provider why it cannot be asked yet, and what to do."""

    job: PreparedRun
    missing_keys: Mapping[str, str]


def preview(suite: Suite, registry: Registry, options: RunOptions) -> Preview:
    """Make a run ready as if all keys were there; nothing is sent, and no file is made.

    Raises:
        CompareError: the run could not be held for another reason than a missing key.

    """
    try:
        return Preview(prepare(suite, registry, options), {})
    except MissingKey:
        start = Path(suite.path) if suite.path else Path.cwd()
        environ = read_environment(options.env_files, start, os.environ)
    missing = _missing_keys(registry, environ)
    rows = {
        name: row.model_copy(update=NEEDS_NO_KEY) if name in missing else row for name, row in registry.rows.items()
    }
    job = prepare(suite, replace(registry, rows=rows), options)
    return Preview(job, {name: why for name, why in missing.items() if name in job.plan.providers()})


def _missing_keys(registry: Registry, environ: Mapping[str, str]) -> dict[str, str]:
    missing = {}
    for provider, row in registry.rows.items():
        try:
            find_key(provider, row, environ)
        except MissingKey as error:
            missing[provider] = str(error)
    return missing
