"""Request templates: shared by all requests to a target, and made again when a part of them is refused."""

from runner.core.events import Failed, Outcome
from runner.core.suite import Parameters
from runner.engine.request_template import RequestTemplates
from runner.planning.plan import Target
from runner.providers.row import Row


def test_template_is_made_once_and_again_after_a_refusal() -> None:
    """All requests to a target share a body until a part of it is refused."""
    templates = RequestTemplates(Row.model_validate({"keyless": True}))
    target = Target("one", "m", Parameters(max_tokens=9))
    template = templates.for_target(target)
    assert templates.for_target(target) is template
    assert not templates.learn_refusal(target, template.body, Failed(0, Outcome.BAD_REQUEST, "temperature too high"))
    assert templates.for_target(target) is template
    assert templates.learn_refusal(target, template.body, Failed(0, Outcome.BAD_REQUEST, "stream_options: unknown"))
    assert "stream_options" in template.body
    assert "stream_options" not in templates.for_target(target).body
    other = Target("one", "m", Parameters(max_tokens=10))
    assert templates.for_target(other).body["max_tokens"] == 10
