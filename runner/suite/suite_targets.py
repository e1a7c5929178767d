"""The targets of a suite, their variants and their parameters, which are merged with the suite's defaults."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import count, product
from pathlib import Path
from typing import Any

from runner.core.suite import REPLY_LIMIT, Parameters, Suite, SuiteTarget, Timeouts, Variant, parse_reply_limit
from runner.core.target_name import VARIANT_NAME, TargetName
from runner.document import Document, Json, Route, document_of, parse, validate
from runner.errors import CompareError, InvalidFile, Problem, did_you_mean
from runner.suite.errors import Fault
from runner.suite.fill_templates import refuse_template
from runner.suite.schema import DefaultsSchema, JudgeSchema, ParametersSchema, TargetSchema, TimeoutsSchema
from runner.suite.schema_parts import tools_of
from runner.suite.suite_files import SuiteFiles

RESERVED = frozenset(
    {"messages", "model", "stream", "stream_options", "input", "previous_response_id", "conversation", "background"}
)
"""Fields of a request's body that `compare` must set itself to read the reply correctly, or leaves out so that all
targets get the same history."""

CROSS_MARK = "+"
"""Separator between the names of crossed variants."""

MAX_VARIANTS = 1_000
"""Limit on the variants of one model, all crossings counted."""

_NOT_PARAMETERS = frozenset(
    {"repeat", "checks", "pass_", "match", "provider", "models", "variants", "tool_results", "max_steps", "target"}
    | {"think_time"}
)

ModelFault = Callable[[str, str], Fault | None]
"""Function of a provider's name and a model's; returns why the model cannot be asked, None if nothing is known."""

Vary = Mapping[str, Sequence[Any]]
"""Parameter -> its values."""

OPTION = "--vary"

LONGEST_OWN_NAME = 40
"""Length of the longest value that is its own name, in characters."""


def merge_parameters(*layers: ParametersSchema) -> Parameters:
    """Return merged parameters: values of later layers replace those of earlier ones, and `null` removes them."""
    return reduce(merge_layer, layers, Parameters())


def merge_layer(base: Parameters, layer: ParametersSchema) -> Parameters:
    """Return parameters with those that a layer sets in place of the earlier ones."""
    values: dict[str, Any] = {name: getattr(layer, name) for name in layer.model_fields_set - _NOT_PARAMETERS}
    if "timeouts" in values:
        values["timeouts"] = _merge_timeouts(base.timeouts, layer.timeouts)
    if "extra_body" in values:
        values["extra_body"] = {} if layer.extra_body is None else {**base.extra_body, **layer.extra_body}
    if "reply_limit" in values:
        values["reply_limit"] = REPLY_LIMIT if layer.reply_limit is None else parse_reply_limit(layer.reply_limit)
    if "tools" in values:
        values["tools"] = tools_of(layer.tools)
        if not values["tools"]:  # no choice without tools
            values.setdefault("tool_choice", None)
    if isinstance(stop := values.get("stop", ()), str) or stop is None:
        values["stop"] = (stop,) if stop else ()
    return replace(base, **values)


def _merge_timeouts(base: Timeouts, layer: TimeoutsSchema | None) -> Timeouts:
    if layer is None:
        return Timeouts()
    written = layer.model_dump(exclude_unset=True)
    return replace(base, **{name: getattr(Timeouts(), name) if s is None else s for name, s in written.items()})


def cross_variants(
    variants: tuple[Variant, ...], base: Parameters, axis: Mapping[str, ParametersSchema]
) -> tuple[Variant, ...]:
    """Return each variant, or `base` if there are none, with each of an axis: `deep` and `cold` make `deep+cold`."""
    if not axis:
        return variants
    return tuple(
        Variant(
            name=f"{variant.name}{CROSS_MARK}{name}" if variant.name else name,
            parameters=merge_layer(variant.parameters, layer),
            settings={**variant.settings, **layer.model_dump(mode="json", exclude_unset=True)},
        )
        for variant in variants or (Variant("", base, {}),)
        for name, layer in axis.items()
    )


def suite_target(
    written: TargetSchema | str, defaults: DefaultsSchema, axis: Mapping[str, ParametersSchema]
) -> SuiteTarget:
    """Return a target whose parameters are merged with the suite's defaults, and its variants with the suite's.

    A text is `provider/model`, `provider/model#variant`, or a provider alone for its default models.
    """
    if isinstance(written, str):
        provider, slash, model = written.partition("/")
        name = TargetName(provider, model).divided(axis)
        axis = {name.variant: axis[name.variant]} if name.variant else axis
        written = TargetSchema(provider=provider, models=(name.model,) if slash else None)
    parameters = merge_parameters(defaults, written)
    own = cross_variants((), parameters, written.variants or {})
    return SuiteTarget(written.provider, written.models or (), parameters, cross_variants(own, parameters, axis))


def read_judge(judge: JudgeSchema) -> SuiteTarget:
    """Return the judge of a suite, with its own parameters alone."""
    provider, _, model = judge.target.partition("/")
    return SuiteTarget(provider, (model,), merge_parameters(judge))


def no_model_fault(_provider: str, _model: str) -> None:
    """Return None: any name may be that of a model."""


@dataclass(frozen=True)
class KnownTargets:
    """The providers and models that targets and the judge of a suite may name."""

    providers: Collection[str]
    """The ids and aliases of providers."""
    model_fault: ModelFault = no_model_fault

    def problems(
        self, provider: str, models: Mapping[Route, str], document: Document, route: Route
    ) -> Iterator[Problem]:
        """Yield the problem with the name of a provider, at a route, or those with its models, each at its own."""
        if provider.strip().lower() not in self._names:
            yield self._unknown_provider(provider, document, route)
            return
        for at, model in models.items():
            if fault := self.model_fault(provider, model):
                yield document.problem(at, fault.what, fault.hint)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.providers)

    def _unknown_provider(self, name: str, document: Document, route: Route) -> Problem:
        provider, slash, model = name.partition("/")
        others = f"Known are {', '.join(sorted(self.providers))}; others need a row in `providers` or compare.yaml"
        hint = did_you_mean(name, list(self.providers), others)
        if slash and provider in self.providers:
            hint = f"Write `provider: {provider}` and `models: [{model}]`"
        return document.problem(route, f"unknown provider `{name}`", hint)


def target_problems(
    targets: Mapping[Route, TargetSchema | str],
    axis: Mapping[str, ParametersSchema],
    known: KnownTargets,
    document: Document,
) -> Iterator[Problem]:
    """Yield the problems of targets that fit the schema; `axis` has the suite's variants."""
    seen: dict[tuple[str, str], Route] = {}
    for route, written in targets.items():
        target = suite_target(written, DefaultsSchema(), axis)
        models = {(*route, "models", index): model for index, model in enumerate(target.models)}
        yield from known.problems(target.provider, models, document, (*route, "provider"))
        if len(target.variants) > MAX_VARIANTS:
            what = f"its variants, crossed with the suite's, are {len(target.variants):,}: more than {MAX_VARIANTS:,}"
            yield document.problem((*route, "variants"), what, "Cross fewer of them")
            continue
        variants: list[str | None] = [each.name for each in target.variants]
        for (at, model), variant in product((models or {route: ""}).items(), variants or [None]):
            name = TargetName(target.provider, model, variant)
            key = (target.provider.lower(), name.model_and_variant)
            if key in seen:
                line = document.position(seen[key]).line
                what = f"{name if model else target.provider} is asked already in line {line}"
                yield document.problem(at, what, "Keep one; `variants` ask a model with several settings")
            seen.setdefault(key, at)


