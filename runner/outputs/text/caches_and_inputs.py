"""Text on prompt caches and sized inputs: the table of a cache probe, and remarks on caches and inputs."""

from collections.abc import Callable, Sequence

from runner.analysis.cache_probe import CacheStage, Saving, measure_caches, unreported_repeats
from runner.analysis.input_sizes import ReachedSize, measure_inputs
from runner.analysis.intervals import Statistic
from runner.analysis.run_results import Run
from runner.core.turns_and_steps import name_repeat
from runner.outputs.text.number_format import MISSING, low_to_high, percent, seconds, times, with_interval, with_n
from runner.outputs.text.table import CaptionedTable, tabulate_items
from runner.outputs.text.translation import BilingualText, _, name_some, translate


def cache_table(run: Run) -> CaptionedTable | None:
    """Return a table with a row for each target and stage of a cache probe; None for other runs."""
    stages = measure_caches(run)
    if not stages:
        return None
    columns: tuple[tuple[str, Callable[[CacheStage], str]], ...] = (
        (_("target"), lambda stage: str(stage.target)),
        (_("request"), _describe_stage),
        ("n", lambda stage: str(stage.n)),
        (_("TTFT p50"), lambda stage: seconds(stage.ttft_p50.value if stage.ttft_p50 else None)),
        (_("of the cold TTFT"), _format_ratio),
        (_("cached tokens p50"), lambda stage: _format_tokens(stage.cached_p50, stage.n)),
        (_("cached share"), lambda stage: percent(stage.cached_share)),
        (_("saved per 1,000"), lambda stage: _format_saving(stage.saving, stage.n)),
    )
    return CaptionedTable(_("Prompt caches"), tabulate_items(stages, columns, frozenset({0, 1})), _caches_caption())


def _describe_stage(stage: CacheStage) -> BilingualText:
    """Return the name of a stage of a cache probe: `cold`, `again at once`, `again after 5 min`."""
    return _("cold") if stage.idle_s is None else translate(name_repeat(stage.idle_s))


def _format_ratio(stage: CacheStage) -> str:
    if stage.ratio is None:
        return MISSING
    return with_n(with_interval(times(stage.ratio), stage.interval, times), stage.pairs)


def _format_tokens(statistic: Statistic | None, expected: int) -> str:
    if statistic is None:
        return MISSING
    return with_n(f"{statistic.value:,.0f}", statistic.n, expected)


def _format_saving(saving: Saving | None, expected: int) -> str:
    if saving is None:
        return MISSING
    return with_n(_("{sum}, {share}", sum=saving.of_1000, share=percent(saving.share)), saving.n, expected)


def _caches_caption() -> BilingualText:
    return _(
        "A cold request begins with a random word of its own and is sent again with the same one: at once, then after "
        "pauses in which nothing is sent with it. The factor compares the times to the first text in pairs of one "
        "case and round, with its 95 % interval where the rounds allow one; n counts the pairs. Cached tokens are "
        "those that the provider reports. Saved is what the input would cost without a cache, less what it costs, over "
        "1,000 requests; below 0 where writing to the cache costs more."
    )


# Remarks


def describe_caches(run: Run) -> list[str]:
    """Return remarks on caches that may affect a run's figures; empty if there are none."""
    if run.header.cache_probe:
        return _describe_unreported(measure_caches(run))
    unreported = [with_n(str(target), repeats) for target, repeats in unreported_repeats(run).items()]
    if not unreported:
        return []
    return [
        _(
            "prompts were sent again, and the provider reports no cached tokens: later repeats may be served from a "
            "cache that it does not report; repeats: {targets}",
            targets=name_some(unreported),
        )
    ]


def _describe_unreported(stages: Sequence[CacheStage]) -> list[str]:
    """Return a remark on targets that report no cached tokens although repeated prefixes have a lower TTFT.

    The ratio of TTFTs counts as lower if its whole interval is below 1.
    """
    faster = [
        _("{target} {figure}", target=stage.target, figure=_format_ratio(stage))
        for stage in stages
        if stage.idle_s == 0 and stage.interval and stage.interval.high < 1 and not stage.cached_share
    ]
    if not faster:
        return []
    return [_("sooner with a repeated beginning, and no cached tokens reported: {targets}", targets=name_some(faster))]


def describe_inputs(run: Run) -> list[str]:
    """Return a sentence for each wanted size of text, with the number of input tokens that each target reported."""
    found: dict[tuple[int, str], list[ReachedSize]] = {}
    for each in measure_inputs(run):
        found.setdefault((each.wanted, each.text), []).append(each)
    return [
        _(
            "{wanted} input tokens wanted of {text}; reached: {targets}",
            wanted=f"{wanted:,}",
            text=text,
            targets=name_some([_describe_reached(each) for each in reached]),
        )
        for (wanted, text), reached in found.items()
    ]


def _describe_reached(reached: ReachedSize) -> str:
    if reached.lowest is None or reached.highest is None:
        return _("{target} not reported (n {n})", target=reached.target, n=f"{reached.n:,}")
    return with_n(f"{reached.target} " + low_to_high(f"{reached.lowest:,}", f"{reached.highest:,}"), reached.n)
