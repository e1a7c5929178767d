"""Request templates: the part that all requests to a target share, rebuilt when the endpoint refuses a field."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.core.events import Failed, Outcome
from runner.core.suite import DEFAULT_API, Api, Timeouts
from runner.engine.refused_fields import RENAMED, find_refused_field, leave_out_refused
from runner.planning.request import Request, Target
from runner.providers.provider_row import Row
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

    row: Row
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
