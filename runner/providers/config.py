"""Read the user's provider rows and prices from the compare.yaml beside the suite or in a folder above it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.document import find_nearest, read, validate
from runner.errors import InvalidFile, did_you_mean
from runner.pricing.rates import Price
from runner.pricing.user_prices import PriceSchema, TargetGlob
from runner.providers.registry import Registry
from runner.providers.row import Rows

CONFIG_NAME = "compare.yaml"


class Config(BaseModel):
    """A compare.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = Field(default=1, description="The format of this file.")
    providers: Rows = Field(
        default_factory=dict, description="Provider -> its row, or what differs from the built-in one."
    )
    prices: dict[TargetGlob, PriceSchema] = Field(
        default_factory=dict, description="provider/model -> what its tokens cost; `*` stands for any part of a name."
    )


def find_config(start: Path) -> Path | None:
    """Return the compare.yaml nearest to a suite or folder, upwards; None if there is none."""
    return find_nearest(CONFIG_NAME, start)


def load_config(path: Path) -> Rows:
    """Return the rows of a compare.yaml.

    Raises:
        InvalidFile: the file has problems; the error lists all of them.

    """
    return validate(read(path), Config).providers


def load_prices(path: Path, registry: Registry) -> Mapping[str, Price]:
    """Return the prices of a compare.yaml by target, with the provider's id in place of an alias, in the file's order.

    Raises:
        InvalidFile: the file has problems, such as a price of an unknown provider; the error lists all of them.

    """
    document = read(path)
    prices: dict[str, Price] = {}
    problems = []
    for target, price in validate(document, Config).prices.items():
        name, _, model = target.partition("/")
        provider = registry.resolve(name)
        if provider is None:
            near = did_you_mean(name.lower(), registry.names)
            hint = f"Perhaps `{near}` was meant" if near else "`compare providers` lists the known ones"
            problems.append(document.problem(("prices", target), f"unknown provider `{name}`", hint, of_key=True))
        elif registry.rows[provider].simulated:
            what = f"`{name}` is simulated and costs nothing"
            problems.append(document.problem(("prices", target), what, "Remove its price", of_key=True))
        else:
            prices[f"{provider}/{model}"] = price.price(path.name)
    if problems:
        raise InvalidFile(problems)
    return prices
