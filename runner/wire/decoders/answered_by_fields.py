"""The fields that show who answered (vendor, model, fingerprint, tier, request id); the check of a pinned vendor.

docs/wire.md lists the fields with their sources. They are read in the same way in every dialect.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from runner.core.answered_by import is_same_vendor
from runner.core.events import AnsweredBy
from runner.core.failure_kinds import failure
from runner.core.record_from_events import Fold
from runner.core.surrogates import repair_surrogates
from runner.wire.decoders.lenient_json import as_object

ADDRESS_HEADER = "x-litellm-model-api-base"
ADDRESS_MARK = re.compile(r"://|[?#]")
"""Matches in an address that stands where a vendor's name is expected."""

ADDRESS_AUTHORITY = re.compile(r"(?:[a-z][a-z0-9+.-]*://|//)?([^/?#\\]*).*", re.IGNORECASE)
"""Matches a whole address; its group is the host, with user and port."""

VENDOR_HEADERS = (
    "x-inference-provider",
    "x-bifrost-provider",
    "x-portkey-provider",
    ADDRESS_HEADER,
    "x-litellm-model-id",
    "x-portkey-last-used-option-index",
)
"""Headers in which routers name the vendor, the most specific first; LiteLLM's and Portkey's name a deployment."""

VENDOR_NAMES = frozenset({"provider", "provider_metadata", "providerMetadata", "error"})
NAMING = VENDOR_NAMES | {"system_fingerprint", "service_tier", "usage"}
"""Fields that may hold a name; parts of a chunk without any of them are skipped."""

LONGEST_NAME = 200
"""Maximum number of characters kept of a name."""

REQUEST_ID_HEADERS = tuple(
    """
    x-request-id request-id x-ds-trace-id x-generation-id x-litellm-call-id x-portkey-trace-id helicone-id cf-
    aig-log-id x-openrouter-generation-id x-requesty-request-id x-oneapi-request-id x-new-api-request-id
    x-novita-trace-id apim-request-id x-ms-request-id x-amzn-requestid x-amz-request-id x-goog-request-id
    x-siliconcloud-trace-id msh-request-id x-tt-logid x-log-id x-requestid requestid x-correlation-id
    correlation-id x-kong-request-id trace-id x-trace-id
    """.split()  # noqa: SIM905 -- a list would have one header a line
)
"""Headers in which providers and routers send the id of a request."""

EDGE_ID_HEADERS = ("cf-ray", "x-vercel-id", "x-amz-cf-id", "fly-request-id", "x-railway-request-id")
"""Id headers of content delivery networks; the provider's own id in the body takes precedence."""

REQUEST_ID_NAMES = ("request_id", "requestId", "id")
LONGEST_ID = 200


def vendor_in_headers(headers: Mapping[str, str]) -> str | None:
    """Return the vendor that a router's headers name; of an address only the host, since the rest may hold a key."""
    if headers.keys().isdisjoint(VENDOR_HEADERS):
        return None
    found = (_vendor(headers.get(name), is_address=name == ADDRESS_HEADER) for name in VENDOR_HEADERS)
    return next(filter(None, found), None)


def without_addresses(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with only the host of each address in a header that names a vendor."""
    named = headers.keys() & VENDOR_HEADERS
    vendors = {name: _vendor(headers[name], is_address=name == ADDRESS_HEADER) or "" for name in named}
    return {**headers, **vendors}


def _vendor(value: object, *, is_address: bool = False) -> str | None:
    """Return a vendor's name; of an address, with or without a scheme, the host in place of the name."""
    name = _name(value)
    if name is None or not (is_address or ADDRESS_MARK.search(name)):
        return name
    authority = ADDRESS_AUTHORITY.sub(r"\1", name)
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def answered_by(value: object, at_ns: int) -> AnsweredBy | None:
    """Return who answered according to a JSON value of a response; None if it has no names."""
    parts = [part for part in _parts_of(as_object(value)) if not NAMING.isdisjoint(part)]
    usages = [usage for part in parts if (usage := as_object(part.get("usage")))]
    vendors = (_vendor_in(part) for part in parts)
    fingerprints = (_name(part.get("system_fingerprint")) for part in parts)
    tiers = (_name(part.get("service_tier")) for part in (*parts, *usages))
    found = [next(filter(None, names), None) for names in (vendors, fingerprints, tiers)]
    return AnsweredBy(at_ns, *found) if any(found) else None


def who_answered(at_ns: int, vendor: object, fingerprint: object, tier: object) -> AnsweredBy | None:
    """Return who answered, given a vendor, a fingerprint and a tier as sent; None if none of them is a name."""
    found = [_vendor(vendor), _name(fingerprint), _name(tier)]
    return AnsweredBy(at_ns, *found) if any(found) else None


def _parts_of(value: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a chunk or an event that may hold such names."""
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
    return next(filter(None, map(_vendor, names)), None)


def _name(value: object) -> str | None:
    """Return a name on one line; None if the value is not a non-empty text."""
    return " ".join(value[: LONGEST_NAME + 1].split())[:LONGEST_NAME] or None if isinstance(value, str) else None


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id under which the provider or router logs a request, else that of its delivery network."""
    return _first_header(headers, REQUEST_ID_HEADERS) or _first_header(headers, EDGE_ID_HEADERS)


def has_own_id(headers: Mapping[str, str]) -> bool:
    """Return whether headers have an id of the provider or router, and not just of its delivery network."""
    return _first_header(headers, REQUEST_ID_HEADERS) is not None


def _first_header(headers: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((value[:LONGEST_ID] for name in names if (value := headers.get(name, "").strip())), None)


def request_id_in(value: object) -> str | None:
    """Return the request's id in a JSON object, in its error, message or response; None if there is none."""
    outer = as_object(value)
    layers = (outer, *(as_object(outer.get(name)) for name in ("error", "message", "response")))
    ids = (layer.get(name) for layer in layers for name in REQUEST_ID_NAMES)
    return next((found[:LONGEST_ID] for found in ids if isinstance(found, str) and found), None)


def model_of(holder: Mapping[str, object]) -> str | None:
    """Return the model's name in a chunk, an event or a whole reply; None if it has none."""
    model = holder.get("model")
    return repair_surrogates(model)[0] if isinstance(model, str) and model else None


def origin_ns_of(holder: Mapping[str, object]) -> int | None:
    """Return when a chunk or an event was sent, by the sender's own clock in ns; None if it does not state it."""
    sent_ns = holder.get("sent_ns")
    return sent_ns if type(sent_ns) is int and abs(sent_ns) < 2**63 else None


OTHER_ROUTE = "other_route"
"""The `error_type` of a reply from another vendor than the one that is pinned."""


def check_route(fold: Fold, vendors: Sequence[str], at_ns: int) -> set[str]:
    """Add a failure if another vendor than the pinned one answered; return a flag if the vendor is unknown.

    Args:
        fold: what the attempt received; the attempt is over.
        vendors: the names of the pinned vendor, its route first; empty if none is pinned.
        at_ns: the current time.

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
