"""The thresholds of an SLO, and which requests meet it."""

import re

import pytest

from runner.core.slo import Slo, parse_slo
from runner.errors import CompareError


def test_thresholds_are_read_with_their_units() -> None:
    """Written again, they have the form in which they are parsed."""
    slo = parse_slo("ttft=800ms, tpot=50ms,total=1.5m")
    assert slo == Slo(ttft_s=0.8, tpot_s=0.05, total_s=90)
    assert parse_slo(str(slo)) == slo
    assert Slo.from_plain(slo.to_plain()) == slo
    assert Slo.from_plain({}) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ttft=0.8", "'ttft=0.8' is not a threshold"),
        (
            "tftt=1s,p95=2s,x",
            "an SLO has no threshold for tftt (ttft, tpot, total); 'p95=2s' is not a threshold; 'x' is not",
        ),
        ("ttft=1s,ttft=2s", "ttft is given twice"),
        ("ttft=0ms", "ttft must be more than 0 s"),
        ("", "'' is not a threshold. Write thresholds with a unit: ttft=800ms"),
    ],
)
def test_a_wrong_slo_names_all_its_faults(text: str, said: str) -> None:
    """The message has each invalid part, and the right form."""
    with pytest.raises(CompareError, match=re.escape(said)):
        parse_slo(text)


SLO = Slo(ttft_s=0.8, tpot_s=0.05, total_s=10)


@pytest.mark.parametrize(
    ("ttft_s", "tpot_s", "total_s", "chunks", "met"),
    [
        (0.8, 0.05, 10.0, 5, True),  # the threshold is inclusive
        (0.81, 0.05, 10.0, 5, False),
        (0.8, 0.051, 10.0, 5, False),
        (0.8, 0.05, 10.1, 5, False),
        (0.5, None, 0.5, 1, True),  # one chunk has no time between tokens
        (None, None, 0.7, 1, True),  # not streamed: the first text arrives with the last
        (None, None, 0.9, 1, False),
        (None, None, 0.7, None, False),  # without text there is no first token
        (0.5, None, 5.0, 9, None),  # without token counts it is unknown
        (0.9, None, 5.0, 9, False),  # missed by another threshold
    ],
)
def test_a_request_meets_all_thresholds_or_misses(
    ttft_s: float | None, tpot_s: float | None, total_s: float, chunks: int | None, met: bool | None
) -> None:
    """A rule decides if a request cannot have a duration; an unknown duration leaves the result open."""
    assert SLO.is_met(ttft_s=ttft_s, tpot_s=tpot_s, total_s=total_s, chunks=chunks) is met


def test_a_late_start_counts() -> None:
    """In an open loop a caller waits from the scheduled time on."""
    on_time = Slo(ttft_s=0.8).is_met(ttft_s=0.7, tpot_s=None, total_s=1.0, chunks=2, waited_s=0.09)
    late = Slo(ttft_s=0.8).is_met(ttft_s=0.7, tpot_s=None, total_s=1.0, chunks=2, waited_s=0.2)
    assert (on_time, late) == (True, False)
