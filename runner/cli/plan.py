"""`compare plan`: show what a run would send and its maximum cost, without sending anything."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.run_options import RUN, run_options
from runner.cli.shared_options import json_option, suite_argument
from runner.cli.terminal import echo_json, echo_wrapped, open_console

if TYPE_CHECKING:
    from runner.commands.plan import PlanPreview
    from runner.commands.run.options import RunOptions
    from runner.planning.forecast import Forecast


@click.command(cls=GroupedCommand)
@suite_argument
@run_options(*RUN)
@json_option
def plan(suite: Path, *, options: "RunOptions", as_json: bool) -> None:
    """Show what `compare run SUITE` would send, and its maximum cost; send nothing.

    It takes the options of `compare run`, so that a command line can be tried with `plan` in place of `run`.

    \b
    compare plan prompts/basic.yaml
    compare plan prompts/basic.yaml -m deepseek/deepseek-flash --repeat 20
    compare plan prompts/basic.yaml --ab deepseek/deepseek-flash zhipu/glm-5.3 --until-ci 5%

    Keys need not be set, but without any key in CI, targets must be named, since the simulator does not answer there.
    No file is written, and no question is asked. The plan is for one machine: with --vantage, a run sends all of
    this from each node.
    """
    from runner.commands.plan import preview_plan

    preview = preview_plan(suite, options)
    if as_json:
        echo_json(_render_json(preview))
    else:
        _print_text(preview)


def _render_json(preview: "PlanPreview") -> str:
    import json

    from runner.outputs.plan import plan_document

    prepared = preview.prepared
    document = plan_document(prepared.forecast, preview.missing_keys, prepared.prices.unknown)
    return json.dumps({"suite": prepared.suite.name, **document}, ensure_ascii=False, indent=2)


def _print_text(preview: "PlanPreview") -> None:
    from runner.outputs.plan import describe_bounds, describe_plan, describe_variants

    prepared, forecast = preview.prepared, preview.prepared.forecast
    keys = [f"Key missing: {why}" for why in preview.missing_keys.values()]
    notes = [*keys, *describe_variants(forecast), *describe_bounds(forecast), *prepared.notes]
    print_bounds(describe_plan(prepared.suite.name, forecast, prepared.options.vary), forecast, notes)


def print_bounds(asked: str, forecast: "Forecast", notes: Iterable[str], color: str = "auto") -> None:
    """Print a sentence on what would be sent, the table of its upper bounds, and notes."""
    from runner.outputs.narrow_terminal_tables import SplitTable
    from runner.outputs.plan import tabulate_plan

    echo_wrapped(f"{asked}\n")
    open_console(color).print(SplitTable(tabulate_plan(forecast), in_line=True))
    echo_wrapped("\n".join(["", *notes]))
