"""Load the suite of a run and its provider rows."""

from pathlib import Path

from runner.commands.providers import load_registry
from runner.commands.run.options import RunOptions
from runner.commands.run.resume import find_suite_of
from runner.core.suite import Suite
from runner.errors import CompareError, InvalidFile, Problem
from runner.providers.registry import Registry, builtin


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
        suite, rows = load(path, registry.names)
    except InvalidFile as error:
        raise InvalidFile([*problems, *error.problems]) from None
    if problems:
        raise InvalidFile(problems)
    return suite, registry.with_rows(rows, path)
