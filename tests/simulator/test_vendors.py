"""Simulated routers: models that answer under several vendors, fingerprints and tiers."""

import json

import pytest

from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.model_names import parse_model
from runner.simulator.persona import PERSONAS
from runner.simulator.request_handler import RequestHandler
from runner.simulator.response_steps import Response
from runner.simulator.vendors import AnswererRotation, Vendor


def respond(**fields: object) -> Response:
    """Return the simulator's response to a question."""
    body = json.dumps({"messages": [{"role": "user", "content": "?"}], **fields}).encode()
    return RequestHandler().respond(
        HttpRequest("POST", "/v1/chat/completions", {}, body, keep_alive=True, chunked_allowed=True), 0
    )


def test_vendors_answer_the_same_question_in_turns() -> None:
    """Each of them answers equally often, in any order of questions."""
    answerers = parse_model("sim/quick?served_by=alpha,beta&fingerprint=x,y,z").answerers
    found = [answerers.choose("Who?", nth) for nth in range(1, 7)]
    assert sorted(each.vendor.name or "" for each in found) == ["alpha"] * 3 + ["beta"] * 3
    assert sorted(each.fingerprint or "" for each in found) == ["x", "x", "y", "y", "z", "z"]


def test_a_vendor_begins_after_a_multiple_of_the_time() -> None:
    """The first text of `beta*3` takes three times as long as the persona's."""
    (slow,) = parse_model("sim/quick?served_by=beta*3").answerers.vendors
    assert slow == Vendor("beta", 3.0)
    assert slow.at_its_pace(PERSONAS["quick"]).first.median_ns == 3 * PERSONAS["quick"].first.median_ns


def test_a_request_may_allow_some_vendors_only() -> None:
    """`provider.only` works as at OpenRouter; the answer is an error if none of these vendors exists."""
    answerers = AnswererRotation((Vendor("Alpha"), Vendor("beta")))
    assert {answerers.choose("?", nth, ("alpha",)).vendor.name for nth in range(5)} == {"Alpha"}
    with pytest.raises(RequestError) as refused:
        answerers.choose("?", 1, ("gamma",))
    assert refused.value.status == 404


def test_a_chunk_names_who_answered() -> None:
    """The members are those of OpenRouter and OpenAI."""
    response = respond(model="sim/exact?tokens=1&served_by=alpha&tier=flex")
    (step,) = response.steps
    body = json.loads(step.head + b"0" + (step.tail or b""))
    assert (body["provider"], body["system_fingerprint"], body["service_tier"]) == ("alpha", "simulated", "flex")


@pytest.mark.parametrize("provider", ["alpha", {"only": "alpha"}, {"only": [1]}, 7])
def test_a_wrong_provider_field_is_refused(provider: object) -> None:
    """The message says which values are allowed."""
    assert respond(model="sim/quick", provider=provider).status == 400
