"""Request templates: what all requests to a target share, made once, and made again when a part of it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.core.events import Failed, Outcome
from runner.core.suite import Timeouts
from runner.planning.plan import Target
from runner.providers.request_body import request_body, retirement
from runner.providers.row import Row

REFUSABLE = ("stream_options", "max_completion_tokens", "max_tokens")
"""Fields of a body that some endpoints refuse by name, and can do without."""

RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A request without its messages."""

    target: Target
    body: Mapping[str, object]
    timeouts: Timeouts
    flags: frozenset[str]


@dataclass(slots=True)
class RequestTemplates:
    """The templates of one provider's targets, without the fields that it has refused."""

    row: Row
    _made: dict[str, RequestTemplate] = field(default_factory=dict)
    _refused: dict[str, set[str]] = field(default_factory=dict)
    """Target -> body fields it has refused, so that each is refused only once."""

    def for_target(self, target: Target) -> RequestTemplate:
        """Return a target's template."""
        template = self._made.get(target.name)
        if template is None or template.target is not target:
            template = self._made[target.name] = self._make(target)
        return template

    def learn_refusal(self, target: Target, sent: Mapping[str, object], failed: Failed) -> bool:
        """Remember a body field that the endpoint refuses by name; return whether the template has changed by that."""
        if failed.outcome is not Outcome.BAD_REQUEST:
            return False
        # Only what was sent can have been refused: some messages name the field that is to be sent instead.
        named = next((name for name in REFUSABLE if name in sent and name in failed.message), None)
        if named is None:
            return False
        self._refused.setdefault(target.name, set()).add(named)
        self._made.pop(target.name, None)
        return self.for_target(target).body != sent

    def _make(self, target: Target) -> RequestTemplate:
        body, notes = request_body(self.row, target.model, target.parameters)
        refused = self._refused.get(target.name, set())
        for name in refused & body.keys():
            renamed = RENAMED.get(name)
            if renamed in refused:
                continue  # both names were refused, so the value was meant
            value = body.pop(name)
            if renamed is not None:
                body[renamed] = value
        timeouts = target.parameters.timeouts
        if not target.parameters.stream:
            # The first text of a non-streamed response is all of it.
            timeouts = replace(timeouts, first_token=timeouts.total)
        flags = {"adjusted": bool(notes), "retired_model": retirement(self.row, target.model) is not None}
        return RequestTemplate(target, body, timeouts, frozenset(flag for flag, true in flags.items() if true))
