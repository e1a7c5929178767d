"""The precision at which a run ends: `--until-ci 5%`, `--until-ci ttft=5%,passes=4%`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from runner.core.durations_and_shares import parse_share
from runner.errors import CompareError

EXAMPLE = "5%, or ttft=5%,passes=4%"


@dataclass(frozen=True, slots=True)
class UntilCi:
    """Half the widths that 95 % intervals must reach at every target for a run to end; None for no condition."""

    ttft: float | None = None
    """Half the width for the median TTFT, as a share of the median."""
    passes: float | None = None
    """Half the width for the pass rate, as a difference of shares: 0.04 is 4 points."""

    @classmethod
    def from_plain(cls, plain: float | Mapping[str, float] | None) -> Self | None:
        """Return the value from the output of `to_plain`; None if it has no condition. Unknown names are ignored."""
        named = plain if isinstance(plain, Mapping) else {"ttft": plain}
        known = {name: named.get(name) for name in ("ttft", "passes")}
        return None if set(known.values()) == {None} else cls(**known)

    def to_plain(self) -> float | dict[str, float]:
        """Return the value as a journal stores it: a number if there is only a condition on the TTFT."""
        if self.passes is None and self.ttft is not None:
            return self.ttft
        return {name: value for name, value in asdict(self).items() if value is not None}


def parse_until_ci(text: str) -> UntilCi:
    """Parse `5%` or `ttft=5%,passes=4%`; a share without a name applies to the TTFT.

    Raises:
        CompareError: a part is not a share above 0 and up to 100 %, or its name is unknown or given twice; the
            message names all such parts.

    """
    found: dict[str, float] = {}
    problems = []
    for part in text.split(","):
        name, _, share = part.rpartition("=")
        name = name.strip() or "ttft"
        if name not in {"ttft", "passes"}:
            problems.append(f"{name} is neither ttft nor passes")
        elif name in found:
            problems.append(f"{name} is given twice")
        else:
            try:
                found[name] = parse_share(share)
            except CompareError as error:
                problems.append(str(error))
    if problems:
        raise CompareError(f"{'; '.join(problems)}. Write {EXAMPLE}")
    return UntilCi(**found)