def parameter_problems(parameters: ParametersSchema, document: Document, route: Route) -> Iterator[Problem]:
    """Yield the problems of parameters that fit the schema."""
    for name, what in (("system", "system message"), ("prefix", "prefix"), ("suffix", "suffix")):
        yield from refuse_template(getattr(parameters, name) or "", what, document, (*route, name))
    for name in sorted(RESERVED & (parameters.extra_body or {}).keys()):
        what = f"`{name}` cannot be set in `extra_body`, since compare sets it itself"
        yield document.problem((*route, "extra_body", name), what, "Remove it", of_key=True)
    if not _is_finite(parameters.extra_body):
        yield document.problem((*route, "extra_body"), "`extra_body` has a number that is not finite", "Correct it")


def _is_finite(extra_body: Mapping[str, Any] | None) -> bool:
    """Return whether all numbers have a form in JSON; those of Python data may not."""
    try:
        json.dumps(extra_body, allow_nan=False)
    except ValueError:
        return False
    return True


# Variants from options such as `--vary`: every target gets each of some values of a parameter


def parse_vary(text: str) -> tuple[str, tuple[Json, ...]]:
    """Parse `thinking=off,low,high`; the values are those of a YAML list, so that a text may be quoted.

    Raises:
        CompareError: there is no name or no value, or the values are not a list.

    """
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise CompareError(f"{text!r} names no parameter with values; write thinking=off,low,high")
    try:
        listed = parse(f"[{values}]", OPTION).require_valid().data
    except InvalidFile:
        listed = None
    if not isinstance(listed, list):
        raise CompareError(f"{text!r} holds no list of values; quote texts: 'system=\"Be brief, please.\"'")
    return name.strip(), tuple(listed)


