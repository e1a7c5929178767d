"""What other distributions bring: entry points of three groups, each a name and what it stands for.

    compare.providers   an id -> its row, as a compare.yaml has it
    compare.outputs     a suffix without its dot -> a function of a run, which returns text or bytes
    compare.checks      a name -> a function of an answer and of what the suite wants of it

Nothing is looked for before a feature asks for it, and nothing is loaded but what was named. A plug-in that cannot be
used is one sentence that names its distribution.
"""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Literal

from runner.errors import BrokenPlugin

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Group = Literal["compare.providers", "compare.outputs", "compare.checks"]


def plugin_names(group: Group) -> tuple[str, ...]:
    """Return what is brought to a group, in alphabetical order."""
    return tuple(sorted({entry.name for entry in _entries(group)}))


@cache
def load_plugin(group: Group, name: str) -> object:
    """Return what a name stands for.

    Raises:
        BrokenPlugin: it cannot be imported, or several distributions bring the name.
        LookupError: none does.

    """
    found = [entry for entry in _entries(group) if entry.name == name]
    if not found:
        raise LookupError(name)
    if len(found) > 1:
        owners = " and ".join(sorted(_distribution(entry) for entry in found))
        raise BrokenPlugin(f"{name} of {group} is brought by {owners}; uninstall one of them")
    try:
        # What a module prints when it is imported must not get between results.
        with redirect_stdout(sys.stderr):
            return found[0].load()
    except (Exception, SystemExit) as error:
        raise broken(group, name, f"cannot be imported: {describe(error)}") from error


def load_function(group: Group, name: str) -> Callable[..., object]:
    """Return the function that a name stands for; raise as `load_plugin` does, or where it is none."""
    found = load_plugin(group, name)
    if not callable(found):
        raise broken(group, name, f"is {type(found).__name__}, and no function")
    return found


def broken(group: Group, name: str, fault: str) -> BrokenPlugin:
    """Return the sentence on a plug-in that cannot be used: which, whose, and why."""
    owner = next(_distribution(entry) for entry in _entries(group) if entry.name == name)
    return BrokenPlugin(f"the plug-in {name} ({group}) of {owner} {fault}; mend or uninstall it")


def describe(error: BaseException) -> str:
    """Say what a stranger's code has raised."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@cache
def _entries(group: Group) -> tuple["EntryPoint", ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- reads the metadata of all that is installed

    return tuple(entry_points(group=group))


def _distribution(entry: "EntryPoint") -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
