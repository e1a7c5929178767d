"""A suite's targets and their parameters: what a target writes is laid over the suite's defaults."""

from collections.abc import Collection, Iterator, Mapping

from pydantic import JsonValue

from runner.core.suite import Parameters, SuiteTarget, Timeouts
from runner.document import Document, Route
from runner.errors import Problem, did_you_mean
from runner.suite.schema import WrittenDefaults, WrittenParameters, WrittenTarget
from runner.suite.texts import is_template

RESERVED = frozenset({"messages", "model", "stream", "stream_options"})
"""Fields of a request's body that `compare` itself must own to hear the reply right."""

_LAYERED = frozenset({"timeouts", "extra_body"})
_NOT_PARAMETERS = frozenset({"repeat", "checks", "pass_", "match", "provider", "models"})


def lay_over(*layers: WrittenParameters) -> Parameters:
    """Return parameters of which later layers replace what earlier ones say; `null` takes it back."""
    written: dict[str, object] = {}
    timeouts: dict[str, JsonValue] = {}
    extra_body: dict[str, JsonValue] = {}
    for layer in layers:
        names = layer.model_fields_set - _LAYERED - _NOT_PARAMETERS
        written |= {name: getattr(layer, name) for name in names}
        if "timeouts" in layer.model_fields_set:
            timeouts = _layered(timeouts, layer.timeouts.model_dump(exclude_unset=True) if layer.timeouts else None)
        if "extra_body" in layer.model_fields_set:
            extra_body = _layered(extra_body, layer.extra_body)
    if isinstance(stop := written.get("stop", ()), str) or stop is None:
        written["stop"] = (stop,) if stop else ()
    return Parameters(
        **written,  # type: ignore[arg-type]
        timeouts=Timeouts(**{name: value for name, value in timeouts.items() if value is not None}),  # type: ignore[arg-type]
        extra_body=extra_body,
    )


def _layered(below: dict[str, JsonValue], above: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    return {} if above is None else {**below, **above}


def suite_target(target: WrittenTarget, defaults: WrittenDefaults) -> SuiteTarget:
    """Return a target with the suite's defaults beneath its own parameters."""
    return SuiteTarget(target.provider, target.models or (), lay_over(defaults, target))


def target_problems(
    targets: Mapping[Route, WrittenTarget], known: Collection[str], document: Document
) -> Iterator[Problem]:
    """Yield what is wrong with targets that are well-formed, by their places."""
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


def parameter_problems(parameters: WrittenParameters, document: Document, route: Route) -> Iterator[Problem]:
    """Yield what is wrong with parameters that are well-formed."""
    if is_template(parameters.system or ""):
        what = "this system message is for all cases and no template"
        yield document.problem((*route, "system"), what, "Write it without `{{`, `{%` and `{#`, or in the cases")
    for name in sorted(RESERVED & (parameters.extra_body or {}).keys()):
        what = f"`{name}` cannot be set in `extra_body`, since compare sets it itself"
        yield document.problem((*route, "extra_body", name), what, "Remove it", of_key=True)
