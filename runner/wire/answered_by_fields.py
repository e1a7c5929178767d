"""Who answered: vendor, model, fingerprint and tier, wherever a response names them, and the check of a pinned vendor.

The places are those that docs/wire.md lists with their sources. Every dialect is read in the same way.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from runner.core.answered_by import is_same_vendor
from runner.core.events import AnsweredBy
from runner.core.record_from_events import Fold
from runner.wire.json_value import as_object
from runner.wire.provider_failure import failure
from runner.wire.surrogates import replace_halves

VENDOR_HEADERS = (
    "x-inference-provider",
    "x-bifrost-provider",
    "x-portkey-provider",
    "x-litellm-model-api-base",
    "x-litellm-model-id",
    "x-portkey-last-used-option-index",
)
"""Headers in which routers name the vendor, the most telling first; those of LiteLLM and Portkey name a deployment."""

VENDOR_NAMES = frozenset({"provider", "provider_metadata", "providerMetadata", "error"})
NAMING = VENDOR_NAMES | {"system_fingerprint", "service_tier", "usage"}
"""Fields of a part in which a name may stand; every other part of every chunk is passed over."""

LONGEST_NAME = 200
"""Characters of a name that are kept."""


def vendor_in_headers(headers: Mapping[str, str]) -> str | None:
    """Return the vendor that a router's headers name; of an address the host, since its query may hold a key."""
    if headers.keys().isdisjoint(VENDOR_HEADERS):
        return None
    found = (_name(headers.get(name)) for name in VENDOR_HEADERS)
    return next((_host_of(name) if "://" in name else name for name in found if name), None)


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def answered_by(value: object, at_ns: int) -> AnsweredBy | None:
    """Return who answered, as far as a JSON value of a response says so; None if it names nobody."""
    parts = [part for part in _parts_of(as_object(value)) if not NAMING.isdisjoint(part)]
    usages = [usage for part in parts if (usage := as_object(part.get("usage")))]
    vendors = (_vendor_in(part) for part in parts)
    fingerprints = (_name(part.get("system_fingerprint")) for part in parts)
    tiers = (_name(part.get("service_tier")) for part in (*parts, *usages))
    found = [next(filter(None, names), None) for names in (vendors, fingerprints, tiers)]
    return AnsweredBy(at_ns, *found) if any(found) else None


def who_answered(at_ns: int, *names: object) -> AnsweredBy | None:
    """Return who answered, given a vendor, a fingerprint and a tier as they were sent; None if none is a name."""
    found = [_name(name) for name in names]
    return AnsweredBy(at_ns, *found) if any(found) else None


def _parts_of(value: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a chunk or an event in which such names stand."""
    yield value
    yield as_object(value.get("response"))
    choices = value.get("choices")
    choice = as_object(choices[0]) if isinstance(choices, list) and choices else {}
    for holder in (value, choice):
        yield as_object(holder.get("message"))
        yield as_object(holder.get("delta"))


def _vendor_in(part: Mapping[str, object]) -> str | None:
    if VENDOR_NAMES.isdisjoint(part):
        return None
    metadata = as_object(part.get("provider_metadata")) or as_object(part.get("providerMetadata"))
    routing = as_object(as_object(metadata.get("gateway")).get("routing"))
    error = as_object(as_object(part.get("error")).get("metadata"))
    names = (part.get("provider"), routing.get("finalProvider"), error.get("provider_name"))
    return next(filter(None, map(_name, names)), None)


def _name(value: object) -> str | None:
    """Return a name in one line; None for anything else."""
    return " ".join(value[: LONGEST_NAME + 1].split())[:LONGEST_NAME] or None if isinstance(value, str) else None


def model_of(holder: Mapping[str, object]) -> str | None:
    """Return the model's name in a chunk, an event or a whole reply; None if it has none."""
    model = holder.get("model")
    return replace_halves(model)[0] if isinstance(model, str) and model else None


def origin_ns_of(holder: Mapping[str, object]) -> int | None:
    """Return when a chunk or an event was sent, by the sender's own clock in ns; None if it does not say."""
    sent_ns = holder.get("sent_ns")
    return sent_ns if type(sent_ns) is int and abs(sent_ns) < 2**63 else None


OTHER_ROUTE = "other_route"
"""The `error_type` of a reply that another vendor gave than the one that was pinned."""


def check_route(fold: Fold, vendors: Sequence[str], at_ns: int) -> set[str]:
    """Fail an attempt that another vendor answered; return the flags of one that does not tell.

    Args:
        fold: what the attempt received; it is over.
        vendors: the names of the vendor that is pinned, its route first; empty if none is.
        at_ns: now.

    """
    notes: set[str] = set()
    started = fold.response_started
    if not vendors or started is None or fold.failed is not None:
        return notes
    found = fold.answered_by.served_by
    if found is None:
        notes.add("route_unconfirmed")
    elif not is_same_vendor(vendors[0], found, vendors[1:]):
        message = f"{found} answered, though route: {vendors[0]} allows no other vendor"
        fold.add(failure(OTHER_ROUTE, message, at_ns, status=started.status))
    return notes
