"""The base of every part of a suite file."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A part of the file: unknown keys and converted types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
