"""The readable part of a journal's header, without damaged prices and checks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from runner.checks.match_and_pass import read_matching, read_share
from runner.pricing.rates import PLAIN_ERRORS, Price
from runner.storage.journal import Header

Entries = Mapping[str, Mapping[str, Any]]


def without_damage(header: Header) -> tuple[Header, str | None]:
    """Return a header without prices and checks that cannot be read, and a text that names them; None without any."""
    prices, bad_prices = _keep_readable(header.prices, Price.from_plain)
    checks, bad_checks = _keep_readable(header.checks, _read_expectations)
    if not bad_prices and not bad_checks:
        return header, None
    faults = [*(f"price of {name}" for name in bad_prices), *(f"checks of {name}" for name in bad_checks)]
    return replace(header, prices=prices, checks=checks), f"the header's {', '.join(faults)}"


def _keep_readable(entries: Entries, read: Callable[[Mapping[str, Any]], object]) -> tuple[Entries, list[str]]:
    """Return the entries that can be read, and the names of the others."""
    readable, damaged = dict(entries), list[str]()
    for name, entry in entries.items():
        try:
            read(entry)
        except (*PLAIN_ERRORS, AttributeError, OverflowError):
            del readable[name]
            damaged.append(name)
    return readable, damaged


def _read_expectations(entry: Mapping[str, Any]) -> None:
    """Raise an error if a case's expectations are not what `plain_expectations` writes."""
    read_share(entry.get("pass", "all"))
    read_matching(entry.get("match", "exact"))
    numbers = [entry[name] for name in ("line", "turns", "max_steps") if entry.get(name) is not None]
    if not all(isinstance(name, str) for name in entry.get("answered", [])) or entry.get("max_steps", 1) < 1:
        raise TypeError("the tools that are answered are names, and a turn has a step")
    if not isinstance(entry.get("checks", {}), dict) or not all(type(number) is int for number in numbers):
        raise TypeError("checks are an object, a line and turns are numbers")