def vary_targets(suite: Suite, vary: Vary, option: str = OPTION) -> Suite:
    """Return a suite whose targets, and those it does not list, have every combination of these values.

    `option` is the option as the user writes it, for messages.

    Raises:
        CompareError: a parameter is unknown, or does not accept a value.

    """
    for parameter, values in vary.items():
        axis = _axis(parameter, values, Path(suite.path).parent if suite.path else Path(), option)
        targets = tuple(
            replace(row, variants=cross_variants(row.variants, row.parameters, axis)) for row in suite.targets
        )
        suite = replace(suite, targets=targets, variants=cross_variants(suite.variants, suite.parameters, axis))
        _refuse_faulty(suite, option)
    return suite


def _axis(parameter: str, values: Sequence[Any], folder: Path, option: str) -> dict[str, ParametersSchema]:
    """Return the variants of one parameter by name."""
    if parameter not in ParametersSchema.model_fields:
        known = tuple(ParametersSchema.model_fields)
        hint = did_you_mean(parameter, known, f"It may be {', '.join(known)}.")
        raise CompareError(f"{option} {parameter}: no target has this parameter. {hint}")
    axis = {}
    for name, value in zip(_names(values), values, strict=True):
        document = document_of({parameter: value}, option, 1)
        layer, unusable = SuiteFiles(folder).fill_in(validate(document, ParametersSchema), document, ())
        problems = [*unusable, *parameter_problems(layer, document, ())]
        if problems:
            raise InvalidFile(problems)
        axis[f"{parameter}={name}"] = layer
    if len(axis) < len(values):
        raise CompareError(f"{option} {parameter} has a value twice. Remove one of them.")
    return axis


def _names(values: Sequence[Any]) -> Iterator[str]:
    """Yield the name of each value in a variant's name: the value itself, or a number if it cannot be a name."""
    own = [_own_name(value) for value in values]
    numbers = (str(number) for number in count(1) if str(number) not in own)
    return (next(numbers) if name is None else name for name in own)


def _own_name(value: Any) -> str | None:
    written = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    is_name = (
        isinstance(value, str | int | float | None)
        and len(written) <= LONGEST_OWN_NAME
        and VARIANT_NAME.fullmatch(written)
    )
    return written if is_name else None


def _refuse_faulty(suite: Suite, option: str) -> None:
    """Raise CompareError if a model has too many variants, or two of one name."""
    for variants in (suite.variants, *(row.variants for row in suite.targets)):
        names = [variant.name for variant in variants]
        if len(names) > MAX_VARIANTS:
            made = f"{len(names):,} variants of a model, more than {MAX_VARIANTS:,}"
            raise CompareError(f"{option} makes {made}. Give fewer values.")
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise CompareError(f"{option} makes two variants called {repeated}. Rename the suite's own.")
