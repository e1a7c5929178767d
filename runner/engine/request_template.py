"""What all requests to a target have in common, made once, and made anew when a part of it is refused."""

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
    """A request as it is before its messages are written in."""

    target: Target
    body: Mapping[str, object]
    timeouts: Timeouts
    flags: frozenset[str]


@dataclass(slots=True)
class RequestTemplates:
    """The forms of one provider's targets, and what it has refused of them."""

    row: Row
    _made: dict[str, RequestTemplate] = field(default_factory=dict)
    _unwanted: dict[str, set[str]] = field(default_factory=dict)
    """Target -> body fields it has refused, remembered so that they are refused only once."""

    def of(self, target: Target) -> RequestTemplate:
        """Return a target's form."""
        form = self._made.get(target.name)
        if form is None or form.target is not target:
            form = self._made[target.name] = self._make(target)
        return form

    def learn_refusal(self, target: Target, sent: Mapping[str, object], failed: Failed) -> bool:
        """Note a body field that the endpoint names as unwanted; True if another body would now be sent."""
        if failed.outcome is not Outcome.BAD_REQUEST:
            return False
        # Only what was sent can have been refused: some texts name the field that they would rather have.
        named = next((name for name in REFUSABLE if name in sent and name in failed.message), None)
        if named is None:
            return False
        self._unwanted.setdefault(target.name, set()).add(named)
        self._made.pop(target.name, None)
        return self.of(target).body != sent

    def _make(self, target: Target) -> RequestTemplate:
        body, notes = request_body(self.row, target.model, target.parameters)
        unwanted = self._unwanted.get(target.name, set())
        for name in unwanted & body.keys():
            renamed = RENAMED.get(name)
            if renamed in unwanted:
                continue  # neither name was to blame, but the value
            value = body.pop(name)
            if renamed is not None:
                body[renamed] = value
        timeouts = target.parameters.timeouts
        if not target.parameters.stream:
            # The first text of an unstreamed answer is all of it.
            timeouts = replace(timeouts, first_token=timeouts.total)
        flags = {"adjusted": bool(notes), "retired_model": retirement(self.row, target.model) is not None}
        return RequestTemplate(target, body, timeouts, frozenset(flag for flag, true in flags.items() if true))
