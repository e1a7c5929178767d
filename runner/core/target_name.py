"""The name of a target: `provider/model`, or `provider/model#variant` for one of several settings of a model.

The provider ends at the first slash. A model's name may contain slashes and `#`, so the text after the last `#` is a
variant only if a variant of that name exists.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

SIMULATOR = "sim"
"""Name of the simulator as a provider."""

VARIANT_MARK = "#"
VARIANT_NAME = re.compile(r"[A-Za-z0-9._=+-]{1,100}")


@dataclass(frozen=True, slots=True)
class TargetName:
    """A provider's id, the provider's own name of a model, and the variant; None for a model with one setting."""

    provider: str
    model: str
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.provider}/{self.model_and_variant}"

    @property
    def model_and_variant(self) -> str:
        """The name without its provider: `model`, or `model#variant`."""
        return self.model if self.variant is None else f"{self.model}{VARIANT_MARK}{self.variant}"

    def divided(self, known: Collection[str]) -> Self:
        """Return the name with its variant separated if the text after the last `#` is a known one; else unchanged."""
        model, _, variant = self.model.rpartition(VARIANT_MARK)
        return type(self)(self.provider, model, variant) if model and variant in known else self
