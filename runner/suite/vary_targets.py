"""Make variants from options such as `--vary`: every target gets each of some values of a parameter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from runner.core.suite import Suite
from runner.core.target_name import VARIANT_NAME
from runner.document import Json, document_of, parse, validate
from runner.errors import CompareError, InvalidFile, did_you_mean
from runner.suite.schema import ParametersSchema
from runner.suite.targets import MAX_VARIANTS, cross_variants, parameter_problems
from runner.suite.tool_and_schema_files import NamedFiles

Vary = Mapping[str, Sequence[Any]]
"""Parameter -> its values."""

OPTION = "--vary"

LONGEST = 40
"""Length of the longest value that is its own name, in characters."""


def parse_vary(text: str) -> tuple[str, tuple[Json, ...]]:
    """Parse `thinking=off,low,high`; the values are those of a YAML list, so that a text may be quoted.

    Raises:
        CompareError: there is no name or no value, or the values are not a list.

    """
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise CompareError(f"{text!r} names no parameter with values; write thinking=off,low,high")
    try:
        listed = parse(f"[{values}]", OPTION).sound().data
    except InvalidFile:
        listed = None
    if not isinstance(listed, list):
        raise CompareError(f"{text!r} holds no list of values; quote texts: 'system=\"Be brief, please.\"'")
    return name.strip(), tuple(listed)


def vary_targets(suite: Suite, vary: Vary) -> Suite:
    """Return a suite whose targets, and those it does not list, have every combination of these values.

    Raises:
        CompareError: a parameter is unknown, or does not accept a value.

    """
    for parameter, values in vary.items():
        axis = _axis(parameter, values, Path(suite.path).parent if suite.path else Path())
        targets = tuple(
            replace(row, variants=cross_variants(row.variants, row.parameters, axis)) for row in suite.targets
        )
        suite = replace(suite, targets=targets, variants=cross_variants(suite.variants, suite.parameters, axis))
        _refuse_faulty(suite)
    return suite


def _axis(parameter: str, values: Sequence[Any], folder: Path) -> dict[str, ParametersSchema]:
    """Return the variants of one parameter by name."""
    if parameter not in ParametersSchema.model_fields:
        known = tuple(ParametersSchema.model_fields)
        hint = did_you_mean(parameter, known, f"It may be {', '.join(known)}.")
        raise CompareError(f"{OPTION} {parameter}: no target has this parameter. {hint}")
    axis = {}
    for name, value in zip(_names(values), values, strict=True):
        document = document_of({parameter: value}, OPTION, 1)
        layer, unusable = NamedFiles(folder).fill_in(validate(document, ParametersSchema), document, ())
        problems = [*unusable, *parameter_problems(layer, document, ())]
        if problems:
            raise InvalidFile(problems)
        axis[f"{parameter}={name}"] = layer
    if len(axis) < len(values):
        raise CompareError(f"{OPTION} {parameter} has a value twice. Remove one of them.")
    return axis


def _names(values: Sequence[Any]) -> Iterator[str]:
    """Yield the name of each value in a variant's name: the value itself, or a number if it cannot be a name."""
    own = [_own_name(value) for value in values]
    numbers = (str(number) for number in count(1) if str(number) not in own)
    return (next(numbers) if name is None else name for name in own)


def _own_name(value: Any) -> str | None:
    written = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    is_name = (
        isinstance(value, str | int | float | None) and len(written) <= LONGEST and VARIANT_NAME.fullmatch(written)
    )
    return written if is_name else None


def _refuse_faulty(suite: Suite) -> None:
    """Raise CompareError if a model has too many variants, or two of one name."""
    for variants in (suite.variants, *(row.variants for row in suite.targets)):
        names = [variant.name for variant in variants]
        if len(names) > MAX_VARIANTS:
            made = f"{len(names):,} variants of a model, more than {MAX_VARIANTS:,}"
            raise CompareError(f"{OPTION} makes {made}. Give fewer values.")
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise CompareError(f"{OPTION} makes two variants called {repeated}. Rename the suite's own.")
