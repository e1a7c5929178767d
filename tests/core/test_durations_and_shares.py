"""Durations and shares, as options and suites write them."""

import re

import pytest

from runner.core.durations_and_shares import parse_duration, parse_share
from runner.errors import CompareError


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("2s", 2), ("1.5 m", 90), ("1h", 3600), ("7d", 604_800), ("0.5", 0.5)]
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    """A number without a unit is one of seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1e3s", "s", "5 minutes"])
def test_a_text_that_is_no_duration_is_refused(text: str) -> None:
    """The error gives examples."""
    with pytest.raises(CompareError, match=re.escape(f"{text!r} is not a duration; write 30s, 5m, 1h or 7d")):
        parse_duration(text)


def test_a_unit_may_be_required() -> None:
    """A bare number is refused where it could mean minutes or days."""
    assert parse_duration("15m", needs_unit=True) == 900
    with pytest.raises(CompareError, match="'15' has no unit; write 15s, 15m, 15h or 15d"):
        parse_duration("15", needs_unit=True)


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), (" 2.5 % ", 0.025), ("100%", 1.0), ("0.05", 0.05), (".1", 0.1), ("1", 1.0)]
)
def test_a_share_is_a_percentage_or_a_number(text: str, share: float) -> None:
    """Both forms are accepted wherever a share is meant."""
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["5", "0", "0%", "-5%", "101%", "nan", "nan%", "inf%", "five%", "%", ""])
def test_a_text_that_is_no_share_is_refused(text: str) -> None:
    """The error gives the range, and an example of both forms."""
    with pytest.raises(CompareError, match=r"is not a share above 0 and up to 100%; write 5% or 0\.05"):
        parse_share(text)


def test_a_share_may_be_more_than_the_whole() -> None:
    """A change can be more than 100 %, with a percent sign: a bare number above 1 could be meant as a percentage."""
    assert (parse_share("150%", most=10), parse_share("1", most=10)) == (1.5, 1)
    with pytest.raises(CompareError, match=r"'1\.5' is above 1 and has no percent sign; write 1\.5% or 0\.015"):
        parse_share("1.5", most=10)
    with pytest.raises(CompareError, match="'20' is not a share above 0 and up to 1000%"):
        parse_share("20", most=10)
