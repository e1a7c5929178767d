"""`compare diff`: compare two runs, or two targets or places of one run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_runs, complete_targets_of_base
from runner.cli.shared_options import (
    NumberParam,
    collect,
    color_option,
    fail_undecided_option,
    gate_option,
    language_option,
    metric_option,
    min_effect_option,
    min_pass_change_option,
    outputs_option,
    slo_option,
)
from runner.cli.terminal import echo_error, echo_json, echo_written, open_console

if TYPE_CHECKING:
    from runner.commands.diff import DiffOptions

OPTIONS = (
    click.argument("base", type=click.Path(path_type=Path), shell_complete=complete_runs),
    click.argument("new", type=click.Path(path_type=Path), required=False, shell_complete=complete_runs),
    click.option(
        "--between",
        nargs=2,
        metavar="A B",
        shell_complete=complete_targets_of_base,
        help="Compare target B with target A of one run; stronger than a comparison of two runs.",
    ),
    click.option(
        "--between-regions",
        nargs=2,
        metavar="A B",
        help="Compare every target as measured from region B with region A, in one run with --vantage; name nodes if "
        "they have no region.",
    ),
    metric_option(
        "Compare only this measure; repeatable: failures, slo, passes, slow, ttft, ttfa, tool_call, total, tpot, "
        "output_cps, chars, cost. With fewer rows, fewer rounds are enough for a verdict."
    ),
    click.option(
        "--alpha",
        type=NumberParam(),
        default=0.01,
        show_default=True,
        help="Significance level of the whole comparison.",
    ),
    min_effect_option,
    min_pass_change_option,
    slo_option,
    outputs_option(
        "Also write a report: .html is a page to share, .md for a pull request, .json for programs, .xml for JUnit."
    ),
)


def _make_options(
    *,
    base: Path,
    new: Path | None,
    between: tuple[str, str] | None,
    between_regions: tuple[str, str] | None,
    **values: Any,
) -> "DiffOptions":
    from runner.commands.diff import DiffOptions, DiffSides

    return DiffOptions(DiffSides(base, new, between, between_regions), **values)


@click.command(cls=Command)
@collect("options", _make_options, OPTIONS)
@gate_option
@fail_undecided_option
@language_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@color_option
def diff(
    *,
    options: "DiffOptions",
    gate: bool,
    fail_undecided: bool,
    language: str | None,
    as_json: bool,
    color: str,
) -> None:
    """Compare run NEW with run BASE: a folder, a journal, or `latest`; or with the runs before it: `history`.

    \b
    compare diff results/monday latest
    compare diff latest --between deepseek/deepseek-flash zhipu/glm-5.3
    compare diff latest --between-regions eu-west us-east
    compare diff baseline.jsonl latest --gate -o report.md -o junit.xml
    compare diff history latest

    Each measure of each target is regressed, improved, unchanged or undecided; docs/statistics.md explains the rule.
    Exit codes: 0 done, 1 regressed (--gate), 2 nothing can be compared, 5 undecided (--fail-undecided).
    """
    from runner.commands.diff import diff as compare
    from runner.commands.diff import write_difference
    from runner.commands.exit_codes import of_difference
    from runner.commands.notify_if_slow import notify_if_slow
    from runner.outputs import DIFFERENCE_WRITERS

    with notify_if_slow("comparing", echo_error):
        difference = compare(options)
    if as_json:
        echo_json(DIFFERENCE_WRITERS[".json"](difference), nl=False)
    else:
        from runner.outputs.diff.terminal import render_difference

        open_console(color).print(render_difference(difference))
    write_difference(difference, options.outputs, language)
    echo_written(options.outputs)
    sys.exit(of_difference(difference, gate=gate, fail_undecided=fail_undecided))
