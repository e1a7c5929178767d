"""What each target of a run has cost, by currency: what is known, and of how many requests."""

from dataclasses import dataclass
from decimal import Decimal
from math import fsum

import pandas as pd

from runner.analysis.frame import targets_of
from runner.pricing.money import Money


@dataclass(frozen=True, slots=True)
class TargetCost:
    """A target's requests together, warm-ups included: the cost of `n` of the `sent` is known, and adds up to this."""

    target: str
    spent: Money
    n: int
    sent: int
    charged: int = 0
    """Of the `n`: those whose cost the provider has said itself."""


def summarize_costs(table: pd.DataFrame) -> tuple[TargetCost, ...]:
    """Add up the known costs of each target, in the order in which targets appear; one without any is left out."""
    sent = table[table["attempts"] > 0]
    of_row = targets_of(sent)
    costs = (cost for target in of_row.unique() for cost in _add_up(str(target), sent[of_row == target]))
    return tuple(costs)


def _add_up(target: str, sent: pd.DataFrame) -> list[TargetCost]:
    """Return one sum for each currency: prices may differ between the runs of a joined table."""
    known = sent[sent["cost"].notna()]
    charged = known["flags"].fillna("").astype(str).str.contains(r"(?:^|;)provider_cost(?:;|$)", regex=True)
    return [
        TargetCost(
            target, Money(Decimal(repr(fsum(costs))), str(currency)), len(costs), len(sent), int(charged[own].sum())
        )
        for currency in known["currency"].unique()
        if (costs := known.loc[own := known["currency"] == currency, "cost"].tolist())
    ]
