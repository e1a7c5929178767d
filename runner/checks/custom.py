"""The checks `python` and `plugin`: the stored verdicts of the suite's own functions and of plug-ins.

The functions ran when the record was new. Reading a journal does not run them again, since their code may have changed
or be by someone else.
"""

from collections.abc import Iterable
from typing import cast

from runner.checks.check_finding import PASSED, CheckFinding, failed, undecided
from runner.core.record import Record


def custom_checks_passed(record: Record, wanted: object) -> CheckFinding:
    """Pass if every function or plug-in passed; else fail with the reason of the first that did not.

    `wanted` is the name of a function, a list of names, or a mapping by the plug-ins' names.
    """
    reasons = record.custom_checks or {}
    for name in (wanted,) if isinstance(wanted, str) else cast("Iterable[str]", wanted):
        if name not in reasons:
            return undecided(f"{name} was not asked")
        if (why := reasons[name]) is not None:
            return failed(f"{name}: {why}")
    return PASSED
