"""The judgements of a run's pairs, as JSON for programs. What is absent is null."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runner.analysis.judge import JudgeCost, JudgedPairs, JudgedShare
from runner.analysis.win_rates import WinRate
from runner.outputs.text.escape import escape_surrogates


def write(judged: Sequence[JudgedPairs], run_id: str) -> str:
    """Return one JSON document on all judgings of a run."""
    document = {"run_id": run_id, "judged": [plain(each) for each in judged]}
    return escape_surrogates(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def plain(judged: JudgedPairs) -> dict[str, Any]:
    """Return a judging as plain data."""
    rates = judged.rates
    return {
        "judge": judged.judge,
        "settings": dict(judged.settings),
        "criteria": judged.criteria,
        "at": judged.at,
        "prompt_version": judged.prompt_version,
        "pairs": judged.pairs,
        "of_pairs": judged.of_pairs,
        "undecided": judged.undecided,
        "equal": judged.equal,
        "targets": [_rate(each) for each in rates.targets],
        "against": [_rate(each) for each in rates.pairs],
        "strengths": [asdict(each) for each in rates.strengths],
        "separations": [asdict(each) for each in rates.separations],
        "components": rates.components,
        "flips": _share(judged.flips),
        "first_named": _share(judged.first_named),
        "longer_won": _share(judged.longer_won),
        "same_family": judged.relatives,
        "cost": plain_cost(judged.cost),
    }


def _rate(rate: WinRate) -> dict[str, Any]:
    return {**asdict(rate), "n": rate.n, "win_rate": rate.value}


def _share(share: JudgedShare) -> dict[str, Any]:
    return {**asdict(share), "share": share.value}


def plain_cost(cost: JudgeCost) -> dict[str, Any]:
    """Return a judge's requests and their cost as plain data; money is text."""
    return {**asdict(cost), "spent": {money.currency: str(money.amount) for money in cost.spent}}
