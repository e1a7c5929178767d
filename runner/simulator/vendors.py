"""The vendors, fingerprints and service tiers that a model's replies name, as behind a router. Performs no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from zlib import crc32

from runner.simulator.http_request import RequestError
from runner.simulator.persona import Delay, Persona

NAME_OPTIONS = ("served_by", "fingerprint", "tier")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,39}")
VENDOR = re.compile(rf"(?P<name>{NAME.pattern}?)(?:\*(?P<times>[0-9]{{1,3}}(?:\.[0-9]{{1,3}})?))?")
MAX_NAMES = 20


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor; its first text takes `times` as long as the persona's."""

    name: str | None = None
    times: float = 1.0

    def at_its_pace(self, persona: Persona) -> Persona:
        """Return a persona with this vendor's delay of the first text."""
        if self.times == 1.0:
            return persona
        return replace(persona, first=Delay(int(persona.first.median_ns * self.times), persona.first.sigma))


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers one request; a member is None if the reply does not name it."""

    vendor: Vendor = field(default_factory=Vendor)
    fingerprint: str | None = None
    tier: str | None = None

    @property
    def names(self) -> dict[str, str]:
        """The members of a chat completion's chunk that name it; a fingerprint is always present."""
        return {"system_fingerprint": "simulated"} | self.given_names

    @property
    def given_names(self) -> dict[str, str]:
        """The members of a reply that name it, as far as the model's name sets them."""
        named = {"provider": self.vendor.name, "system_fingerprint": self.fingerprint, "service_tier": self.tier}
        return {member: name for member, name in named.items() if name}


@dataclass(frozen=True, slots=True)
class AnswererRotation:
    """The vendors, fingerprints and tiers that answer the requests to a model in turn."""

    vendors: tuple[Vendor, ...] = ()
    fingerprints: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there is more than one of any of them."""
        return max(map(len, (self.vendors, self.fingerprints, self.tiers))) > 1

    def choose(self, question: str, nth: int, only: tuple[str, ...] = ()) -> Answerer:
        """Return who answers the n-th request with this content, among the vendors that the request allows.

        Raises:
            RequestError: 404 if no allowed vendor is among them.

        """
        allowed = [vendor for vendor in self.vendors if not only or (vendor.name or "").lower() in only]
        if self.vendors and not allowed:
            raise RequestError(404, f"No vendor of {', '.join(only)} answers here.", code="no_allowed_provider")
        turn = crc32(question.encode()) + nth
        return Answerer(
            allowed[turn % len(allowed)] if allowed else Vendor(),
            self.fingerprints[turn % len(self.fingerprints)] if self.fingerprints else None,
            self.tiers[turn % len(self.tiers)] if self.tiers else None,
        )


def parse_answerers(options: Mapping[str, str]) -> AnswererRotation:
    """Parse a model's options `served_by=a,b*3`, `fingerprint=x,y` and `tier=default`.

    Raises:
        RequestError: 400 for an invalid name, or for too many names.

    """
    vendors = []
    for text in _names(options, "served_by"):
        found = VENDOR.fullmatch(text)
        if found is None or float(found["times"] or 1) <= 0:
            raise _refuse("served_by", text, "a vendor's name, or name*3 for one that begins after three times as long")
        vendors.append(Vendor(found["name"], float(found["times"] or 1)))
    for key in ("fingerprint", "tier"):
        for text in _names(options, key):
            if NAME.fullmatch(text) is None:
                raise _refuse(key, text, "a name of letters, digits, dots, dashes and underscores")
    return AnswererRotation(tuple(vendors), _names(options, "fingerprint"), _names(options, "tier"))


def _names(options: Mapping[str, str], key: str) -> tuple[str, ...]:
    names = tuple(options[key].split(",")) if key in options else ()
    if len(names) > MAX_NAMES:
        raise _refuse(key, options[key], f"a list of at most {MAX_NAMES} names")
    return names


def _refuse(key: str, value: str, wanted: str) -> RequestError:
    sentence = f"In the model's option '{key}', '{value}' is not {wanted}."
    return RequestError(400, sentence, code="invalid_model_option", param="model")
