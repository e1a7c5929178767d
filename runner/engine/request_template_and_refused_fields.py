"""Request templates: the part that all requests to a target share, rebuilt when the endpoint refuses a field.

Some endpoints refuse a body field by its name, such as `max_tokens`. Then it is renamed or left out from now on.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from runner.core.events import Failed, Outcome
from runner.core.suite import DEFAULT_API, Api, Timeouts
from runner.planning.request import Request, Target
from runner.providers.provider_row import ProviderRow
from runner.providers.request_body import api_of, request_body, retirement


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A request without its messages."""

    target: Target
    api: Api
    body: Mapping[str, object]
    timeouts: Timeouts
    flags: frozenset[str]
    model: str
    """The model's name in requests."""
    vendors: tuple[str, ...] = ()
    """Names of the only vendor that may answer; empty if any may."""


@dataclass(slots=True)
class RequestTemplates:
    """The templates of one provider's targets, without the fields that it has refused."""

    row: ProviderRow
    _made: dict[str, RequestTemplate] = field(default_factory=dict)
    _refused: dict[str, set[str]] = field(default_factory=dict)
    """Target -> body fields that it has refused and that are not sent again."""

    def for_request(self, request: Request) -> RequestTemplate:
        """Return the template of a request: its target's, unless its case has parameters of its own."""
        if not request.case.overrides:
            return self.for_target(request.target)
        return self._make(replace(request.target, parameters=request.parameters))

    def for_target(self, target: Target) -> RequestTemplate:
        """Return a target's template."""
        template = self._made.get(target.name)
        if template is None or template.target is not target:
            template = self._made[target.name] = self._make(target)
        return template

    def learn_refusal(self, request: Request, sent: Mapping[str, object], failed: Failed) -> bool:
        """Record a body field that the endpoint refuses by name; return whether this changes the template."""
        target = request.target
        if failed.outcome is not Outcome.BAD_REQUEST or api_of(self.row, target.parameters) != DEFAULT_API:
            return False  # the other dialects have one name for each field
        refused = self._refused.setdefault(target.name, set())
        named = find_refused_field(sent, failed.message, failed.code)
        if named is None or RENAMED.get(named) in refused:
            return False  # if both names are refused, the value is meant
        refused.add(named)
        self._made.pop(target.name, None)
        return self.for_request(request).body != sent

    def _make(self, target: Target) -> RequestTemplate:
        api = api_of(self.row, target.parameters)
        body, notes = request_body(self.row, target.model, target.parameters)
        if target.names_variant:  # a replay finds its replies by the target's name
            body["model"] = target.model_sent
        refused = self._refused.get(target.name, set())
        is_adjusted = bool(notes) or bool(refused & body.keys())
        leave_out_refused(body, refused)
        timeouts = target.parameters.timeouts
        if not target.parameters.stream:
            # The first text of a non-streamed response is all of it.
            timeouts = replace(timeouts, first_token=timeouts.total)
        flags = {"adjusted": is_adjusted, "retired_model": retirement(self.row, target.model) is not None}
        raised = frozenset(flag for flag, true in flags.items() if true)
        return RequestTemplate(target, api, body, timeouts, raised, str(body["model"]), self._vendors(target))

    def _vendors(self, target: Target) -> tuple[str, ...]:
        route = target.parameters.route
        names = self.row.route.names if self.row.route else {}
        return () if route is None else (route, *names.get(route, ()))


REFUSABLE = ("stream_options", "max_completion_tokens", "max_tokens")
"""Body fields that some endpoints refuse by name, and that can be left out or renamed."""

RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


VALUE_CODES = re.compile(r"value|integer_(above|below)|out_of_range|too_large|string_above", re.IGNORECASE)
NAME_CODES = re.compile(
    r"(unsupported|unknown|unrecognized|extra)_?(parameter|field|argument|key)s?$|extra_forbidden", re.IGNORECASE
)
OF_VALUE = re.compile(
    r"""\bvalues?\b|\brange\b|too[ ](large|big|high|small|low)|at[ ](most|least)|up[ ]to[ ]\d|between|positive
    |(less|greater|larger|smaller|more)[ ]than|(must|should)[ ]be|\bexceed|\bmaximum|\bminimum|budget
    |not[ ]an?[ ]integer|valid[ ]integer|\bcontext\b|<=|>=|[<>]|超出|超过|范围|不能大于|不能小于|取值|最大|最小""",
    re.VERBOSE | re.IGNORECASE,
)
OF_NAME = re.compile(
    r"""unsupported[ ]param|not[ ]supported|unsupported|does(n't|[ ]not)[ ]support|unrecogni[sz]ed|not[ ]recogni[sz]ed
    |unknown|unexpected|extra[ ](inputs?|fields?)|not[ ](permitted|allowed)|additional[ ]propert|no[ ]such
    |cannot[ ]find[ ]field|not[ ]a[ ]valid[ ]param|deprecated|instead|invalid[ ](parameter|field|argument|key)s?\b
    |不支持|未知参数|无效参数""",
    re.VERBOSE | re.IGNORECASE,
)


def refuses_name(name: str, message: str, code: str | None = None) -> bool:
    """Return whether an error refuses a field by its name, and not the value that was sent in it.

    `Use 'max_completion_tokens' instead` is about the name, `the valid range of max_tokens is [1, 8192]` about the
    value. An ambiguous error does not count as a refusal of the name, since the request would be changed and sent
    again.
    """
    if VALUE_CODES.search(code or ""):
        return False
    if NAME_CODES.search(code or ""):
        return True
    other = RENAMED.get(name)
    points_to_other = other is not None and re.search(
        rf"\b(use|try)\b[^.]{{0,20}}\b{other}\b|{other}\W+instead", message
    )
    if points_to_other:
        return True
    return OF_NAME.search(message) is not None and OF_VALUE.search(message) is None


def find_refused_field(sent: Mapping[str, object], message: str, code: str | None) -> str | None:
    """Return the field of a sent body that an error refuses by its name; None if it refuses none.

    Only a field that was sent can have been refused: some messages also name the one to send instead.
    """
    named = next((name for name in REFUSABLE if name in sent and name in message), None)
    if named in RENAMED and not refuses_name(named, message, code):
        return None
    return named


def leave_out_refused(body: dict[str, object], refused: Collection[str]) -> None:
    """Remove refused fields from a body, or rename those that have another name, unless that was refused, too."""
    for name in sorted(body.keys() & set(refused)):
        renamed = RENAMED.get(name)
        if renamed in refused:
            continue  # both names were refused, so the value was meant
        value = body.pop(name)
        if renamed is not None:
            body[renamed] = value
