"""Read provider rows and prices: the compare.yaml beside the suite or above it, and the user's own configuration."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.document import read, validate
from runner.errors import InvalidFile, did_you_mean
from runner.pricing.rates import Price
from runner.pricing.user_prices import PriceSchema, TargetGlob
from runner.providers.find_config_files import find_own_file, user_folder
from runner.providers.provider_row import ProviderRows
from runner.providers.registry import Registry

CONFIG_NAME = "compare.yaml"


class Config(BaseModel):
    """A compare.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = Field(default=1, description="The format of this file.")
    providers: ProviderRows = Field(
        default_factory=dict, description="Provider -> its row, or what differs from the built-in one."
    )
    prices: dict[TargetGlob, PriceSchema] = Field(
        default_factory=dict, description="provider/model -> what its tokens cost; `*` stands for any part of a name."
    )


class UserConfig(Config):
    """The compare.yaml in the user's own configuration folder: what it names is trusted."""

    allow_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that suites and found files may send to without a question."
    )


def find_config(start: Path) -> Path | None:
    """Return the compare.yaml nearest to a suite or folder, upwards; None if there is none that may be read."""
    return find_own_file(CONFIG_NAME, start)[0]


def user_config() -> Path | None:
    """Return the path of the user's own configuration, which may not exist; None if there is no home folder."""
    folder = user_folder("XDG_CONFIG_HOME", ".config")
    return folder / CONFIG_NAME if folder else None


def find_configs(start: Path) -> list[Path]:
    """Return the configurations that apply to a suite or folder: the nearest one first, then the user's own."""
    own, nearest = user_config(), find_config(start)
    return [path for path in dict.fromkeys((nearest, own)) if path is not None and path.is_file()]


def with_configs(registry: Registry, start: Path) -> Registry:
    """Return a registry with the rows of the user's own configuration, which are trusted, then of the nearest one.

    Raises:
        InvalidFile: a file has problems; the error lists all of them.

    """
    own = user_config()
    if own is not None and own.is_file():
        config = validate(read(own), UserConfig)
        registry = replace(registry.with_rows(config.providers, own), allowed_hosts=config.allow_hosts).trusted()
    nearest, notes = find_own_file(CONFIG_NAME, start)
    registry = replace(registry, notes=tuple(notes))
    if nearest is None or nearest == own:
        return registry
    return registry.with_rows(load_config(nearest), nearest)


def load_config(path: Path) -> ProviderRows:
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
    document, own = read(path), path == user_config()
    prices: dict[str, Price] = {}
    problems = []
    for target, price in validate(document, UserConfig if own else Config).prices.items():
        name, _, model = target.partition("/")
        provider = registry.resolve(name)
        if provider is None:
            hint = did_you_mean(name.lower(), registry.names, "`compare providers` lists the known ones")
            problems.append(document.problem(("prices", target), f"unknown provider `{name}`", hint, of_key=True))
        elif registry.rows[provider].simulated:
            what = f"`{name}` is simulated and costs nothing"
            problems.append(document.problem(("prices", target), what, "Remove its price", of_key=True))
        else:
            prices[f"{provider}/{model}"] = price.price(path.name)
    if problems:
        raise InvalidFile(problems)
    return prices
