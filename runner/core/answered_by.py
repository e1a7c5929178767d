"""Who answered a request: its columns, which of several names counts, and which names mean the same vendor."""

from collections.abc import Collection
from typing import Literal, get_args

from runner.core.events import AnsweredBy

AnsweredByColumn = Literal["served_by", "system_fingerprint", "service_tier", "response_model"]
"""A column that says who answered; results can be split by it."""

ANSWERED_BY_COLUMNS: tuple[AnsweredByColumn, ...] = get_args(AnsweredByColumn)


REQUESTED_TIER = "auto"
"""The tier that a response's first events repeat from the request; a later event names the tier that served it."""


def merge_answered_by(so_far: AnsweredBy, new: AnsweredBy) -> tuple[AnsweredBy, bool]:
    """Return who answered, as two parts of a response say, and whether the parts contradict each other.

    The first vendor and fingerprint count, since they belong to the first text. The last tier counts: it is the real
    one.
    """
    pairs = (
        (so_far.served_by, new.served_by),
        (so_far.system_fingerprint, new.system_fingerprint),
        (so_far.service_tier, new.service_tier),
    )
    vendor, fingerprint = (before or after for before, after in pairs[:2])
    differs = any(before and after and before not in (after, REQUESTED_TIER) for before, after in pairs)
    return AnsweredBy(new.at_ns, vendor, fingerprint, new.service_tier or so_far.service_tier), differs


def is_same_vendor(route: str, served_by: str, names: Collection[str] = ()) -> bool:
    """Return whether the vendor that answered is the one that the route names.

    Case, blanks and punctuation do not matter: `amazon-bedrock` is Amazon Bedrock. The text after a slash names an
    endpoint of the vendor, as in `deepinfra/turbo`; replies do not name it.

    Args:
        route: the vendor as the router names it in requests.
        served_by: the vendor as the reply names it.
        names: further names of the route's vendor in replies.

    """
    vendor, _, _ = route.partition("/")
    return _letters(served_by) in {_letters(vendor), *map(_letters, names)}


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
