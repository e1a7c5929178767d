"""`capacity`: search the highest load at which a target keeps an SLO."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Literal, Unpack

import pandas as pd

from runner.analysis.capacity import CapacitySearch, FoundCapacity
from runner.api.notebook import Nowhere, Progress
from runner.api.options import TARGET_OPTIONS, TargetKeywords, read_options, refuse_unknown
from runner.api.watched_run import perform_watched
from runner.commands.capacity import place_search, search_capacity
from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import RunOptions
from runner.commands.run.prepare import prepare
from runner.commands.run.send_and_write import FinishedRun
from runner.errors import CompareError
from runner.outputs.capacity import describe_capacity

ARGUMENTS = ("suite", "slo", "share", "load", "first", "most", "loads", "requests", "seed")


def capacity(
    suite: str | PathLike[str],
    *,
    slo: str | Mapping[str, float] | None = None,
    share: float = 0.95,
    load: Literal["concurrency", "rate"] = "concurrency",
    first: float = 1,
    most: float = 256,
    loads: int = 12,
    requests: int = 500,
    seed: int | None = None,
    **options: Unpack[TargetKeywords],
) -> pd.DataFrame:
    """Search the highest load at which a target keeps an SLO; return a row for each load that was tried, ascending.

        curve = capacity("prompts/basic.yaml", slo="ttft=800ms", targets="vllm/qwen3", output="results/capacity")
        curve.attrs["highest_kept"], curve.attrs["lowest_missed"]

    Columns: `load`, a concurrency or requests per second; `standing`: kept, missed or not decided; `share` of `n`
    requests that met the SLO, with its interval (`low`, `high`); `goodput_rps`; `requests_per_s`; `ttft_p95_s`;
    `run_id`. `attrs["sentence"]` says what was found.

    Args:
        suite: a suite file; it asks one target.
        slo: durations that a request must keep within, as `run` takes them; None for the suite's own.
        share: the share of requests that has to; a load keeps the SLO if the whole interval is at it or above.
        load: whether requests in flight are searched, or requests started per second, at random.
        first: the first load to try; it is doubled while the SLO is kept, then the gap is halved.
        most: the highest load to try.
        loads: how many loads to try at most.
        requests: to send at each load; a concurrency is at most a fifth of it.
        seed: of the order and the arrivals.
        **options: targets, provider, env_file, output (the folder of the search), ... as of `run`.

    Raises:
        CompareError: an option is wrong, or the folder holds another search.

    """
    refuse_unknown(options, (*ARGUMENTS, *TARGET_OPTIONS), "capacity")
    if load not in {"concurrency", "rate"}:
        raise CompareError(f"load={load!r}: give 'concurrency' or 'rate'")
    search = CapacitySearch(share, first, most, loads, by_rate=load == "rate")
    loaded, registry = load_suite(Path(suite))
    each = read_options({**options, "slo": slo, "requests": requests, "seed": seed})

    def run_once(own: RunOptions) -> FinishedRun:
        prepared = prepare(loaded, registry, own)
        return perform_watched(prepared, Progress(Nowhere(), prepared.notes))

    steps = list(search_capacity(loaded, each, search, place_search(each, loaded), run_once))
    return _tabulate(steps[-1].capacity, search)


def _tabulate(found: FoundCapacity, search: CapacitySearch) -> pd.DataFrame:
    """Return a row for each load that was tried, as `capacity` describes them."""
    rows = [
        {
            "load": one.load,
            "standing": search.standing(one).value,
            "share": one.goodput.share if one.goodput else None,
            "low": one.goodput.interval.low if one.goodput and one.goodput.interval else None,
            "high": one.goodput.interval.high if one.goodput and one.goodput.interval else None,
            "n": one.goodput.n if one.goodput else 0,
            "goodput_rps": one.goodput.requests_per_s if one.goodput else None,
            "requests_per_s": one.requests_per_s,
            "ttft_p95_s": one.ttft_p95_s,
            "run_id": one.run_id,
        }
        for one in found.curve
    ]
    table = pd.DataFrame(rows).convert_dtypes()
    table.attrs = {
        "target": found.target,
        "slo": found.slo,
        "highest_kept": found.highest_kept,
        "lowest_missed": found.lowest_missed,
        "sentence": str(describe_capacity(found)),
    }
    return table
