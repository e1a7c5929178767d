"""`caches`: what a prompt cache saved in a cache probe, as a table."""

import pandas as pd

from runner.analysis.cache_probe import CacheStage, measure_caches
from runner.api.load_results import RunName, interval_columns, run_of
from runner.errors import CompareError


def caches(run: pd.DataFrame | RunName) -> pd.DataFrame:
    """Return a row for each target and stage of a cache probe: the first requests, then the repeated ones.

        run("prompts/cache.yaml", cache_probe=True, repeat=6)
        caches("latest").query("idle_s == 300")[["ttft_ratio", "ttft_ratio_low", "ttft_ratio_high"]]

    Columns: `idle_s`, the seconds before a repetition in which nothing was sent with its beginning, as planned, NA for
    the first request, and `idled_p50_s`, their median as it was; `n` timed requests and the median of their TTFT in
    seconds, `ttft_p50_s`; `ttft_ratio` to the first request's, the mean of `pairs` of one case and round, with its 95 %
    interval (`_low`, `_high`) and `p`; the median of the `cached_tokens` and the mean `cached_share` of the input, of
    the `cached_n` requests of which the provider reports them; `saved_per_1000`, what the input of 1,000 requests would
    cost without a cache less what it costs, in `currency`, and `saved_share`, both of `saved_n` requests. What is
    unknown is NA.

    Args:
        run: what `run` or `load` returned, or a run's folder, its id or `latest`.

    Raises:
        CompareError: there is no such run, or it was no cache probe.

    """
    found = run_of(run)
    stages = measure_caches(found)
    if not stages:
        raise CompareError(f"{found.header.run_id} was no cache probe; run(..., cache_probe=True) makes one")
    return pd.DataFrame([_row(stage) for stage in stages]).set_index("target").convert_dtypes()


def _row(stage: CacheStage) -> dict[str, object]:
    saving = stage.saving
    return {
        "target": str(stage.target),
        "idle_s": stage.idle_s,
        "idled_p50_s": stage.idled_p50_s,
        "n": stage.n,
        "ttft_p50_s": stage.ttft_p50.value if stage.ttft_p50 else None,
        "ttft_ratio": stage.ratio,
        **interval_columns(stage.interval, "ttft_ratio_"),
        "p": stage.p,
        "pairs": stage.pairs,
        "cached_tokens": stage.cached_p50.value if stage.cached_p50 else None,
        "cached_share": stage.cached_share,
        "cached_n": stage.cached_p50.n if stage.cached_p50 else 0,
        "saved_per_1000": float(saving.of_1000.amount) if saving else None,
        "saved_share": saving.share if saving else None,
        "saved_n": saving.n if saving else 0,
        "currency": saving.of_1000.currency if saving else None,
    }
