"""Find each target's price: the user's own, else the published one, else none with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runner.core.target_name import TargetName
from runner.planning.request import Target
from runner.pricing.published_prices import NoPublishedPrice, published_price
from runner.pricing.rates import Price
from runner.pricing.user_prices import find_user_price

ORDINARY_TIERS = (None, "default")
"""Values of `service_tier` for which the list price applies."""

PRICE_HINT = "Write it under `prices` in compare.yaml, or do without costs."


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a run's targets by name; `unknown` has the reason why a real target has none, as a clause."""

    known: Mapping[str, Price] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)

    def to_plain(self) -> dict[str, dict[str, object]]:
        """Return the known prices as plain data, for a journal's header."""
        return {target: price.to_plain() for target, price in self.known.items()}

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each reason with the targets that have no price, and one hint at the end."""
        by_reason: dict[str, list[str]] = {}
        for target, reason in self.unknown.items():
            by_reason.setdefault(reason, []).append(target)
        notes = [f"No price is known for {', '.join(targets)}: {reason}." for reason, targets in by_reason.items()]
        return (*notes[:-1], f"{notes[-1]} {PRICE_HINT}") if notes else ()


def find_prices(
    targets: Iterable[Target], base_urls: Mapping[str, str], user_prices: Mapping[str, Price], at: datetime
) -> Prices:
    """Return the price of each target; simulated ones have none and are not listed as unknown.

    Args:
        targets: the targets of a run.
        base_urls: provider -> its base URL, which identifies the vendor whose list price applies.
        user_prices: the user's own prices by provider/model; `*` stands for any part of the model's name.
        at: the time of the run; published prices are those of its day.

    """
    known: dict[str, Price] = {}
    unknown: dict[str, str] = {}
    for target in targets:
        if target.simulated:
            continue
        try:
            name = str(TargetName(target.provider, target.model))  # variants cost alike
            known[target.name] = find_user_price(name, user_prices) or _list_price(target, base_urls, at)
        except NoPublishedPrice as reason:
            unknown[target.name] = str(reason)
    return Prices(known, unknown)


def _list_price(target: Target, base_urls: Mapping[str, str], at: datetime) -> Price:
    tier = target.parameters.extra_body.get("service_tier")
    if tier not in ORDINARY_TIERS:
        raise NoPublishedPrice(f"what the service tier {tier} costs is not known")
    if target.provider not in base_urls:
        raise NoPublishedPrice("it is not known where the provider is asked")
    return published_price(base_urls[target.provider], target.model, at)
