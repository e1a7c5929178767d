"""`compare plan`: what a run would send and cost at worst; nothing is sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.load import load_options, read_load
from runner.cli.options import read_options, suite_options, target_options

if TYPE_CHECKING:
    from runner.commands.plan import Preview


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@target_options
@suite_options
@load_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(suite: Path, **chosen: Any) -> None:
    """Tell what `compare run SUITE` with the same options would send and cost at most, and to whom; send nothing.

    \b
    compare plan prompts/basic.yaml
    compare plan prompts/basic.yaml -m deepseek/deepseek-flash --repeat 20

    Keys need not be set. No file is made, nobody is asked. It knows of no cluster: with --vantage, a run sends all of
    this from each node.
    """
    from runner.commands.plan import preview  # noqa: PLC0415
    from runner.commands.run.prepare import load_suite  # noqa: PLC0415 -- heavy

    names = ("cases", "repeat", "warmup_requests", "seed", "order")
    options = read_options(chosen, load=read_load(chosen), **{name: chosen[name] for name in names})
    seen = preview(*load_suite(suite), options)
    click.echo(_write_json(seen) if chosen["as_json"] else _write_text(seen))


def _write_json(seen: "Preview") -> str:
    import json  # noqa: PLC0415

    from runner.outputs.plan import plan_document  # noqa: PLC0415

    document = plan_document(seen.job.forecast, seen.missing_keys, seen.job.prices.unknown)
    return json.dumps({"suite": seen.job.suite.name, **document}, ensure_ascii=False, indent=2)


def _write_text(seen: "Preview") -> str:
    from tabulate import tabulate  # noqa: PLC0415

    from runner.outputs.plan import describe_bounds, describe_plan, tabulate_plan  # noqa: PLC0415

    forecast = seen.job.forecast
    cells = tabulate_plan(forecast)
    alignment = ["left" if at in cells.wordy else "right" for at in range(len(cells.headings))]
    table = tabulate(cells.rows, headers=cells.headings, tablefmt="simple", colalign=alignment, disable_numparse=True)
    keys = [f"Key missing: {why}" for why in seen.missing_keys.values()]
    notes = [*keys, *describe_bounds(forecast), *seen.job.notes]
    return "\n".join([describe_plan(seen.job.suite.name, forecast), "", table, "", *notes])
