"""`compare calibrate`: measure the error of this machine's timestamps."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import Command
from runner.cli.shared_options import NumberParam, output_option, whole_number
from runner.cli.terminal import echo_error, echo_json, echo_written, open_console

if TYPE_CHECKING:
    from runner.analysis.timestamp_errors import ErrorSpread
    from runner.calibration.measure import Calibration, Capacity


@click.command(cls=Command)
@click.option(
    "-j",
    "--concurrency",
    type=whole_number("concurrency"),
    default=4,
    show_default=True,
    metavar="N",
    help="Requests in flight.",
)
@click.option(
    "--rate",
    type=NumberParam(1, 10_000),
    default=50,
    show_default=True,
    metavar="TOKENS_PER_S",
    help="Tokens per second of each reply.",
)
@click.option(
    "--requests",
    type=click.IntRange(1),
    metavar="N",
    help="Total number of requests (default 3 times the concurrency, at least 100).",
)
@click.option(
    "--no-search",
    is_flag=True,
    help="Skip the search for the highest accurate concurrency, which takes up to half a minute.",
)
@output_option("File for the result (default results/calibration.json, which later runs read).", folders=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of a table.")
def calibrate(
    concurrency: int, rate: float, requests: int | None, output: Path | None, *, no_search: bool, as_json: bool
) -> None:
    """Measure this machine's own timing error against the simulator, whose clock is known.

    \b
    compare calibrate
    compare calibrate -j 200 --rate 50
    """
    from runner.calibration.measure import CalibrationInterrupted
    from runner.cli.calibration_progress import open_calibration_progress
    from runner.commands.calibrate import calibrate, store_calibration
    from runner.commands.exit_codes import INTERRUPTED

    try:
        with open_calibration_progress(open_console("auto", stderr=True)) as observer:
            found = calibrate(
                concurrency=concurrency,
                tokens_per_s=rate,
                requests=requests,
                search=not no_search,
                output=output,
                observer=observer,
            )
    except (CalibrationInterrupted, KeyboardInterrupt):
        echo_error("interrupted: nothing is stored")
        sys.exit(INTERRUPTED)
    if as_json:
        echo_json(found.to_json(), nl=False)
    else:
        click.echo(tabulate_calibration(found))
    echo_written([store_calibration(found, output)])


def tabulate_calibration(found: "Calibration") -> str:
    """Return a calibration as a table, with the load above and the capacity below it."""
    from tabulate import tabulate

    errors, load = found.errors, found.load
    rows = [
        ("TTFT, measured less true", *_percentile_cells(errors.ttft)),
        ("inter-chunk latency, measured less true", *_percentile_cells(errors.gap)),
        ("request sent -> at the server", *_percentile_cells(errors.request)),
        ("text sent by the server -> timestamped", *_percentile_cells(errors.stamp)),
    ]
    table = tabulate(rows, headers=("error of", "n", "p50", "p90", "p99", "max"), colalign=("left", *["right"] * 5))
    pace = f"{load.concurrency} at a time, {1000 / load.gap_ms:g} tokens/s each"
    lines = [f"{errors.timed} of {errors.requests} requests timed, {pace}, clock {found.clock}", "", table, ""]
    if found.cpu_per_token_s is not None:
        lines.append(f"CPU per token: {found.cpu_per_token_s * 1e6:.1f} us (n {errors.tokens:,})")
    if found.capacity is not None:
        lines.append(_describe_capacity(found.capacity))
    return "\n".join(lines)


def _percentile_cells(spread: "ErrorSpread | None") -> tuple[str, ...]:
    from runner.outputs.text.number_format import MISSING, milliseconds

    if spread is None:
        return ("0", *[MISSING] * 4)
    return (f"{spread.n:,}", *map(milliseconds, (spread.p50_s, spread.p90_s, spread.p99_s, spread.max_s)))


def _describe_capacity(capacity: "Capacity") -> str:
    bound = "p99 of the TTFT error stays under 5 ms"
    if not capacity.sustained and capacity.exceeded is None:
        return f"up to which concurrency {bound} was not found in the time of the search; try when the machine is idle"
    if not capacity.sustained:
        return f"{bound} at no concurrency that was tried; {capacity.exceeded} is too much"
    beyond = f"{capacity.exceeded} is too much" if capacity.exceeded else "no more was tried"
    return f"{bound} up to {capacity.sustained} at a time; {beyond}"
