"""Upper bounds of a plan as a table, sentences and plain data: requests, tokens, cost and time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from runner.core.attachment_parts import format_bytes
from runner.errors import counted
from runner.outputs.text.number_format import rounded_span
from runner.outputs.text.table import TextTable
from runner.outputs.text.variants import describe_product, describe_settings
from runner.planning.forecast import Forecast, LaneForecast, TargetForecast
from runner.pricing.money import Money, add_up

NO_LIMIT = "no limit"
UNKNOWN = "unknown"
MAX_VARIANTS = 20
"""Maximum number of variants that are described one by one."""

Vary = Mapping[str, Sequence[object]]
"""Parameter -> values."""

HEADINGS = ("target", "requests", "input tokens", "output tokens", "cost at most")


def tabulate_plan(forecast: Forecast) -> TextTable:
    """Return a row of upper bounds for each target, with a column for bytes of attachments if there are any."""
    uploads = forecast.upload_bytes != 0
    headings = (*HEADINGS[:2], *(["upload"] if uploads else []), *HEADINGS[2:])
    rows = [_row(each, uploads=uploads) for each in forecast.targets]
    if forecast.judge is not None:
        rows.append(_row(forecast.judge, " (judge)", uploads=uploads))
    return TextTable(headings, tuple(rows))


def _row(each: TargetForecast, role: str = "", *, uploads: bool) -> tuple[str, ...]:
    upload = [_format_bound(each.upload_bytes, format_bytes)] if uploads else []
    tokens = (_format_bound(each.input_tokens), _format_bound(each.output_tokens))
    name = each.target + role + (" (simulated)" if each.simulated else "")
    return (name, _format_bound(each.requests), *upload, *tokens, _format_cost(each))


def _format_bound(figure: int | None, write: Callable[[int], str] = "{:,}".format) -> str:
    return NO_LIMIT if figure is None else write(figure)


def _format_cost(each: TargetForecast) -> str:
    if each.simulated:
        return "nothing"
    if each.price is None:
        return UNKNOWN
    return NO_LIMIT if each.cost is None else str(each.cost)


def describe_plan(suite: str, forecast: Forecast, vary: Vary = MappingProxyType({})) -> str:
    """Return a sentence on what would be sent; `vary` holds the values with which an option crossed all targets."""
    asked = f"{counted(forecast.cases, 'case')} with {counted(forecast.turns, 'turn')} in all"
    repeats = {None: "repeatedly until the run is stopped", 1: "once"}
    times = repeats.get(forecast.rounds, f"{forecast.rounds} times")
    nodes = f", from each of {counted(forecast.nodes, 'node')}" if forecast.nodes > 1 else ""
    in_all = "nothing limits the requests" if forecast.requests is None else counted(forecast.requests, "request")
    if forecast.max_steps > 1 and forecast.requests is not None:
        in_all = f"at most {in_all}, since a turn has up to {forecast.max_steps} steps in which tools are called"
    if forecast.is_capped:
        in_all += " in all (--requests); the rows are the most that each target gets"
    product = describe_product([each.name for each in forecast.targets], vary)
    targets = counted(len(forecast.targets), "target") + (f" ({product})" if product else "")
    judged = "" if forecast.judge is None else _describe_judge(forecast.judge)
    return f"{suite}: {asked}, asked {times}, of {targets}{nodes}: {in_all}{judged}."


def _describe_judge(judge: TargetForecast) -> str:
    requests = "as many as there are replies" if judge.requests is None else counted(judge.requests, "request")
    return f", then {requests} at most to the judge {judge.target}"


def describe_variants(forecast: Forecast) -> list[str]:
    """Return a sentence for each variant: `Variant deep: thinking: high.`. Models with the same variant share it."""
    settings: dict[tuple[str, str], None] = {}
    for each in forecast.targets:
        if each.name.variant is not None:
            settings[each.name.variant, describe_settings(each.settings)] = None
    sentences = [f"Variant {name}: {what}." for name, what in settings]
    more = len(sentences) - MAX_VARIANTS
    rest = [f"And {counted(more, 'variant')} more; --json has all."] if more > 0 else []
    return [*sentences[:MAX_VARIANTS], *rest]


def describe_bounds(forecast: Forecast) -> list[str]:
    """Return sentences on total cost, prices and duration, as far as known, and on how the bounds are computed."""
    sentences = [
        *_describe_uploads(forecast),
        *_describe_costs(forecast),
        *_describe_prices(forecast),
        *_describe_lanes(forecast.lanes),
    ]
    unlimited = [each.target for each in forecast.paid if each.reply_limit is None]
    if unlimited:
        sentences.append(f"No max_tokens is sent to {', '.join(unlimited)}: nothing but the model ends a reply.")
    thinking = [each.target for each in forecast.paid if each.thinks and not each.simulated and each.reply_limit]
    if thinking:
        sentences.append(
            f"{', '.join(thinking)} may think first, which some providers do not count against max_tokens."
        )
    sentences += _describe_sized(forecast)
    bound = "Input tokens are an upper bound, one per byte"
    if forecast.upload_bytes != 0:
        bound += " of text, and for images, pages and seconds the most that vendors document"
    return [*sentences, f"{bound}; retries are not counted."]


def _describe_uploads(forecast: Forecast) -> Iterator[str]:
    """Yield a sentence on the total size of images, files and audio in all requests, if there are any."""
    if forecast.upload_bytes:
        size = format_bytes(forecast.upload_bytes)
        yield f"Images, files and audio of all requests: {size} as they are sent (base64), repeats included."


def _describe_costs(forecast: Forecast) -> list[str]:
    if not forecast.costs:
        return []
    in_all = " + ".join(map(str, forecast.costs))
    beyond = len(forecast.unpriced) + len(forecast.unbounded)
    rest = f", plus the cost of {counted(beyond, 'target')} without a price or a limit" if beyond else ""
    convert = "; currencies are not converted" if len(forecast.costs) > 1 else ""
    return [f"Cost of all at most: {in_all}{rest}{convert}."]


def _describe_sized(forecast: Forecast) -> list[str]:
    """Return a sentence on the estimated tokens and cost of texts of a wanted size; empty if there are none."""
    found = [each.sized_tokens for each in forecast.targets]
    if not any(tokens is None or tokens for tokens in found):
        return []
    known = [tokens for tokens in found if tokens is not None]
    tokens = f"about {sum(known):,}" if len(known) == len(found) else "an unlimited number of"
    costs = add_up(each.sized_cost for each in forecast.targets if each.sized_cost is not None)
    price = f", {' + '.join(map(str, costs))} at the highest rates" if costs else ""
    how = "a small request to each target first shows how many characters its tokens have"
    return [f"Texts of a wanted size: {tokens} input tokens in all (an estimate, no bound){price}; {how}."]


def _describe_prices(forecast: Forecast) -> Iterator[str]:
    # The variants of a model have the same price.
    models = {replace(each.name, variant=None): each for each in forecast.paid}
    for name, each in models.items():
        if each.price is not None:
            ordinary, *others = each.price.rates
            rates = f"{ordinary.input.normalize():f} in, {ordinary.output.normalize():f} out"
            also = ", others for long prompts or certain hours" if others else ""
            yield f"Price of {name}: {rates} ({each.price.currency} a million{also}); {each.price.origin}."


def _describe_lanes(lanes: Sequence[LaneForecast]) -> Iterator[str]:
    """Yield a sentence for each lane with a rate limit, then one for all other lanes of the same concurrency."""
    timed = [lane for lane in lanes if lane.by_requests_s is not None or lane.by_tokens_s is not None]
    for lane in timed:
        yield f"{lane.name}: {lane.concurrency} at a time; {' and '.join(_describe_times(lane))}."
    others: dict[int | None, list[str]] = {}
    for lane in lanes:
        if lane not in timed:
            others.setdefault(lane.concurrency, []).append(lane.name)
    for concurrency, names in others.items():
        each = " each" if len(names) > 1 else ""
        yield f"{', '.join(names)}: {concurrency} at a time{each}; how long it takes depends on the replies."


def _describe_times(lane: LaneForecast) -> Iterator[str]:
    if lane.by_requests_s is not None:
        limit = f"{lane.requests_per_minute:,} requests/min" if lane.requests_per_minute else "the rate asked for"
        yield f"at least {rounded_span(lane.by_requests_s)} at {limit}"
    if lane.by_tokens_s is not None:
        yield f"up to {rounded_span(lane.by_tokens_s)} at {lane.tokens_per_minute:,} tokens/min"


def plan_document(forecast: Forecast, missing_keys: Mapping[str, str], unknown: Mapping[str, str]) -> dict[str, Any]:
    """Return the plan as plain data. Unbounded and unknown values are None, and amounts of money are text."""
    return {
        "cases": forecast.cases,
        "turns": forecast.turns,
        "max_steps": forecast.max_steps,
        "repeats": forecast.rounds,
        "nodes": forecast.nodes,
        "requests": forecast.requests,
        "upload_bytes": forecast.upload_bytes,
        "cost": {money.currency: str(money.amount) for money in forecast.costs},
        "targets": [_target_document(each, unknown) for each in forecast.targets],
        "lanes": [_lane_document(lane) for lane in forecast.lanes],
        **({} if forecast.judge is None else {"judge": _target_document(forecast.judge, unknown)}),
        "missing_keys": dict(missing_keys),
    }


def _target_document(each: TargetForecast, unknown: Mapping[str, str]) -> dict[str, Any]:
    return {
        "target": each.target,
        "variant": each.name.variant,
        "settings": dict(each.settings),
        "simulated": each.simulated,
        "requests": each.requests,
        "input_tokens": each.input_tokens,
        "output_tokens": each.output_tokens,
        "upload_bytes": each.upload_bytes,
        "max_tokens": each.reply_limit,
        "cost": _money_document(each.cost),
        "dearest_conversation": _money_document(each.dearest_conversation),
        "sized_input_tokens": each.sized_tokens,
        "sized_input_cost": _money_document(each.sized_cost),
        "price": None if each.price is None else each.price.to_plain(),
        "price_unknown": unknown.get(each.target),
    }


def _money_document(money: Money | None) -> dict[str, str] | None:
    return None if money is None else money.to_plain()


def _lane_document(lane: LaneForecast) -> dict[str, Any]:
    return {
        "lane": lane.name,
        "concurrency": lane.concurrency,
        "requests_per_minute": lane.requests_per_minute,
        "tokens_per_minute": lane.tokens_per_minute,
        "at_least_s": lane.by_requests_s,
        "at_most_s": lane.by_tokens_s,
    }
