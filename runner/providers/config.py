"""The user's own rows: a compare.yaml beside the suite, or in a folder above it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.document import read, validate
from runner.providers.nearest import find_nearest
from runner.providers.row import Rows

CONFIG_NAME = "compare.yaml"


class Config(BaseModel):
    """A compare.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = Field(default=1, description="The format of this file.")
    providers: Rows = Field(
        default_factory=dict, description="Provider -> its row, or what differs from the built-in one."
    )


def find_config(start: Path) -> Path | None:
    """Return the compare.yaml nearest to a suite or folder; None if there is none."""
    return find_nearest(CONFIG_NAME, start)


def load_config(path: Path) -> Rows:
    """Return the rows of a compare.yaml; raise `InvalidFile` with every problem and its place."""
    return validate(read(path), Config).providers
