"""What `--thorough` runs: the tests that do something else with it than without, whatever they reach the command by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support import command, selection
from tests.support.command import compare, start
from tests.support.resumable_run import open_run


@dataclass(frozen=True)
class CommandCaller:
    """A class whose method calls the command."""

    def run(self) -> None:
        """Call the command."""
        compare(command.ROOT, "--version")


def make_caller() -> CommandCaller:
    """Return a machine."""
    return CommandCaller()


@contextmanager
def open_caller() -> Iterator[CommandCaller]:
    """Yield a machine."""
    yield make_caller()


@pytest.mark.parametrize(
    "calling",
    [
        lambda: compare(command.ROOT),
        lambda: command.call((), command.ROOT, {}),
        lambda: make_caller().run(),
        lambda: open_caller().__enter__(),
        lambda: [CommandCaller() for _ in range(2)],
        lambda: open_run(command.ROOT),
        lambda: start(command.ROOT),
        lambda: command.always_start,
    ],
    ids=["compare", "call", "method", "context", "comprehension", "other-module", "process", "option"],
)
def test_a_call_of_the_command_is_found_through_functions_and_classes(calling: object) -> None:
    """Directly, by a method, by a context manager, or by what depends on the option itself."""
    assert selection._calls_the_command(calling)


@pytest.mark.parametrize(
    "other", [lambda: command.read_rows(command.ROOT), lambda: command.ROOT], ids=["other", "constant"]
)
def test_what_does_not_depend_on_the_option_is_no_call(other: object) -> None:
    """It does the same with the option and without."""
    assert not selection._calls_the_command(other)
