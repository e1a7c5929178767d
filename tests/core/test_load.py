"""How hard a run presses: as values, as a header holds them, as options on a command line."""

from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.options import LOAD, run_options
from runner.commands.run.options import RunOptions
from runner.core.load import BLOCKS_A_LEVEL, LoadProfile, level_of
from runner.errors import CompareError

LEVELS = st.lists(st.integers(1, 99), unique=True, max_size=4).map(tuple)
LOADS = st.builds(
    LoadProfile,
    lead=st.integers(0, 9),
    arrivals=st.sampled_from(["constant", "poisson"]),
    duration_s=st.none() | st.floats(0.001, 1e6),
    max_requests=st.none() | st.integers(1, 10**6),
) | st.builds(LoadProfile, levels=LEVELS)


@given(LOADS)
def test_a_header_holds_a_load_whole(load: LoadProfile) -> None:
    """What differs from the default is enough to have the load again; what a later version adds is ignored."""
    assert LoadProfile.of(load.altered) == load
    assert LoadProfile.of({**load.altered, "of a later version": 1}) == load
    assert LoadProfile().altered == {}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lead": -1}, "0 or more"),
        ({"rate": 0}, "more than 0"),
        ({"rate": float("inf")}, "more than 0"),
        ({"rate": float("nan")}, "more than 0"),
        ({"duration_s": -3}, "more than 0"),
        ({"max_requests": 0}, "1 or more"),
        ({"levels": (1, 0)}, "1 or more"),
        ({"levels": (1, 2, 1)}, "each but once"),
        ({"levels": (1, 2), "rate": 1}, "--sweep or --rate"),
        ({"levels": (1, 2), "adaptive": True}, "choose one"),
        ({"arrivals": "bursts"}, "constant or poisson, not bursts"),
    ],
)
def test_what_nobody_can_mean_is_refused(values: dict[str, Any], words: str) -> None:
    """Each sentence says what would do."""
    with pytest.raises(CompareError, match=words):
        LoadProfile(**values)


@given(st.integers(1, 9), st.integers(0, 8), LEVELS.filter(bool), st.booleans())
def test_a_level_can_be_told_from_a_block(repeat: int, within: int, levels: tuple[int, ...], is_open: bool) -> None:
    """Levels follow each other, as many blocks each as are repeated, or a million where that number was open."""
    each = BLOCKS_A_LEVEL if is_open else repeat
    blocks = [place * each + within % each + 1 for place in range(len(levels))]
    assert [level_of(block, levels, None if is_open else repeat) for block in blocks] == list(levels)


def given_options(*words: str) -> tuple[LoadProfile | None, str]:
    """Return what a command line means, and what is said where it means nothing."""
    found: list[LoadProfile] = []

    @click.command()
    @run_options(LOAD, [click.option("--concurrency", type=int)])
    def command(*, options: RunOptions) -> None:
        found.append(options.load)

    said = CliRunner().invoke(command, words).output
    return (found[0] if found else None), said


@pytest.mark.parametrize(
    ("words", "load"),
    [
        ("", LoadProfile()),
        ("--order free --adaptive", LoadProfile(adaptive=True)),
        ("--lead 0", LoadProfile(lead=0)),
        ("--rate 2.5 --arrivals poisson --duration 5m", LoadProfile(rate=2.5, arrivals="poisson", duration_s=300)),
        ("--duration 90", LoadProfile(duration_s=90)),
        ("--duration 250ms", LoadProfile(duration_s=0.25)),
        ("--duration 1.5h --requests 10", LoadProfile(duration_s=5400, max_requests=10)),
        ("--max-requests 10", LoadProfile(max_requests=10)),
        ("--sweep 1,2,4", LoadProfile(levels=(1, 2, 4))),
    ],
)
def test_options_say_a_load(words: str, load: LoadProfile) -> None:
    """Each option is a value, and what is not given is at its default."""
    assert given_options(*words.split()) == (load, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--duration soon", "write 30s, 5m or 1h"),
        ("--duration -5s", "write 30s, 5m or 1h"),
        ("--duration 0s", "give more than 0"),
        ("--sweep 1,,2", "write 1,2,4,8"),
        ("--sweep one", "write 1,2,4,8"),
        ("--sweep 0,1", "1 or more"),
        ("--sweep 1,2 --rate 3", "choose --sweep or --rate"),
        ("--sweep 1,2 --concurrency 3", "leave --concurrency out"),
        ("--rate 0", "x>0"),
        ("--arrivals poisson", "give --rate, too"),
        ("--order free --lead 1", "with free nobody waits"),
        ("--order random", "'blocks', 'free', 'as-written'"),
    ],
)
def test_a_mistyped_load_is_told_how(words: str, said: str) -> None:
    """The message says what would do; nothing is run."""
    load, output = given_options(*words.split())
    assert load is None
    assert said in " ".join(output.split())
