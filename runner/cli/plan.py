"""`compare plan`: what a run would send and cost at most; nothing is sent."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.help import GroupedCommand
from runner.cli.options import CACHES, LOAD, REPEATS, TARGETS, json_option, run_options
from runner.cli.terminal import echo_json, echo_wrapped

if TYPE_CHECKING:
    from runner.commands.plan import PlanPreview
    from runner.commands.run.options import RunOptions


HEADING_COLUMNS = 8
"""Longer headings take several lines, so that the table fits a terminal."""


@click.command(cls=GroupedCommand)
@click.argument("suite", type=click.Path(path_type=Path))
@run_options(TARGETS, REPEATS, CACHES, LOAD)
@json_option
def plan(suite: Path, *, options: "RunOptions", as_json: bool) -> None:
    """Show what `compare run SUITE` with the same options would send and cost at most; send nothing.

    \b
    compare plan prompts/basic.yaml
    compare plan prompts/basic.yaml -m deepseek/deepseek-flash --repeat 20

    Keys need not be set, but in CI the targets must be named then, since no simulator stands in there. No file is made,
    nobody is asked. It knows of no cluster: with --vantage, a run sends all of this from each node.
    """
    from runner.commands.plan import preview_plan  # noqa: PLC0415 -- heavy imports wait until there is work

    preview = preview_plan(suite, options)
    if as_json:
        echo_json(_render_json(preview))
    else:
        echo_wrapped(_render_text(preview))


def _render_json(preview: "PlanPreview") -> str:
    import json  # noqa: PLC0415

    from runner.outputs.plan import plan_document  # noqa: PLC0415

    prepared = preview.prepared
    document = plan_document(prepared.forecast, preview.missing_keys, prepared.prices.unknown)
    return json.dumps({"suite": prepared.suite.name, **document}, ensure_ascii=False, indent=2)


def _render_text(preview: "PlanPreview") -> str:
    from textwrap import fill  # noqa: PLC0415

    from tabulate import tabulate  # noqa: PLC0415

    from runner.outputs.plan import describe_bounds, describe_plan, describe_variants, tabulate_plan  # noqa: PLC0415

    forecast = preview.prepared.forecast
    cells = tabulate_plan(forecast)
    alignment = ["left" if at in cells.wordy else "right" for at in range(len(cells.headings))]
    headings = [fill(heading, HEADING_COLUMNS) for heading in cells.headings]
    table = tabulate(cells.rows, headers=headings, tablefmt="simple", colalign=alignment, disable_numparse=True)
    keys = [f"Key missing: {why}" for why in preview.missing_keys.values()]
    notes = [*keys, *describe_variants(forecast), *describe_bounds(forecast), *preview.prepared.notes]
    asked = describe_plan(preview.prepared.suite.name, forecast, preview.prepared.options.vary)
    return "\n".join([asked, "", table, "", *notes])
