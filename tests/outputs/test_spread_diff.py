"""Comparisons of runs spread over hours: each names its time span, in both languages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from runner.analysis.diff import diff_runs, diff_within
from runner.analysis.run_results import Run
from runner.commands.load_stored_run import load_run
from runner.outputs.diff.terminal import write_plain
from runner.outputs.text.diff_sentences import describe_pairing, describe_sides
from runner.outputs.text.translation import in_language, other_of
from tests.support.crafted_runs import answered, write_run

FIRST = datetime(2026, 9, 1, 3, tzinfo=UTC)
DAY_S = 86_400.0


def spread_run(folder: Path, spread_s: float | None, rounds: int = 8) -> Run:
    """Return a run of two targets with rounds spread over this many seconds."""
    random, step = Random(1), timedelta(seconds=(spread_s or 8.0) / rounds)
    records = [
        answered(target, "one", number, random.lognormvariate(0, 0.1), started_at=(FIRST + number * step).isoformat())
        for number in range(1, rounds + 1)
        for target in ("acme/m", "acme/n")
    ]
    load = {} if spread_s is None else {"spread_s": spread_s}
    write_run(folder, records, started_at=FIRST.isoformat(), repeat=12, load=load)
    return load_run(folder)


@pytest.mark.parametrize(
    ("base_s", "new_s", "said", "in_chinese"),
    [
        (None, None, "across two runs, the weaker comparison", "跨两次运行比较（较弱）"),
        (DAY_S, DAY_S, "across two runs, each over 24 h: rounds are the unit", "各覆盖 24 h：以轮为单位"),
        (DAY_S, 5400.0, "across two runs, over 24 h and over 90 min: rounds are", "分别覆盖 24 h 和 90 min"),
        (None, DAY_S, "only new is spread, over 24 h: it is compared with a single time", "只有新的一方"),
        (DAY_S, None, "only base is spread, over 24 h: it is compared with a single time", "只有基准"),
    ],
)  # fmt: skip
def test_verdicts_of_two_spread_runs_name_their_spans(
    tmp_path: Path, base_s: float | None, new_s: float | None, said: str, in_chinese: str
) -> None:
    """Each run's line has its rounds and time span; no warning has raw seconds."""
    base, new = spread_run(tmp_path / "base", base_s), spread_run(tmp_path / "new", new_s)
    difference = diff_runs(base, new)
    with in_language("en"):
        sentence, sides = describe_pairing(difference), describe_sides(difference)
    assert said in sentence
    assert in_chinese in other_of(sentence)
    for side, span_s in zip(sides, (base_s, new_s), strict=True):
        assert ("8 rounds over" in side) == (span_s is not None)
        assert ("8 轮" in other_of(side)) == (span_s is not None)
    assert said in write_plain(difference)
    assert not any("spread" in warning for warning in difference.warnings)


def test_pairs_of_a_spread_run_name_its_span(tmp_path: Path) -> None:
    """As in any run, drift affects both targets of a pair."""
    with in_language("en"):
        sentence = describe_pairing(diff_within(spread_run(tmp_path / "run", DAY_S), "acme/m", "acme/n"))
    assert sentence.startswith("within one run over 24 h, in pairs of one round")
    assert "同一次运行之内，覆盖 24 h" in other_of(sentence)
