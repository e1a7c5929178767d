"""What each target costs: by the user's word, else by what is published, else unknown with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from runner.core.suite import Parameters
from runner.pricing.published import NoPublishedPrice, published_price
from runner.pricing.rates import Price
from runner.providers.config import find_config, load_prices
from runner.providers.registry import Registry

ORDINARY_TIERS = (None, "default")
"""Values of `service_tier` at which the list price holds."""

PRICE_HINT = "Write it under `prices` in compare.yaml, or do without costs."


class Priceable(Protocol):
    """A target, as far as its price is concerned."""

    @property
    def provider(self) -> str:
        """Its provider's id."""

    @property
    def model(self) -> str:
        """The model's name as it is sent."""

    @property
    def name(self) -> str:
        """The target as it is written everywhere."""

    @property
    def parameters(self) -> Parameters:
        """What is asked of it beside the messages."""

    @property
    def simulated(self) -> bool:
        """Whether it costs nothing."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a run's targets, by name; `unknown` says in a clause why a real target has none."""

    known: Mapping[str, Price] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)

    def to_plain(self) -> dict[str, dict[str, object]]:
        """Return the known ones as plain data, for a journal's header."""
        return {target: price.to_plain() for target, price in self.known.items()}

    def notes(self) -> tuple[str, ...]:
        """Say in a sentence for each reason who has no price, and once what to do about it."""
        by_reason: dict[str, list[str]] = {}
        for target, reason in self.unknown.items():
            by_reason.setdefault(reason, []).append(target)
        said = [f"No price is known for {', '.join(targets)}: {reason}." for reason, targets in by_reason.items()]
        return (*said[:-1], f"{said[-1]} {PRICE_HINT}") if said else ()


def read_prices(
    targets: Iterable[Priceable], base_urls: Mapping[str, str], registry: Registry, start: Path, at: datetime
) -> Prices:
    """Find a price for each target, with those of the nearest compare.yaml; `start` is the suite or its folder.

    Raises:
        InvalidFile: a price is written wrong.

    """
    config = find_config(start)
    return find_prices(targets, base_urls, load_prices(config, registry) if config else {}, at)


def find_prices(
    targets: Iterable[Priceable], base_urls: Mapping[str, str], written: Mapping[str, Price], at: datetime
) -> Prices:
    """Find a price for each target; a simulated one has none, and lacks none.

    Args:
        targets: whom a run asks.
        base_urls: provider -> where it is asked, which tells whose list price holds.
        written: the user's own prices by provider/model, `*` standing for any part of the model's name.
        at: the day of the run, of whose prices those published are taken.

    """
    known: dict[str, Price] = {}
    unknown: dict[str, str] = {}
    for target in targets:
        if target.simulated:
            continue
        try:
            known[target.name] = _own_price(target, written) or _list_price(target, base_urls, at)
        except NoPublishedPrice as reason:
            unknown[target.name] = str(reason)
    return Prices(known, unknown)


def _own_price(target: Priceable, written: Mapping[str, Price]) -> Price | None:
    """Return the price written for this very name, else for the first pattern that it fits."""
    if target.name in written:
        return written[target.name]
    return next((price for pattern, price in written.items() if fnmatchcase(target.name, pattern)), None)


def _list_price(target: Priceable, base_urls: Mapping[str, str], at: datetime) -> Price:
    tier = target.parameters.extra_body.get("service_tier")
    if tier not in ORDINARY_TIERS:
        raise NoPublishedPrice(f"what the service tier {tier} costs is not known")
    if target.provider not in base_urls:
        raise NoPublishedPrice("it is not known where the provider is asked")
    return published_price(base_urls[target.provider], target.model, at)
