"""Result of a capacity search: as a sentence, as a table of the loads tried, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runner.analysis.capacity import CapacitySearch, FoundCapacity, LoadVerdict, TriedLoad, requests_for_readings
from runner.outputs.text.escape import dump_json
from runner.outputs.text.number_format import MISSING, percent, rate, seconds, with_interval
from runner.outputs.text.table import TextTable
from runner.outputs.text.translation import BilingualText, _, plural


def tabulate_curves(found: Sequence[FoundCapacity]) -> TextTable:
    """Return a row for each target and load tried, loads ascending. All results must be of the same search."""
    by_rate, is_one = found[0].search.by_rate, len(found) == 1
    load = _("rate/s") if by_rate else _("concurrency")
    figures = (_("goodput requests/s"), _("requests/s"), _("TTFT p95"))
    headings = (*(() if is_one else (_("target"),)), load, _("SLO met"), "n", *figures, _("SLO"))
    rows = tuple(
        (*(() if is_one else (_name_target(capacity),)), *_row(each, capacity.search))
        for capacity in found
        for each in capacity.curve
    )
    return TextTable(headings, rows, frozenset({0, len(headings) - 1} if not is_one else {len(headings) - 1}))


def _row(tried: TriedLoad, search: CapacitySearch) -> tuple[str, ...]:
    found, needed, verdict = tried.goodput, search.requests_needed(tried), search.verdict_on(tried)
    return (
        f"{tried.load:g}",
        MISSING if found is None else with_interval(percent(found.share), found.interval, percent),
        "0" if found is None else f"{found.n:,}",
        rate(found.requests_per_s if found else None),
        rate(tried.requests_per_s),
        seconds(tried.ttft_p95_s),
        _("not decided: needs {n} requests", n=f"{needed:,}")
        if needed and verdict is LoadVerdict.UNDECIDED
        else _(verdict.value),
    )


def describe_capacity(capacity: FoundCapacity) -> BilingualText:
    """Return a sentence with the search's result: the highest load that keeps the SLO, and what is not decided.

    A second sentence says how many requests are needed: for any load to keep the SLO, if no load missed it and none had
    enough judged requests; else to decide about the lowest load at which the number in flight changed too slowly; else
    to decide about the undecided load that needs the fewest requests.
    """
    found, fewest = _describe_found(capacity), capacity.search.fewest_judged
    judged = max((each.goodput.n for each in capacity.tried if each.goodput), default=0)
    if judged < fewest and capacity.lowest_missed is None:
        return _(
            "{found}. A load keeps it only with {fewest} judged requests or more, and none had more than {n}: give "
            "more requests at each load",
            found=found,
            fewest=fewest,
            n=judged,
        )
    undecided = [each for each in capacity.curve if capacity.search.verdict_on(each) is LoadVerdict.UNDECIDED]
    slow = next((each for each in undecided if requests_for_readings(each)), None)
    return _describe_slow(capacity, found, slow) if slow else _describe_undecided(capacity, found, undecided)


def _describe_slow(capacity: FoundCapacity, found: str, slow: TriedLoad) -> BilingualText:
    assert slow.goodput is not None
    return _(
        "{found}. At {load} the number in flight rose and fell too slowly for {n} requests to show what a longer run "
        "meets: {needed} requests at each load or more should be enough",
        found=found,
        load=_load(capacity, slow.load),
        n=f"{slow.goodput.n:,}",
        needed=capacity.search.requests_needed(slow),
    )


def _describe_undecided(capacity: FoundCapacity, found: BilingualText, undecided: Sequence[TriedLoad]) -> BilingualText:
    needed = {each.load: number for each in undecided if (number := capacity.search.requests_needed(each))}
    if needed:
        load = min(needed, key=lambda each: needed[each])
        return _(
            "{found}. To decide at {load}, {needed} requests at each load should be enough, in a new folder",
            found=found,
            load=_load(capacity, load),
            needed=needed[load],
        )
    if undecided:
        return _("{found}. The shares of undecided loads are too close to the wanted one to decide", found=found)
    return found


def _describe_found(capacity: FoundCapacity) -> BilingualText:
    kept, missed = capacity.highest_kept, capacity.lowest_missed
    tried = plural(len(capacity.tried), "{n} load tried", "{n} loads tried")
    if kept is None:
        missed_from = (
            _("not decided at any load") if missed is None else _("missed from {load} on", load=_load(capacity, missed))
        )
        return _(
            "no load that was tried shows that {target} keeps {slo}: {where} ({tried})",
            target=_name_target(capacity),
            slo=_objective(capacity),
            where=missed_from,
            tried=tried,
        )
    sure = _(
        "{target} keeps {slo} up to {load}",
        target=_name_target(capacity),
        slo=_objective(capacity),
        load=_load(capacity, kept),
    )
    if missed is None:
        return _without_end(capacity, sure, kept, tried)
    end = _("and misses it at {load}", load=f"{missed:g}")
    if not capacity.search.by_rate and missed - kept <= 1:
        return _("{sure}, {end} ({tried})", sure=sure, end=end, tried=tried)
    return _("{sure}, {gap}, {end} ({tried})", sure=sure, gap=_undecided(kept, missed), end=end, tried=tried)


def _without_end(capacity: FoundCapacity, sure: str, kept: float, tried: str) -> BilingualText:
    highest = capacity.curve[-1].load
    if highest == kept:
        return _("{sure}, and perhaps at higher loads ({tried})", sure=sure, tried=tried)
    gap = _undecided(kept, highest)
    return _("{sure}, and perhaps at higher loads; {gap} ({tried})", sure=sure, gap=gap, tried=tried)


def _name_target(capacity: FoundCapacity) -> BilingualText | str:
    """Return the target's name, marked if the simulator answered."""
    return _("{target} (simulated)", target=capacity.target) if capacity.simulated else capacity.target


def _objective(capacity: FoundCapacity) -> BilingualText:
    share = f"{100 * capacity.search.share:g}"
    return _("at least {share} % of requests within {slo}", share=share, slo=capacity.slo)


def _load(capacity: FoundCapacity, load: float) -> BilingualText:
    number = f"{load:g}"
    if capacity.search.by_rate:
        return _("{n} requests per second", n=number)
    return _("{n} in flight", n=number)


def _undecided(low: float, high: float) -> BilingualText:
    return _("not decided between {low} and {high}", low=f"{low:g}", high=f"{high:g}")


def write_json(found: FoundCapacity | Sequence[FoundCapacity]) -> str:
    """Return one target's result as a JSON object, or several as a list; the loads tried are ascending."""
    document = _as_plain(found) if isinstance(found, FoundCapacity) else [_as_plain(each) for each in found]
    return dump_json(document) + "\n"


def _as_plain(capacity: FoundCapacity) -> dict[str, Any]:
    search = capacity.search
    return {
        "target": capacity.target,
        "simulated": capacity.simulated,
        "slo": capacity.slo,
        "share": search.share,
        "by": "rate" if search.by_rate else "concurrency",
        "highest_kept": capacity.highest_kept,
        "lowest_missed": capacity.lowest_missed,
        "curve": [
            {**asdict(each), "standing": search.verdict_on(each), "requests_needed": search.requests_needed(each)}
            for each in capacity.curve
        ],
    }
