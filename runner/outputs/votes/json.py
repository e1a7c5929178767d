"""JSON of votes for programs: every figure unrounded, with its n. What is absent is null."""

import json
from dataclasses import asdict
from typing import Any

from runner.analysis.votes import VoterFigures, Votes
from runner.analysis.win_rates import WinRate, WinRates
from runner.outputs.text.escape import escape_surrogates


def write(votes: Votes) -> str:
    """Return one JSON document."""
    return escape_surrogates(json.dumps(votes_as_data(votes), ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def votes_as_data(votes: Votes) -> dict[str, Any]:
    """Return votes as plain data."""
    return {
        "runs": list(votes.run_ids),
        "simulated": votes.simulated,
        "together": _figures(votes.together),
        "voters": [_figures(each) for each in votes.voters],
        "agreement": asdict(votes.agreement),
        "judges": [{**asdict(each), "share": each.same / each.pairs} for each in votes.judges],
    }


def _figures(figures: VoterFigures) -> dict[str, Any]:
    return {**asdict(figures), "rates": rates_as_data(figures.rates)}


def rates_as_data(rates: WinRates) -> dict[str, Any]:
    """Return win rates and strengths as plain data."""
    return {
        "targets": list(map(_rate, rates.targets)),
        "pairs": list(map(_rate, rates.pairs)),
        "strengths": list(map(asdict, rates.strengths)),
        "separations": list(map(asdict, rates.separations)),
        "components": list(map(list, rates.components)),
    }


def _rate(rate: WinRate) -> dict[str, Any]:
    return {**asdict(rate), "n": rate.n, "win_rate": rate.value}
