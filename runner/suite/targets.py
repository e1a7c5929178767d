"""The targets of a suite and their parameters, which are merged with the suite's defaults."""

from collections.abc import Collection, Iterator, Mapping

from pydantic import JsonValue

from runner.core.reply_limit import REPLY_LIMIT, parse_reply_limit
from runner.core.suite import Parameters, SuiteTarget, Timeouts
from runner.document import Document, Route
from runner.errors import Problem, did_you_mean
from runner.suite.fill_templates import is_template
from runner.suite.schema import DefaultsSchema, ParametersSchema, TargetSchema

RESERVED = frozenset({"messages", "model", "stream", "stream_options"})
"""Fields of a request's body that `compare` must set itself to read the reply correctly."""

_LAYERED = frozenset({"timeouts", "extra_body"})
_NOT_PARAMETERS = frozenset({"repeat", "checks", "pass_", "match", "provider", "models"})


def merge_parameters(*layers: ParametersSchema) -> Parameters:
    """Return merged parameters: values of later layers replace those of earlier ones, and `null` removes them."""
    values: dict[str, object] = {}
    timeouts: dict[str, JsonValue] = {}
    extra_body: dict[str, JsonValue] = {}
    for layer in layers:
        names = layer.model_fields_set - _LAYERED - _NOT_PARAMETERS
        values |= {name: getattr(layer, name) for name in names}
        if "timeouts" in layer.model_fields_set:
            timeouts = _merged(timeouts, layer.timeouts.model_dump(exclude_unset=True) if layer.timeouts else None)
        if "extra_body" in layer.model_fields_set:
            extra_body = _merged(extra_body, layer.extra_body)
    if "reply_limit" in values:
        written = values["reply_limit"]
        values["reply_limit"] = REPLY_LIMIT if written is None else parse_reply_limit(str(written))
    if isinstance(stop := values.get("stop", ()), str) or stop is None:
        values["stop"] = (stop,) if stop else ()
    return Parameters(
        **values,  # type: ignore[arg-type]
        timeouts=Timeouts(**{name: value for name, value in timeouts.items() if value is not None}),  # type: ignore[arg-type]
        extra_body=extra_body,
    )


def _merged(earlier: dict[str, JsonValue], later: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    return {} if later is None else {**earlier, **later}


def read_target(written: TargetSchema | str) -> TargetSchema:
    """Return a target as it is written, or the one that `provider/model` or a provider's name alone means."""
    if isinstance(written, TargetSchema):
        return written
    provider, _, model = written.partition("/")
    return TargetSchema(provider=provider, models=(model,)) if model else TargetSchema(provider=provider)


def suite_target(target: TargetSchema, defaults: DefaultsSchema) -> SuiteTarget:
    """Return a target whose parameters are merged with the suite's defaults."""
    return SuiteTarget(target.provider, target.models or (), merge_parameters(defaults, target))


def target_problems(
    targets: Mapping[Route, TargetSchema], known: Collection[str], document: Document
) -> Iterator[Problem]:
    """Yield the problems of targets that fit the schema."""
    seen: dict[tuple[str, str | None], Route] = {}
    names = {name.lower() for name in known}
    for route, target in targets.items():
        if target.provider.strip().lower() not in names:
            yield _unknown_provider(target.provider, known, document, (*route, "provider"))
        for index, model in enumerate(target.models or (None,)):
            place = (*route, "models", index) if model else route
            first = seen.setdefault((target.provider.lower(), model), place)
            if first != place:
                name = f"{target.provider}/{model}" if model else target.provider
                what = f"{name} is asked already in line {document.place(first).line}"
                yield document.problem(place, what, "Keep one, or give the provider a second id in `providers`")


def _unknown_provider(name: str, known: Collection[str], document: Document, route: Route) -> Problem:
    provider, slash, model = name.partition("/")
    near = did_you_mean(name, list(known))
    if slash and provider in known:
        hint = f"Write `provider: {provider}` and `models: [{model}]`"
    elif near:
        hint = f"Perhaps `{near}` was meant"
    else:
        hint = f"Known are {', '.join(sorted(known))}; others need a row in `providers` or compare.yaml"
    return document.problem(route, f"unknown provider `{name}`", hint)


def parameter_problems(parameters: ParametersSchema, document: Document, route: Route) -> Iterator[Problem]:
    """Yield the problems of parameters that fit the schema."""
    if is_template(parameters.system or ""):
        what = "this system message is for all cases and no template"
        yield document.problem((*route, "system"), what, "Write it without `{{`, `{%` and `{#`, or in the cases")
    for name in sorted(RESERVED & (parameters.extra_body or {}).keys()):
        what = f"`{name}` cannot be set in `extra_body`, since compare sets it itself"
        yield document.problem((*route, "extra_body", name), what, "Remove it", of_key=True)
