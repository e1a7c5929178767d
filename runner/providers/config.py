"""The user's own rows and prices: a compare.yaml beside the suite, or in a folder above it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.document import read, validate
from runner.errors import InvalidFile, did_you_mean
from runner.pricing.rates import Price
from runner.pricing.user_prices import TargetGlob, WrittenPrice
from runner.providers.nearest import find_nearest
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
    prices: dict[TargetGlob, WrittenPrice] = Field(
        default_factory=dict, description="provider/model -> what its tokens cost; `*` stands for any part of a name."
    )


def find_config(start: Path) -> Path | None:
    """Return the compare.yaml nearest to a suite or folder; None if there is none."""
    return find_nearest(CONFIG_NAME, start)


def load_config(path: Path) -> Rows:
    """Return the rows of a compare.yaml; raise `InvalidFile` with every problem and its place."""
    return validate(read(path), Config).providers


def load_prices(path: Path, registry: Registry) -> Mapping[str, Price]:
    """Return the prices of a compare.yaml by provider/model, the provider by its id, in the file's order.

    Raises:
        InvalidFile: with every problem and its place, such as a price of a provider that is not known.

    """
    document = read(path)
    prices: dict[str, Price] = {}
    problems = []
    for target, written in validate(document, Config).prices.items():
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
            prices[f"{provider}/{model}"] = written.price(path.name)
    if problems:
        raise InvalidFile(problems)
    return prices
