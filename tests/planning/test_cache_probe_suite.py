"""Requests for prefix caches: sized inputs, warming requests, cache probes, and their forecast."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.attachment_parts import Attachment
from runner.core.conversation_state import EarlierReply
from runner.core.sized_input import InputProbe, SizedInput
from runner.core.suite import Case, Message, Parameters, Suite, ToolDefinition
from runner.core.token_estimate import likely_attachment_tokens, most_attachment_tokens
from runner.core.tool_call import ToolCall
from runner.planning.cache_probe_suite import describe_pauses, describe_short, probe_caches
from runner.planning.forecast import forecast_plan
from runner.planning.plan import (
    BRIEF_TOKENS,
    Plan,
    cache_warming_cases,
    cache_warming_request,
    probe_requests,
    with_short_replies,
)
from runner.planning.request import Request, Target
from runner.pricing.rates import Price, Rates
from runner.providers.provider_row import ProviderRow
from runner.providers.tool_fields import tool_text

BOOK = SizedInput.of(500, "It was a dark night. " * 40, "book.txt")
LARGE = SizedInput.of(2_000, BOOK.whole_text, "book.txt")
SIZED = Case("sized", ("Who?", "Why?"), input=BOOK, system="Be brief.")
PLAIN = Case("plain", ("Who?",))
KNOWN = InputProbe(8_000, 2_000)


def target(model: str = "m", **parameters: Any) -> Target:
    """Return a target with these parameters."""
    return Target("p", model, Parameters(**parameters))


def opening(case: Case, repeat: int = 1, **parameters: Any) -> Request:
    """Return the first request of a case."""
    return Request(target(**parameters), case, repeat, repeat)


def texts(request: Request, salt: str = "s", probe: InputProbe | None = KNOWN) -> list[str]:
    """Return the texts of a request's messages."""
    return [message.content for message in request.messages(salt, probe)]


# Sized inputs


def test_a_text_stands_before_the_first_prompt_and_fills_the_request() -> None:
    """With four characters in each token, all texts of the request have the requested tokens together."""
    system, asked = texts(opening(SIZED, prefix="> "))
    assert asked.startswith("> It was a dark night. ")
    assert asked.endswith("\n\nWho?")
    assert len(system) + len(asked) == 4 * 500


def test_tools_calls_and_files_leave_less_room_for_the_text() -> None:
    """The requested size is that of the whole request; the tokens of files are an estimate."""
    said = Message("assistant", "", calls=(ToolCall("get_weather", '{"city": "Oslo"}', "c1"),))
    history = (Message("user", "Warm?"), said, Message("tool", "18 degrees", call_id="c1"))
    short = replace(TOOL, description="The weather.")
    case = replace(SIZED, history=history, overrides={"tools": (short,), "response_format": {"type": "json_object"}})
    beside = [tool_text(short), json.dumps({"type": "json_object"}), "get_weather", '{"city": "Oslo"}']
    assert sum(map(len, [*texts(opening(case)), *beside])) == 4 * 500
    seen = replace(SIZED, turns=("[image]Who?",), parts=((IMAGE, "Who?"),))
    (_, message) = opening(seen).messages("s", KNOWN)
    of_texts = sum(len(part) for part in message.parts if isinstance(part, str)) / 4
    assert abs(of_texts + likely_attachment_tokens(IMAGE) - 500) < 20


def test_a_later_turn_sends_the_same_text_again() -> None:
    """The history contains the text, so that a cache can match it."""
    first = opening(SIZED)
    second = first.next_request(EarlierReply("A raven."))
    assert second is not None
    assert texts(second) == [*texts(first), "A raven.", "Why?"]


def test_the_key_has_size_and_text_and_not_the_cut() -> None:
    """The result of a probe changes no key, and a case without an input keeps its key."""
    keys = {
        opening(replace(SIZED, input=sized)).key
        for sized in (None, BOOK, LARGE, SizedInput.of(500, "Another.", "book.txt"))
    }
    assert len(keys) == 4
    assert opening(SIZED).key == opening(replace(SIZED, input=replace(BOOK, text_name="copy.txt"))).key
    assert opening(PLAIN).key == "25d3332afb47d03f"


def test_results_show_the_texts_name_and_size() -> None:
    """They replace the text, before the prompt or alone; a later turn has only its prompt."""
    second = opening(SIZED).next_request(EarlierReply("A raven."))
    assert second is not None
    assert [each.identity().prompt for each in (opening(SIZED), second)] == ["[book.txt, 500 tokens]\n\nWho?", "Why?"]
    assert opening(Case("alone", ("",), input=BOOK)).identity().prompt == "[book.txt, 500 tokens]"
    (probed,) = probe_caches(Suite("s", (SIZED,), "d"), [0.0, 0.0]).cases
    again = opening(probed).next_request(EarlierReply("A raven."))
    assert again is not None
    assert again.identity().prompt == opening(probed).identity().prompt == opening(SIZED).identity().prompt


