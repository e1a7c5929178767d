"""Intervals have one notation, with a figure and without, in each unit and language."""

from collections.abc import Callable

import pytest

from runner.analysis.intervals import Interval
from runner.outputs.text.number_format import ends_below, interval_ends, percent, rate, seconds, times, with_interval
from runner.outputs.text.translation import in_language


@pytest.mark.parametrize(
    ("value", "interval", "write", "beside", "alone"),
    [
        (0.35, Interval(0.31, 0.402), seconds, "350 ms [310, 402]", "[310, 402] ms"),
        (1.0, Interval(0.984, 1.02), seconds, "1.00 s [984 ms, 1.02 s]", "[984 ms, 1.02 s]"),
        (0.99, Interval(1.0, 1.02), seconds, "990 ms [1.00 s, 1.02 s]", "[1.00, 1.02] s"),
        (0.5, Interval(0.1, 0.9), percent, "50.0 % [10.0, 90.0]", "[10.0, 90.0] %"),
        (1.9, Interval(1.1, 3.0), times, "1.90x [1.10, 3.0]", "[1.10x, 3.0x]"),
        (8.3, Interval(7.0, 142.0), rate, "8.3 [7.0, 142]", "[7.0, 142]"),
        (0.1, Interval(-0.3, 0.2), "{:+.2f}".format, "+0.10 [-0.30, +0.20]", "[-0.30, +0.20]"),
    ],
)
def test_an_interval_has_one_notation(
    value: float, interval: Interval, write: Callable[[float], str], beside: str, alone: str
) -> None:
    """The unit is written once if figure and ends share it."""
    assert with_interval(write(value), interval, write) == beside
    assert f"{write(value)} {ends_below(write(value), interval, write)}" == beside
    assert interval_ends(interval, write) == alone


def test_an_interval_has_the_same_notation_in_chinese() -> None:
    """Chinese writes no space before a percent sign, so a share without its figure has it at each end."""
    interval = Interval(0.1, 0.9)
    with in_language("zh"):
        assert with_interval(percent(0.5), interval, percent) == "50.0% [10.0, 90.0]"
        assert interval_ends(interval, percent) == "[10.0%, 90.0%]"
        assert with_interval(times(1.9), Interval(1.1, 3.0), times) == "1.90 倍 [1.10, 3.0]"


def test_without_an_interval_the_figure_stands_alone() -> None:
    """A sample that is too small has none."""
    assert with_interval("350 ms", None, seconds) == "350 ms"
    assert interval_ends(None, seconds) is None
