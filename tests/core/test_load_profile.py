"""Load profiles: their values, their form in a header, and the options on the command line."""

from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.run_options import LOAD, run_options
from runner.commands.run.options import RunOptions, check_options
from runner.core.load_profile import ROUNDS_A_LEVEL, LoadProfile, level_of
from runner.errors import CompareError

LEVELS = st.lists(st.integers(1, 99), unique=True, max_size=4).map(tuple)
LOADS = st.builds(
    LoadProfile,
    lead=st.integers(0, 9),
    arrivals=st.sampled_from(["constant", "poisson"]),
    duration_s=st.none() | st.floats(0.001, 1e6),
    max_requests=st.none() | st.integers(1, 10**6),
    ramp=st.sampled_from(["auto", "none"]) | st.floats(0.001, 1e4),
) | st.builds(LoadProfile, levels=LEVELS)


@given(LOADS)
def test_load_profile_survives_a_header(load: LoadProfile) -> None:
    """The values that differ from the defaults restore the profile; names of a later version are ignored."""
    assert LoadProfile.from_plain(load.to_plain()) == load
    assert LoadProfile.from_plain({**load.to_plain(), "of a later version": 1}) == load
    assert LoadProfile().to_plain() == {}
    assert "ramp_s" not in LoadProfile(ramp="auto").to_plain()
    assert LoadProfile(ramp=2.0).to_plain() == {"ramp_s": 2.0}, "as in older headers"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arrivals": "{x}"}, "not {x}"),
        ({"ramp": "a{"}, "not a{"),
        ({"lead": -1}, "0 or more"),
        ({"rate": 0}, "more than 0"),
        ({"rate": float("inf")}, "more than 0"),
        ({"rate": float("nan")}, "more than 0"),
        ({"duration_s": -3}, "more than 0"),
        ({"max_requests": 0}, "1 or more"),
        ({"levels": (1, 0)}, "1 or more"),
        ({"levels": (1, 2, 1)}, "each only once"),
        ({"levels": (1, 2), "rate": 1}, "^sweep sets how many requests are in flight, rate how many"),
        ({"levels": (1, 2), "adaptive": True}, "choose one"),
        ({"arrivals": "bursts"}, "constant or poisson, not bursts"),
    ],
)
def test_invalid_load_profile_is_refused(values: dict[str, Any], words: str) -> None:
    """Each message names the values that are allowed."""
    with pytest.raises(CompareError, match=words):
        LoadProfile(**values)


@given(st.integers(1, 9), st.integers(0, 8), LEVELS.filter(bool), st.booleans())
def test_the_level_of_a_round_follows_from_its_number(
    repeat: int, within: int, levels: tuple[int, ...], is_open: bool
) -> None:
    """Levels follow each other, with `repeat` numbers each, or a million without a limit."""
    each = ROUNDS_A_LEVEL if is_open else repeat
    rounds = [place * each + within % each + 1 for place in range(len(levels))]
    assert [level_of(block, levels, None if is_open else repeat) for block in rounds] == list(levels)


def parse_options(*words: str) -> tuple[LoadProfile | None, str]:
    """Return the load profile of a command line, and the output if it is refused."""
    found: list[LoadProfile] = []

    @click.command()
    @run_options(LOAD, [click.option("--concurrency", type=int)])
    def command(*, options: RunOptions) -> None:
        try:
            found.append(check_options(options).load)
        except CompareError as error:
            raise click.UsageError(str(error)) from None

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
        ("--sweep 1,2,4", LoadProfile(levels=(1, 2, 4), ramp="auto")),
        ("--sweep 1,2,4 --ramp none", LoadProfile(levels=(1, 2, 4))),
        ("--sweep 1,2,4 --ramp 1.5s", LoadProfile(levels=(1, 2, 4), ramp=1.5)),
        ("--ramp auto --requests 9", LoadProfile(ramp="auto", max_requests=9)),
        ("--rate 2 --ramp none", LoadProfile(rate=2)),
    ],
)
def test_load_options_become_a_load_profile(words: str, load: LoadProfile) -> None:
    """Each option sets a value; those not given stay at their defaults."""
    assert parse_options(*words.split()) == (load, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--duration soon", "write 30s, 5m, 1h or 7d"),
        ("--duration -5s", "write 30s, 5m, 1h or 7d"),
        ("--duration 0s", "--duration must be more than 0"),
        ("--sweep 1,,2", "write 1,2,4,8"),
        ("--sweep one", "write 1,2,4,8"),
        ("--sweep 0,1", "1 or more"),
        ("--sweep 1,2 --rate 3", "--rate how many start; choose one"),
        ("--sweep 1,2 --concurrency 3", "leave --concurrency out"),
        ("--rate 0", "x>0"),
        ("--arrivals poisson", "add --rate"),
        ("--ramp soon", "'soon' is not a ramp; write a duration such as 2s, auto or none"),
        ("--ramp 0s", "--ramp must be more than 0 s, auto or none, not 0"),
        ("--ramp auto --rate 3", "choose one of the two"),
        ("--order free --lead 1", "in order free, no lane waits"),
        ("--order random", "'blocks', 'free', 'as-written'"),
    ],
)
def test_invalid_load_options_are_refused_with_a_hint(words: str, said: str) -> None:
    """The message says what is allowed, and nothing runs."""
    load, output = parse_options(*words.split())
    assert load is None
    assert said in " ".join(output.split())