def test_each_target_is_probed_once_for_each_text() -> None:
    """The probe is a warm-up with a short reply, which sends excerpts of the largest size."""
    plan = Plan((SIZED, replace(SIZED, id="large", input=LARGE), PLAIN), (target(), target("n")))
    probes = list(probe_requests(plan, "p"))
    assert [(digest, request.target.name, request.case.id) for digest, request in probes] == [
        (BOOK.sha256, "p/m", "large"),
        (BOOK.sha256, "p/n", "large"),
    ]
    assert all(request.warmup and request.target.parameters.max_tokens == BRIEF_TOKENS for _, request in probes)
    assert LARGE.excerpts in texts(probes[0][1])[-1]
    assert not texts(probes[0][1])[-1].startswith(BOOK.whole_text[:5])


# Warm caches


def test_a_warming_request_sends_the_prefix_of_the_conversation() -> None:
    """It is byte for byte the prefix that will be sent again, under its own key."""
    first = opening(SIZED, cache="warm", max_tokens=900)
    warming = cache_warming_request(first)
    assert texts(warming) == texts(first)
    assert warming.warmup
    assert warming.target.parameters.max_tokens == BRIEF_TOKENS
    assert len({warming.key, first.key, opening(SIZED, repeat=2, cache="warm", max_tokens=900).key}) == 3


def test_cases_that_begin_alike_are_warmed_once() -> None:
    """Names and later turns do not matter."""
    cases = (SIZED, replace(SIZED, id="same", turns=("Who?",)), replace(SIZED, id="other", turns=("How?",)), PLAIN)
    warm, plan = target(cache="warm"), Plan(cases, (target(),))
    assert len(cache_warming_cases(plan, warm)) == 3
    assert cache_warming_cases(plan, target()) == []


@pytest.mark.parametrize("parameters", [{"thinking": "high"}, {"extra_body": {"thinking": {"budget_tokens": 2000}}}])
def test_the_limit_of_a_target_that_thinks_stays(parameters: dict[str, Any]) -> None:
    """Some providers refuse a limit below the tokens of thinking."""
    thinking = target(max_tokens=4_000, **parameters)
    assert with_short_replies(thinking) == thinking


# Cache probes

IDLE_S = st.lists(st.sampled_from([0.0, 1.0, 60.0]), min_size=1, max_size=4)


@given(IDLE_S, st.integers(1, 5), st.text(max_size=5))
def test_all_turns_of_a_series_send_the_same_and_no_two_series_do(
    idle_s: Sequence[float], repeat: int, salt: str
) -> None:
    """Each case, round and run has its own nonce."""
    suite = probe_caches(Suite("s", (SIZED, PLAIN), "d"), [0.0, *idle_s])
    firsts = []
    for case in suite.cases:
        request: Request | None = opening(case, repeat)
        sent = []
        while request is not None:
            sent.append(request.messages(salt, KNOWN))
            request = request.next_request(EarlierReply("Well."))
        assert len(sent) == len(idle_s) + 1
        assert len(set(sent)) == 1
        firsts += [
            sent[0],
            opening(case, repeat + 1).messages(salt, KNOWN),
            opening(case, repeat).messages(f"{salt}/", KNOWN),
        ]
    assert len({messages[0].content[:15] for messages in firsts}) == len(firsts)


def test_a_probe_is_no_run_of_its_suite() -> None:
    """It has its own digest and keys, because a history must not compare the two."""
    suite = Suite("s", (PLAIN,), "d")
    probes = [probe_caches(suite, idle_s) for idle_s in ([0.0, 0.0], [0.0, 0.0, 60.0])]
    assert len({suite.digest, *(each.digest for each in probes)}) == 3
    keys = {opening(each.cases[0]).key for each in (suite, *probes)}
    assert len(keys) == 3


def test_a_history_is_before_the_text() -> None:
    """It counts towards the size, and a probe sends it, too."""
    case = replace(SIZED, history=(Message("user", "Hello"), Message("assistant", "Yes?")))
    (probed,) = probe_caches(Suite("s", (case,), "d"), [0.0, 0.0]).cases
    assert len("".join(texts(opening(case)))) == 4 * 500
    assert [message.role for message in opening(probed).messages("s")] == ["system", "user", "assistant", "user"]


def test_notes_name_pauses_and_cases_that_are_too_short() -> None:
    """Most providers would not cache them."""
    assert describe_pauses([0, 0, 60, 300]).endswith("after pauses, 6 min in all")
    assert describe_pauses([0, 0, 0.5, 90]).endswith("after pauses, 1 min 30.5 s in all")
    short = describe_short(Suite("s", (PLAIN, replace(SIZED, id="large", input=LARGE)), "d"))
    assert short is not None
    assert "plain (about 1 token)" in short
    assert "large" not in short
    assert describe_short(Suite("s", (replace(SIZED, input=LARGE),), "d")) is None


# Forecasts


