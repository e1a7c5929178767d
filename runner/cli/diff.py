"""`compare diff`: two runs, or two targets or places of one run, and what may be said of their difference."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path), required=False)
@click.option(
    "--between", nargs=2, metavar="A B", help="Compare target B with target A of the one run: the stronger comparison."
)
@click.option(
    "--between-regions",
    nargs=2,
    metavar="A B",
    help="Compare how every target looks from region B with how it does from A, in one run with --vantage; where no "
    "region is labelled, name nodes.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Only this measure; repeatable: failures, ttft, ttfa, total, tpot, output_cps, chars, cost. "
    "Fewer rows are easier to decide.",
)
@click.option(
    "--alpha", type=float, default=0.01, show_default=True, help="Level of the whole comparison, all rows together."
)
@click.option(
    "--min-effect",
    default="10%",
    show_default=True,
    metavar="SHARE",
    help="Smallest change that matters: 10% or 0.1.",
)
@click.option("--gate", is_flag=True, help="Exit with 1 if anything regressed.")
@click.option("--fail-undecided", is_flag=True, help="A gate that exits with 5, too, if anything is undecided.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write a report as well: .md fits a pull request, .json is for programs, .xml is JUnit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour; auto obeys NO_COLOR and FORCE_COLOR.",
)
def diff(
    base: Path,
    new: Path | None,
    *,
    between: tuple[str, str] | None,
    between_regions: tuple[str, str] | None,
    metrics: tuple[str, ...],
    alpha: float,
    min_effect: str,
    gate: bool,
    fail_undecided: bool,
    outputs: tuple[Path, ...],
    as_json: bool,
    color: str,
) -> None:
    """Compare run NEW with run BASE: a folder, a journal, or `latest`.

    \b
    compare diff results/monday latest
    compare diff latest --between deepseek/deepseek-chat zhipu/glm-4-plus
    compare diff latest --between-regions eu-west us-east
    compare diff baseline.jsonl latest --gate -o report.md -o junit.xml

    Each measure of each target is regressed, improved, unchanged or undecided; docs/statistics.md tells the rule.
    Exit codes: 0 done, 1 regressed (--gate), 2 nothing can be compared, 5 undecided (--fail-undecided).
    """
    from runner.commands.diff import Rule, contrast, exit_code, write_difference  # noqa: PLC0415 -- heavy
    from runner.outputs.diff.formats import DIFFERENCE_WRITERS  # noqa: PLC0415
    from runner.storage.run_folder import check_outputs  # noqa: PLC0415

    check_outputs(outputs, DIFFERENCE_WRITERS)
    rule = Rule(alpha=alpha, min_effect=parse_effect(min_effect), measures=metrics)
    difference = contrast(base, new, between, rule, between_regions=between_regions)
    if as_json:
        click.echo(DIFFERENCE_WRITERS[".json"](difference), nl=False)
    else:
        from runner.cli.console import open_console  # noqa: PLC0415
        from runner.outputs.diff.terminal import render_difference  # noqa: PLC0415

        open_console(color).print(render_difference(difference))
    write_difference(difference, outputs)
    if outputs:
        click.echo(f"written: {', '.join(map(str, outputs))}", err=True)
    sys.exit(exit_code(difference, gate=gate or fail_undecided, fail_undecided=fail_undecided))


def parse_effect(text: str) -> float:
    """Read `10%` or `0.1`."""
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a share nor a percentage", param_hint="--min-effect") from None
