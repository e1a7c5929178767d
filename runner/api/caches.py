"""`caches`: the savings of a prompt cache in a cache probe, as a table."""

import pandas as pd

from runner.analysis.cache_probe import CacheStage, measure_caches
from runner.api.keywords import refuse_unknown_keywords
from runner.api.run_table import RunName, interval_columns, run_of
from runner.errors import CompareError


@refuse_unknown_keywords
def caches(run: pd.DataFrame | RunName) -> pd.DataFrame:
    """Return a row for each target and stage of a cache probe: the first requests, then the repeated ones.

        run("prompts/cache.yaml", cache_probe=True, repeat=6)
        caches("latest").query("idle_s == 300")[["ttft_ratio", "ttft_ratio_low", "ttft_ratio_high"]]

    Columns, NA where a value is unknown:

    - `idle_s`: planned seconds before a repetition in which nothing with the same beginning is sent; NA for the first
      request. `idled_p50_s`: the median of the actual pauses.
    - `n`: timed requests. `ttft_p50_s`: the median of their TTFT in seconds.
    - `ttft_ratio`: mean ratio of the TTFT to that of the first request, over `pairs` of the same case and round, with
      its 95 % interval (`_low`, `_high`) and `p`.
    - `cached_tokens`: median. `cached_share`: mean share of the input. Both are over the `cached_n` requests for which
      the provider reports cached tokens.
    - `saved_per_1000`: the cost of the input of 1,000 requests without a cache, minus its actual cost, in `currency`.
      `saved_share`: the same as a share. Both are over `saved_n` requests.

    Args:
        run: what `run` or `load` returned, or a run's folder, its id or `latest`.

    Raises:
        CompareError: there is no such run, or it was not a cache probe.

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
