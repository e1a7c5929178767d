"""Plans in which models call tools: upper bounds of requests and tokens, what records settle, notes, stop rules."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from runner.commands.run.options import spell_option
from runner.commands.run.stop_rules import stop_rule
from runner.core.conversation_state import CompletedRequestCount, EarlierReply, earlier_reply
from runner.core.events import TIMED, Outcome
from runner.core.record import Record
from runner.core.record_fields import Timestamps
from runner.core.suite import Case, Parameters, ToolDefinition
from runner.core.token_estimate import MIN_TOKENS_OF_CALL
from runner.core.tool_call import ToolCall
from runner.planning.forecast import forecast_plan
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.pricing.money import Money
from runner.pricing.rates import Price, Rates
from runner.providers.provider_row import ProviderRow
from runner.providers.tool_fields import tool_text
from tests.support.plans import first_requests

LIMIT = 40
MAX_CALLS = LIMIT // MIN_TOKENS_OF_CALL
TOOL = ToolDefinition("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
CALLS = st.lists(st.sampled_from(["get_weather", "get_time"]), max_size=MAX_CALLS).map(
    lambda names: tuple(ToolCall(name, "{}") for name in names)
)
CASES = st.builds(
    lambda turns, result, most: Case(
        "c", ("Paris?",) * turns, tool_results={"get_weather": result}, max_steps=most, overrides={"tools": (TOOL,)}
    ),
    st.integers(1, 3),
    st.text(max_size=20),
    st.integers(1, 4),
)


def plan_of(*cases: Case) -> Plan:
    """Return a plan with one target and one round."""
    return Plan(cases, (Target("p", "m", Parameters(max_tokens=LIMIT)),))


def size_of(request: Request) -> int:
    """Return the bytes of all that a request sends: messages, calls and tools."""
    messages = request.messages("salt")
    texts = [message.content for message in messages]
    texts += [call.name + call.arguments + (call.id or "") for message in messages for call in message.calls]
    return sum(len(text.encode(errors="surrogatepass")) for text in [*texts, *map(tool_text, request.parameters.tools)])


@given(CASES, st.data())
def test_a_forecast_bounds_every_conversation(case: Case, data: st.DataObject) -> None:
    """For any calls of the model, neither the requests nor the bytes sent exceed the forecast."""
    plan = plan_of(case)
    (bound,) = forecast_plan(plan, {"p": ProviderRow(keyless=True)}, {}).targets
    request: Request | None = next(first_requests(plan))
    requests = sent = 0
    while request is not None:
        requests, sent = requests + 1, sent + size_of(request)
        calls = data.draw(CALLS)
        # The text of the reply and its calls together have LIMIT tokens.
        request = request.next_request(EarlierReply("x" * (LIMIT - MIN_TOKENS_OF_CALL * len(calls)), calls=calls))
    assert bound.requests == plan.requests == case.steps.most
    assert requests <= case.steps.most
    assert bound.input_tokens is not None
    assert sent <= bound.input_tokens


@given(CASES, st.lists(st.tuples(CALLS, st.sampled_from([Outcome.OK, Outcome.TIMEOUT])), min_size=15, max_size=15))
def test_the_rows_of_a_conversation_complete_its_planned_requests(
    case: Case, replies: Sequence[tuple[tuple[ToolCall, ...], Outcome]]
) -> None:
    """Rounds and progress end correctly, even if few steps were needed."""
    plan = plan_of(case)
    settled, total = CompletedRequestCount(plan.cases), 0
    request: Request | None = next(first_requests(plan))
    for calls, outcome in replies:
        if request is None:
            break
        record = Record(request.identity(), Timestamps(), outcome, reply="", calls=calls)
        total += settled.of(record)
        if outcome not in TIMED:
            total += sum(settled.of(later.skipped(request.turn)) for later in request.later_turns())
            break
        request = request.next_request(earlier_reply(record))
    assert total == plan.requests


def test_a_budget_knows_when_a_conversation_with_steps_is_over() -> None:
    """A conversation that ended in its first step is no longer in flight."""
    case = Case("c", ("Paris?",), tool_results={"get_weather": "x"}, max_steps=3)
    plan = Plan((case,), (Target("p", "m", Parameters(max_tokens=100)),), repeat=9)
    price = Price("USD", (Rates(Decimal(0), Decimal(10_000)),), "test")
    forecast = forecast_plan(plan, {"p": ProviderRow(keyless=True)}, {"p/m": price})
    rule = stop_rule(plan, forecast, budgets=[Money(Decimal(4), "USD")], spell=spell_option)
    assert rule is not None
    assert rule() is None
    assert rule() is not None, "two conversations may take six dollars"
    opening = next(first_requests(plan))
    rule.finished(Record(opening.identity(), Timestamps(), Outcome.OK, reply="", input_tokens=1, output_tokens=100))
    assert rule() is None, "three dollars are left"
