"""`compare diff`: compare two runs, or two targets or places of one run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.completion import complete_runs, complete_targets_of_base
from runner.cli.shared_options import (
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
    from runner.analysis.diff_verdict import Rule
    from runner.commands.diff import DiffSides
    from runner.core.slo import Slo

SIDES = (
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
)

RULE = (
    metric_option(
        "Compare only this measure; repeatable: failures, slo, passes, slow, ttft, ttfa, tool_call, total, tpot, "
        "output_cps, chars, cost. With fewer rows, fewer rounds are enough for a verdict."
    ),
    click.option(
        "--alpha", type=float, default=0.01, show_default=True, help="Significance level of the whole comparison."
    ),
    min_effect_option,
    min_pass_change_option,
)


def _make_sides(
    base: Path, new: Path | None, between: tuple[str, str] | None, between_regions: tuple[str, str] | None
) -> "DiffSides":
    from runner.commands.diff import DiffSides
    from runner.commands.run.options import spell_option

    sides = DiffSides(base, new, between, between_regions)
    sides.refuse_ambiguous(spell_option)
    return sides


def _make_rule(
    metrics: tuple[str, ...], alpha: float, min_effect: float | None, min_pass_change: float | None
) -> "Rule":
    from runner.analysis.diff_verdict import Rule

    return Rule.of(min_effect, min_pass_change, alpha=alpha, measures=metrics)


@click.command()
@collect("sides", _make_sides, SIDES)
@collect("rule", _make_rule, RULE)
@slo_option
@gate_option
@fail_undecided_option
@outputs_option(
    "Also write a report: .html is a page to share, .md for a pull request, .json for programs, .xml for JUnit."
)
@language_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@color_option
def diff(
    *,
    sides: "DiffSides",
    rule: "Rule",
    slo: "Slo | None",
    gate: bool,
    fail_undecided: bool,
    outputs: tuple[Path, ...],
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
    from runner.commands.diff import (
        compare,
        write_difference,
    )
    from runner.commands.exit_codes import of_difference
    from runner.commands.notify_if_slow import notify_if_slow
    from runner.outputs import DIFFERENCE_WRITERS
    from runner.storage.run_folder import check_outputs

    reads = [each for each in (sides.base, sides.new) if isinstance(each, Path)]
    check_outputs(outputs, DIFFERENCE_WRITERS, reads=reads)
    with notify_if_slow("comparing", echo_error):
        difference = compare(sides, rule, slo)
    if as_json:
        echo_json(DIFFERENCE_WRITERS[".json"](difference), nl=False)
    else:
        from runner.outputs.diff.terminal import render_difference

        open_console(color).print(render_difference(difference))
    write_difference(difference, outputs, language)
    echo_written(outputs)
    sys.exit(of_difference(difference, gate=gate, fail_undecided=fail_undecided))
