"""Validate a document with a pydantic model, and turn every error into a problem with its position."""

import json
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runner.document.document_tree import Document, Json, Node, Route, ScalarNode
from runner.document.schema_messages import Schema, SchemaError, SchemaKeys, message_of
from runner.errors import InvalidFile, Problem

Model = TypeVar("Model", bound=BaseModel)

CONSEQUENCES = frozenset(
    {"string_type", "list_type", "tuple_type", "dict_type", "model_type", "int_type", "float_type", "too_short"}
)
"""Errors that pydantic also reports for a value if a part of it is wrong, or another branch of a union fits better."""


def validate(document: Document, model: type[Model], at: Route = ()) -> Model:
    """Return the data at a route as a model.

    Raises:
        InvalidFile: the data does not fit the model, or the document has problems; the error lists all of them.

    """
    own = document.problems if not at else ()
    try:
        value = _validated(model, document, at)
    except ValidationError as error:
        errors = [_schema_error(details, document, at) for details in error.errors(include_url=False)]
        keys = SchemaKeys(_schema_of(model), at)
        problems = _problems(errors, keys, document)
        raise InvalidFile(
            [*own, *problems, *_problems_under_misspelt_keys(model, errors, keys, document, at)]
        ) from None
    if own:
        raise InvalidFile(own)
    return value


def _problems_under_misspelt_keys(
    model: type[BaseModel], errors: Sequence[SchemaError], keys: SchemaKeys, document: Document, at: Route
) -> list[Problem]:
    """Return the problems in the values of misspelt keys, validated under the right spelling.

    Pydantic does not validate the values of unknown keys.
    """
    unknown = [error for error in errors if error.kind == "extra_forbidden"]
    meant = {error.route: near for error in unknown if (near := keys.closest_key(error))}
    known = [route for route, near in meant.items() if near not in _siblings(document, route)]
    problems = []
    for route in known:
        corrected = document.with_renamed_key(route, meant[route])
        try:
            _validated(model, corrected, at)
        except ValidationError as error:
            below = (*route[:-1], meant[route])
            found = [_schema_error(details, corrected, at) for details in error.errors(include_url=False)]
            inner = [each for each in found if each.route[: len(below)] == below]
            # A value of another type than the right key takes may be meant for another key, so it is no problem.
            inner = [each for each in inner if each.route != below or each.kind == "value_error"]
            problems += _problems(inner, keys, corrected)
    return problems


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _validated(model: type[Model], document: Document, at: Route) -> Model:
    """Return validated data; where the model expects text, replace numbers by their text and validate again."""
    data = document.value(at)
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        written = {
            route[len(at) :]: text
            for details in error.errors(include_url=False, include_input=False)
            if details["type"] == "string_type"
            and (text := _written(document.node(route := _route(details, document, at)))) is not None
        }
        if not written:
            raise
    return model.model_validate_json(json.dumps(_with_texts(data, (), written)))


def _written(node: Node | None) -> str | None:
    return node.written if isinstance(node, ScalarNode) and node.value is not None else None


def _with_texts(data: Json, route: Route, texts: dict[Route, str]) -> Json:
    if isinstance(data, dict):
        return {key: _with_texts(value, (*route, key), texts) for key, value in data.items()}
    if isinstance(data, list):
        return [_with_texts(value, (*route, index), texts) for index, value in enumerate(data)]
    return texts.get(route, data)


def _route(details: ErrorDetails, document: Document, at: Route) -> Route:
    """Return the route to an error in the data: pydantic's location without its names of the branches of unions."""
    route = at
    for step in details["loc"]:
        if document.node((*route, step)) is not None:
            route = (*route, step)
    missing = details["type"] == "missing"
    return (*route, details["loc"][-1]) if missing else route


def _schema_error(details: ErrorDetails, document: Document, at: Route) -> SchemaError:
    route = _route(details, document, at)
    context = details.get("ctx", {})
    of_key = details["loc"][-1:] == ("[key]",)
    shown = details["type"] != "missing" and not of_key and document.value(route) == details["input"]
    message = str(context["error"]) if "error" in context else details["msg"].removeprefix("Value error, ")
    return SchemaError(
        kind=details["type"],
        route=route,
        of_key=of_key or details["type"] == "extra_forbidden",
        value=details["input"] if shown else ...,
        context=context,
        message=message,
    )


def _problems(errors: Sequence[SchemaError], keys: SchemaKeys, document: Document) -> list[Problem]:
    by_route: dict[Route, list[SchemaError]] = {}
    for error in _without_consequences(errors, keys):
        by_route.setdefault(error.route, []).append(error)
    problems = []
    for route, here in by_route.items():
        what, hint = message_of(here, keys, _siblings(document, route))
        problems.append(document.problem(route, what, hint, of_key=here[0].of_key))
    return problems


def _siblings(document: Document, route: Route) -> frozenset[str]:
    parent = document.value(route[:-1])
    return frozenset(parent) if isinstance(parent, dict) else frozenset()


def _without_consequences(errors: Sequence[SchemaError], keys: SchemaKeys) -> list[SchemaError]:
    """Return the errors without those that follow from another one.

    A misspelt key explains a missing one, and an error in a part explains one of the whole.
    """
    meant = {(*error.route[:-1], keys.closest_key(error)) for error in errors if error.kind == "extra_forbidden"}
    wholes = {error.route[:size] for error in errors for size in range(len(error.route))}
    return [
        error
        for error in errors
        if not (
            error.route in meant if error.kind == "missing" else error.kind in CONSEQUENCES and error.route in wholes
        )
    ]
