"""The checks `python` and `plugin`: what functions that are not ours said about a record when it was new.

They are not asked again when a journal is read: their code may have changed, or come from somebody else.
"""

from collections.abc import Iterable, Mapping

from runner.checks.answer import listed
from runner.checks.finding import PASSED, CheckFinding, failed, undecided
from runner.core.record import Record


def said_by_own_code(record: Record, wanted: object) -> CheckFinding:
    """Pass where every function of the suite's own passed; what the first one that did not said is the reason."""
    return _said(record, listed(wanted))


def said_by_plugins(record: Record, wanted: object) -> CheckFinding:
    """Pass where every plug-in's check passed; what the first one that did not said is the reason."""
    assert isinstance(wanted, Mapping)
    return _said(record, wanted)


def _said(record: Record, names: Iterable[str]) -> CheckFinding:
    said = record.custom_checks or {}
    for name in names:
        if name not in said:
            return undecided(f"{name} was not asked")
        if (why := said[name]) is not None:
            return failed(f"{name}: {why}")
    return PASSED
