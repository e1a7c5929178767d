"""Who answered a request: the columns that tell it, and whether a vendor's two names are the same."""

from collections.abc import Collection
from typing import Literal

AnsweredByColumn = Literal["served_by", "system_fingerprint", "service_tier", "response_model"]
"""A column that tells who answered, by which targets can be split."""


def is_same_vendor(route: str, served_by: str, names: Collection[str] = ()) -> bool:
    """Return whether the vendor that answered is the one of a route.

    Case, blanks and punctuation do not matter: `amazon-bedrock` is Amazon Bedrock. What follows a slash names an
    endpoint of the vendor, as in `deepinfra/turbo`, which replies do not tell.

    Args:
        route: the vendor as the router names it in requests.
        served_by: the vendor as the reply names it.
        names: further names of the route's vendor in replies.

    """
    vendor, _, _ = route.partition("/")
    return _letters(served_by) in {_letters(vendor), *map(_letters, names)}


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
