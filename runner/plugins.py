"""Load plug-ins: entry points of other distributions, in three groups.

    compare.providers   provider id -> its row, as in a compare.yaml
    compare.outputs     suffix without its dot -> a function that takes a run and returns text or bytes
    compare.checks      name -> a function that takes an answer and the check's value in the suite

Entry points are looked up when a feature needs them, and only the named ones are loaded. Errors name the plug-in's
distribution.
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
    """Return the names in a group, in alphabetical order."""
    return tuple(sorted({entry.name for entry in _entries(group)}))


@cache
def load_plugin(group: Group, name: str) -> object:
    """Return the object that an entry point names.

    Raises:
        BrokenPlugin: the object cannot be imported, or several distributions have an entry point of this name.
        LookupError: there is no entry point of this name.

    """
    found = [entry for entry in _entries(group) if entry.name == name]
    if not found:
        raise LookupError(name)
    if len(found) > 1:
        owners = " and ".join(sorted(_distribution(entry) for entry in found))
        raise BrokenPlugin(f"{name} of {group} is brought by {owners}; uninstall one of them")
    try:
        # Output that a module prints on import must not mix with results on stdout.
        with redirect_stdout(sys.stderr):
            return found[0].load()
    except (Exception, SystemExit) as error:
        raise broken_plugin(group, name, f"cannot be imported: {describe_exception(error)}") from error


def load_function(group: Group, name: str) -> Callable[..., object]:
    """Return the function that an entry point names.

    Raises:
        BrokenPlugin: as for `load_plugin`, or the object is not callable.
        LookupError: there is no entry point of this name.

    """
    found = load_plugin(group, name)
    if not callable(found):
        raise broken_plugin(group, name, f"is {type(found).__name__}, and no function")
    return found


def broken_plugin(group: Group, name: str, reason: str) -> BrokenPlugin:
    """Return the error for an unusable plug-in, with its name, its distribution and the reason."""
    owner = next(_distribution(entry) for entry in _entries(group) if entry.name == name)
    return BrokenPlugin(f"the plug-in {name} ({group}) of {owner} {reason}; mend or uninstall it")


def describe_exception(error: BaseException) -> str:
    """Return an exception's type and message."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@cache
def _entries(group: Group) -> tuple["EntryPoint", ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- reads the metadata of all installed distributions

    return tuple(entry_points(group=group))


def _distribution(entry: "EntryPoint") -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
