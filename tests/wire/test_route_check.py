"""The check that the pinned vendor answered, and the names by which vendors are known."""

import pytest

from runner.core.answered_by import is_same_vendor
from runner.core.events import AnsweredBy, Failed, Finished, Outcome, ResponseStarted
from runner.core.record_from_events import Fold
from runner.wire.decoders.answered_by_fields import check_route


def fold_of(served_by: str | None) -> Fold:
    """Return the fold of a complete reply that names this vendor."""
    fold = Fold()
    fold.add(ResponseStarted(1, 200, None))
    if served_by is not None:
        fold.add(AnsweredBy(2, served_by))
    fold.add(Finished(3, "stop"))
    return fold


@pytest.mark.parametrize(
    ("route", "served_by", "same"),
    [
        ("fireworks", "Fireworks", True),
        ("amazon-bedrock", "Amazon Bedrock", True),
        ("deepinfra/turbo", "DeepInfra", True),
        ("z-ai", "Z.AI", True),
        ("google-vertex", "Google", True),
        ("google-vertex", "Google AI Studio", False),
        ("fireworks", "Together", False),
        ("fireworks", "Fireworks AI", False),
    ],
)
def test_a_vendor_is_known_by_its_letters_and_the_names_of_the_row(route: str, served_by: str, same: bool) -> None:
    """A name that only starts the same is another vendor's."""
    names = ("Google",) if route == "google-vertex" else ()
    assert is_same_vendor(route, served_by, names) is same


def test_a_reply_of_another_vendor_fails() -> None:
    """It is a provider error that is not worth a second request."""
    fold = fold_of("Together")
    assert check_route(fold, ("fireworks",), 9) == set()
    assert fold.failed is not None
    assert (fold.outcome(), fold.failed.error_type, fold.failed.worth_repeating) == (
        Outcome.PROVIDER_ERROR,
        "other_route",
        False,
    )
    assert fold.failed.message == "Together answered, though route: fireworks allows no other vendor"


def test_the_pinned_vendors_reply_is_ok() -> None:
    """A target without a pin is not checked."""
    for vendors in (("fireworks",), ()):
        fold = fold_of("Fireworks" if vendors else "Together")
        assert (check_route(fold, vendors, 9), fold.outcome()) == (set(), Outcome.OK)


def test_a_reply_without_a_vendor_is_flagged() -> None:
    """It may be another vendor's."""
    fold = fold_of(None)
    assert (check_route(fold, ("fireworks",), 9), fold.outcome()) == ({"route_unconfirmed"}, Outcome.OK)


def test_an_earlier_failure_stays_the_failure() -> None:
    """An error of the router is not replaced."""
    fold = fold_of("Together")
    fold.add(Failed(4, Outcome.RATE_LIMITED, "slow down"))
    assert check_route(fold, ("fireworks",), 9) == set()
    assert fold.outcome() is Outcome.RATE_LIMITED
