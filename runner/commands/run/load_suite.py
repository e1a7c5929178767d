"""Load the suite of a run and its provider rows."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.commands.providers import load_registry
from runner.commands.run.options import RunOptions
from runner.commands.run.resume import find_suite_of
from runner.core.suite import Suite
from runner.core.target_name import SIMULATOR
from runner.errors import CompareError, InvalidFile, Problem
from runner.providers.registry import Registry, builtin

if TYPE_CHECKING:
    from runner.suite.errors import Fault


def find_suite(suite: Path | None, options: RunOptions) -> Path:
    """Return the suite's file: the named one, else that of the run to resume.

    Raises:
        CompareError: neither is named, or the suite file of the run to resume is unknown or missing.

    """
    if suite is not None:
        return suite
    if options.resume is None:
        raise CompareError("there is nothing to ask. Name a suite file, or write a first one with `compare init`")
    return find_suite_of(options.resume)


def load_suite(path: Path) -> tuple[Suite, Registry]:
    """Return a suite and the provider rows for it.

    Raises:
        InvalidFile: the suite or the nearest compare.yaml has problems; the message lists all of them.

    """
    from runner.suite.load import load  # brings pydantic and the YAML reader

    problems: list[Problem] = []
    registry = builtin()
    try:
        registry = load_registry(path)
    except InvalidFile as error:
        problems += error.problems
    try:
        suite, rows = load(path, registry.names, partial(model_fault, registry))
    except InvalidFile as error:
        raise InvalidFile([*problems, *error.problems]) from None
    if problems:
        raise InvalidFile(problems)
    return suite, registry.with_rows(rows, path)


def model_fault(registry: Registry, provider: str, model: str) -> "Fault | None":
    """Return why a model cannot be asked; None if it can, or if only the provider knows."""
    if registry.resolve(provider) != SIMULATOR:
        return None
    from runner.simulator.http_request import RequestError
    from runner.simulator.model_names import parse_model
    from runner.suite.errors import Fault

    try:
        parse_model(model)
    except RequestError as error:
        what, _, hint = error.message.removesuffix(".").rpartition(". ")
        if not what:  # only the message on an unknown model ends with a hint
            what, hint = hint, "See docs/simulator.md for the options of its models"
        return Fault(what[:1].lower() + what[1:], hint)
    return None
