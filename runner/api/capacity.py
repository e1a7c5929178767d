"""`capacity`: search the highest load at which each target keeps an SLO."""

from collections.abc import Hashable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Unpack

import pandas as pd

from runner.analysis.capacity import CapacitySearch, FoundCapacity, TriedLoad
from runner.api.keywords import TARGET_OPTIONS, TargetKeywords, refuse_unknown
from runner.api.options import read_options, read_values
from runner.api.run_in_thread import perform_watched
from runner.api.run_table import interval_columns
from runner.commands.capacity import prepare_search, search_capacities
from runner.errors import ErrorCollector
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
    """Search the highest load at which each target keeps an SLO; return a row for each load tried, in ascending order.

        curve = capacity("prompts/basic.yaml", slo="ttft=800ms", targets="vllm/qwen3", output="results/capacity")
        curve.attrs["highest_kept"], curve.attrs["lowest_missed"]

    Columns: `target`; `load`, a concurrency or requests per second; `standing`: kept, missed or not decided; `share` of
    `n` requests that met the SLO, with its interval (`low`, `high`); `requests_needed`, the number of requests that
    should decide about a load that is not decided, or about a rate whose number in flight changed too slowly, else
    missing; `goodput_rps`;
    `requests_per_s`; `ttft_p95_s`; `run_id`. `attrs["found"]` maps each target to a dictionary: `simulated`, whether
    the simulator answered; `highest_kept`, `lowest_missed`, and a `sentence` that states both. With one target, `attrs`
    has these values, too.

    Args:
        suite: a suite file; its targets are searched one after the other.
        slo: durations that a request must not exceed, as for `run`; None for the suite's own.
        share: the share of requests that must meet the SLO; a load keeps it if its whole interval is at or above this.
        load: `concurrency` searches over requests in flight, `rate` over requests started per second at random times.
        first: the first load to try; it is doubled while the SLO is kept, then the gap is halved.
        most: the highest load to try.
        loads: the most loads to try for a target.
        requests: number of requests at each load; a concurrency is at most a fifth of it.
        seed: seed of the order and the arrivals.
        **options: targets, provider, env_file, output (the folder of the search), ... as for `run`.

    Raises:
        CompareError: an option is wrong, or the folder holds another search.

    """
    refuse_unknown(options, (*ARGUMENTS, *TARGET_OPTIONS), "capacity")
    errors = ErrorCollector()
    bounds = {"share": share, "first": first, "most": most, "loads": loads, "load": load}
    given = errors.attempt(read_values, {**bounds, "suite": suite}, required=("load", "suite"))
    each = errors.attempt(read_options, {**options, "slo": slo, "requests": requests, "seed": seed})
    errors.raise_collected()
    assert given is not None
    assert each is not None
    place, by_rate = given.pop("suite"), given.pop("load") == "rate"
    steps = search_capacities(prepare_search(place, each, CapacitySearch(**given, by_rate=by_rate)), perform_watched)
    return _tabulate([*{step.capacity.target: step.capacity for step in steps}.values()])


def _tabulate(found: Sequence[FoundCapacity]) -> pd.DataFrame:
    """Return a row for each load tried, with the columns that `capacity` describes."""
    table = pd.DataFrame([_row(capacity, one) for capacity in found for one in capacity.curve]).convert_dtypes()
    results: dict[str, dict[Hashable, Any]] = {
        capacity.target: {
            "simulated": capacity.simulated,
            "highest_kept": capacity.highest_kept,
            "lowest_missed": capacity.lowest_missed,
            "sentence": str(describe_capacity(capacity)),
        }
        for capacity in found
    }
    table.attrs = {"slo": found[0].slo, "found": results}
    if len(found) == 1:
        table.attrs |= {"target": found[0].target, **results[found[0].target]}
    return table


def _row(found: FoundCapacity, one: TriedLoad) -> dict[str, object]:
    goodput = one.goodput
    return {
        "target": found.target,
        "load": one.load,
        "standing": found.search.verdict_on(one).value,
        "share": goodput.share if goodput else None,
        **interval_columns(None if goodput is None else goodput.interval),
        "n": goodput.n if goodput else 0,
        "requests_needed": found.search.requests_needed(one),
        "goodput_rps": goodput.requests_per_s if goodput else None,
        "requests_per_s": one.requests_per_s,
        "ttft_p95_s": one.ttft_p95_s,
        "run_id": one.run_id,
    }
