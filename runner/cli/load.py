"""Options on how hard a run presses, and how they become a `Load`."""

import re
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.core.load import LoadProfile

Command = TypeVar("Command", bound=Callable[..., Any])

UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class DurationParam(click.ParamType[float]):
    """Seconds, or a number with a unit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|)", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration; write 30s, 5m or 1h", param, ctx)
        return float(found[1]) * UNITS_S[found[2]]


class LevelsParam(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the levels in the order written."""
        if not re.fullmatch(r" *[0-9]+ *(, *[0-9]+ *)*", str(value)):
            self.fail(f"{value!r} is no list of levels; write 1,2,4,8", param, ctx)
        return tuple(int(level) for level in str(value).split(","))


_LOAD = (
    click.option(
        "--order",
        type=click.Choice(["blocks", "free", "as-written"]),
        help="blocks (default): shuffled, targets close in time; free: nobody waits; as-written: not shuffled.",
    ),
    click.option(
        "--lead",
        type=click.IntRange(0),
        metavar="N",
        help="With --order blocks, how many blocks a fast lane may be ahead of the slowest (default 2).",
    ),
    click.option(
        "--adaptive",
        is_flag=True,
        help="Let a lane's limit grow while its provider keeps up; lanes are then not equally loaded.",
    ),
    click.option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        metavar="R",
        help="Begin R conversations a second with each target, whether or not earlier ones are answered.",
    ),
    click.option(
        "--arrivals",
        type=click.Choice(["constant", "poisson"]),
        help="How --rate spaces them: evenly (default), or at random as independent callers do; seeded.",
    ),
    click.option(
        "--duration",
        "duration_s",
        type=DurationParam(),
        metavar="TIME",
        help="Go on, block after block, and begin nothing more after TIME: 30s, 5m, 1h. With --sweep, at each level.",
    ),
    click.option(
        "--requests",
        "--max-requests",
        "max_requests",
        type=click.IntRange(1),
        metavar="N",
        help="Go on, block after block, until N requests are asked in all. With --sweep, at each level.",
    ),
    click.option(
        "--sweep",
        "levels",
        type=LevelsParam(),
        metavar="N,N,...",
        help="Ask everything at one concurrency after the other, such as 1,2,4,8, and tabulate speed against load.",
    ),
)


def load_options(command: Command) -> Command:
    """Add the options on order and load."""
    return reduce(lambda decorated, option: option(decorated), reversed(_LOAD), command)


def read_load(chosen: dict[str, Any]) -> "LoadProfile":
    """Make the load of what click has parsed; `order` is the plan's, and left alone.

    Raises:
        click.UsageError: two options exclude each other.

    """
    from runner.core.load import LoadProfile  # noqa: PLC0415
    from runner.errors import CompareError  # noqa: PLC0415

    names = ("lead", "adaptive", "rate", "arrivals", "duration_s", "max_requests", "levels")
    if chosen["arrivals"] and chosen["rate"] is None:
        raise click.UsageError("--arrivals says how --rate spaces requests; give --rate, too")
    if chosen["levels"] and chosen.get("concurrency"):
        raise click.UsageError("--sweep sets the concurrency, level by level; leave --concurrency out")
    if chosen["lead"] is not None and chosen["order"] not in {None, "blocks"}:
        raise click.UsageError(f"--lead holds for --order blocks; with {chosen['order']} nobody waits")
    try:
        return LoadProfile(**{name: chosen[name] for name in names if chosen[name] is not None})
    except CompareError as error:
        raise click.UsageError(str(error)) from None
