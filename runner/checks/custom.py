"""The checks `python` and `plugin`: the stored verdicts of the suite's own functions and of plug-ins.

The functions ran when the record was new. Reading a journal does not run them again, since their code may have changed
or be by someone else.
"""

from collections.abc import Iterable, Mapping

from runner.checks.answer_text import listed
from runner.checks.finding import PASSED, CheckFinding, failed, undecided
from runner.core.record import Record


def functions_passed(record: Record, wanted: object) -> CheckFinding:
    """Pass if every function of the suite passed; else fail with the reason of the first that did not."""
    return _stored_finding(record, listed(wanted))


def plugins_passed(record: Record, wanted: object) -> CheckFinding:
    """Pass if every plug-in's check passed; else fail with the reason of the first that did not."""
    assert isinstance(wanted, Mapping)
    return _stored_finding(record, wanted)


def _stored_finding(record: Record, names: Iterable[str]) -> CheckFinding:
    reasons = record.custom_checks or {}
    for name in names:
        if name not in reasons:
            return undecided(f"{name} was not asked")
        if (why := reasons[name]) is not None:
            return failed(f"{name}: {why}")
    return PASSED
