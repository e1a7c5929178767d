"""The selection of `--thorough`: the tests that the option changes, however they call the command."""

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
    """Return a caller."""
    return CommandCaller()


@contextmanager
def open_caller() -> Iterator[CommandCaller]:
    """Yield a caller."""
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
    """It may be direct, by a method, by a context manager, or in code that depends on the option itself."""
    assert selection._calls_the_command(calling)


@pytest.mark.parametrize(
    "other", [lambda: command.read_rows(command.ROOT), lambda: command.ROOT], ids=["other", "constant"]
)
def test_code_that_does_not_depend_on_the_option_is_not_selected(other: object) -> None:
    """The tests do the same with the option and without."""
    assert not selection._calls_the_command(other)
