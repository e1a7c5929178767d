"""The options of `compare run` and `compare plan` on prompt caches."""

from typing import Any

import click

from runner.cli.options import DurationParam


class WaitsParam(click.ParamType[tuple[float, ...]]):
    """Durations with commas between them."""

    name = "waits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return seconds, in the order written."""
        duration = DurationParam(needs_unit=True)
        return tuple(duration.convert(each.strip(), param, ctx) for each in str(value).split(","))


CACHES = (
    click.option(
        "--cache-probe",
        is_flag=True,
        help="Send each case's first request with a beginning that no prompt cache knows, then again at once and after "
        "pauses, and tabulate what a cache saves in time and money.",
    ),
    click.option(
        "--cache-waits",
        type=WaitsParam(),
        metavar="TIME,...",
        help="With --cache-probe, how long nothing is sent before each further repetition (default 1m,5m).",
    ),
)
"""What a prompt cache does."""