def test_a_forecast_counts_what_is_sent_beside_the_plan() -> None:
    """There is a probe for each text and a request for each prefix; sizes are an estimate beside the bound."""
    row = ProviderRow.model_validate({"base_url": "http://127.0.0.1/v1"})
    plan = Plan((SIZED, PLAIN), (target(cache="warm", max_tokens=10),), repeat=3)
    (found,) = forecast_plan(plan, {"p": row}, {}).targets
    assert found.warmups == 3
    assert found.requests == 3 * 3 + 3
    assert found.sized_tokens == 3 * 2 * 500
    assert found.input_tokens is not None
    assert found.input_tokens > 3 * 2 * BOOK.most_bytes


def test_a_forecast_of_a_probe_sends_one_request_again_and_again() -> None:
    """Earlier replies are not part of the repeated request."""
    row = ProviderRow.model_validate({"base_url": "http://127.0.0.1/v1"})
    suite = probe_caches(Suite("s", (PLAIN,), "d"), [0.0, 0.0, 60.0])
    once, thrice = (
        forecast_plan(Plan(cases, (target(),)), {"p": row}, {}).targets[0].input_tokens
        for cases in ((PLAIN,), suite.cases)
    )
    assert once is not None
    assert thrice == 3 * once


IMAGE = Attachment("image", "a.png", digest="d", media_type="image/png", size=3_000, width=480, height=320)
SEEN = Case("seen", ("[image a.png]\nWhat?", "And?"), parts=((IMAGE, "What?"), ()))
TOOL = ToolDefinition("get_weather", description="The weather in a city. " * 300)
CALLING = Case("calling", ("Warm?",), tool_results={"get_weather": "18"}, max_steps=5)


def test_files_that_warm_a_cache_are_counted() -> None:
    """Their bytes are sent once more, and their tokens are in the bound."""
    row = ProviderRow.model_validate({"base_url": "http://127.0.0.1/v1"})
    cold, warm = forecast_plan(
        Plan((SEEN,), (target("a", max_tokens=9), target("b", cache="warm", max_tokens=9))), {"p": row}, {}
    ).targets
    assert (cold.upload_bytes, warm.upload_bytes) == (2 * IMAGE.upload_bytes, 3 * IMAGE.upload_bytes)
    assert cold.input_tokens is not None
    assert warm.input_tokens is not None
    assert warm.input_tokens - cold.input_tokens > most_attachment_tokens(IMAGE)  # type: ignore[operator]


def test_a_probe_repeats_a_request_with_files() -> None:
    """Each repetition sends the files of the first turn once, and the forecast counts them."""
    row = ProviderRow.model_validate({"base_url": "http://127.0.0.1/v1"})
    suite = probe_caches(Suite("s", (SEEN,), "d"), [0.0, 0.0, 60.0])
    request = Request(target(), suite.cases[0], 1, 1)
    keys, sent = [], []
    for _ in range(3):
        keys.append(request.key)
        sent.append(request.messages("salt"))
        request = request.next_request(EarlierReply("It rises.")) or request
    assert len(set(keys)) == 3
    assert sent[0] == sent[1] == sent[2]
    (found,) = forecast_plan(Plan(suite.cases, (target(),)), {"p": row}, {}).targets
    assert found.upload_bytes == 3 * IMAGE.upload_bytes


def test_a_probe_sends_no_results_of_tools() -> None:
    """After a reply that calls a tool comes the next repetition, under its number."""
    suite = probe_caches(Suite("s", (CALLING,), "d"), [0.0, 0.0, 60.0])
    first = Request(target(), suite.cases[0], 1, 1)
    second = first.next_request(EarlierReply("", calls=(ToolCall("get_weather", "{}", "c1"),)))
    assert second is not None
    assert (second.turn, second.prompt) == (2, "Warm?")
    assert second.messages("salt") == first.messages("salt")
    assert second.earlier_calls == ()  # checks apply to it
    assert Plan(suite.cases, (target(),)).requests == 3


def test_tools_and_files_count_towards_the_prefix() -> None:
    """The warning of short prefixes includes them."""
    tools = Parameters(tools=(TOOL,))
    assert describe_short(Suite("s", (CALLING,), "d", parameters=tools)) is None
    large = replace(IMAGE, width=2_000, height=1_000)
    assert describe_short(Suite("s", (replace(SEEN, parts=((large,), ())),), "d")) is None


def test_a_budget_allows_for_the_request_that_warms_a_cache() -> None:
    """It is sent directly before the conversation."""
    row = ProviderRow.model_validate({"base_url": "http://127.0.0.1/v1"})
    price = Price("USD", (Rates(Decimal(1), Decimal(0)),), "the page", "2026-11-20")
    targets = target("a", max_tokens=9), target("b", cache="warm", max_tokens=9)
    cold, warm = forecast_plan(Plan((PLAIN,), targets), {"p": row}, {"p/a": price, "p/b": price}).targets
    assert cold.dearest_conversation is not None
    assert warm.dearest_conversation is not None
    assert warm.dearest_conversation.amount == 2 * cold.dearest_conversation.amount
