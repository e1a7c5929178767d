"""A document held against a pydantic model: every mistake becomes a problem with its place."""

import json
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runner.document.nodes import Document, Json, Node, Route, Scalar
from runner.document.outline import Outline, Schema
from runner.document.sentences import SchemaFault, say
from runner.errors import InvalidFile, Problem, did_you_mean

Model = TypeVar("Model", bound=BaseModel)

ECHOES = frozenset(
    {"string_type", "list_type", "tuple_type", "dict_type", "model_type", "int_type", "float_type", "too_short"}
)
"""What pydantic says of a whole when a part of it is wrong, or when a union's other branch came nearer."""


def validate(document: Document, model: type[Model], at: Route = ()) -> Model:
    """Return the data at a route as a model; raise `InvalidFile` with every problem of it, and the document's own."""
    data = _data_at(document.data, at)
    own = document.problems if not at else ()
    try:
        value = _read_as(model, data, document, at)
    except ValidationError as error:
        faults = [_fault(details, document, at) for details in error.errors(include_url=False)]
        outline = Outline(_schema_of(model), at)
        raise InvalidFile([*own, *_problems(faults, outline, document)]) from None
    if own:
        raise InvalidFile(own)
    return value


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _data_at(data: Json, route: Route) -> Json:
    for step in route:
        assert isinstance(data, dict | list)
        data = data[step]  # type: ignore[index]
    return data


def _read_as(model: type[Model], data: Json, document: Document, at: Route) -> Model:
    """Validate; where only text will do, take numbers as they are written and validate again."""
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
    return node.written if isinstance(node, Scalar) and node.value is not None else None


def _with_texts(data: Json, route: Route, texts: dict[Route, str]) -> Json:
    if isinstance(data, dict):
        return {key: _with_texts(value, (*route, key), texts) for key, value in data.items()}
    if isinstance(data, list):
        return [_with_texts(value, (*route, index), texts) for index, value in enumerate(data)]
    return texts.get(route, data)


def _route(details: ErrorDetails, document: Document, at: Route) -> Route:
    """Return where in the data an error is: its location, less the names pydantic gives to branches of unions."""
    route = at
    for step in details["loc"]:
        if document.node((*route, step)) is not None:
            route = (*route, step)
    missing = details["type"] == "missing"
    return (*route, details["loc"][-1]) if missing else route


def _fault(details: ErrorDetails, document: Document, at: Route) -> SchemaFault:
    route = _route(details, document, at)
    context = details.get("ctx", {})
    of_key = details["loc"][-1:] == ("[key]",)
    shown = details["type"] != "missing" and not of_key and _data_at(document.data, route) == details["input"]
    message = str(context["error"]) if "error" in context else details["msg"].removeprefix("Value error, ")
    return SchemaFault(
        kind=details["type"],
        route=route,
        of_key=of_key or details["type"] == "extra_forbidden",
        value=details["input"] if shown else ...,
        context=context,
        message=message,
    )


def _problems(faults: Sequence[SchemaFault], outline: Outline, document: Document) -> list[Problem]:
    together: dict[Route, list[SchemaFault]] = {}
    for fault in _without_echoes(faults, outline):
        together.setdefault(fault.route, []).append(fault)
    problems = []
    for route, here in together.items():
        what, hint = say(here, outline, _siblings(document, route))
        problems.append(document.problem(route, what, hint, of_key=here[0].of_key))
    return problems


def _siblings(document: Document, route: Route) -> frozenset[str]:
    parent = _data_at(document.data, route[:-1])
    return frozenset(parent) if isinstance(parent, dict) else frozenset()


def _without_echoes(faults: Sequence[SchemaFault], outline: Outline) -> list[SchemaFault]:
    """Leave out what another fault explains: the missing twin of a mistyped key, a whole with a faulty part."""
    meant = {
        (*fault.route[:-1], did_you_mean(str(fault.route[-1]), outline.keys(fault.route[:-1])))
        for fault in faults
        if fault.kind == "extra_forbidden"
    }
    wholes = {fault.route[:size] for fault in faults for size in range(len(fault.route))}
    return [
        fault
        for fault in faults
        if not (fault.route in meant if fault.kind == "missing" else fault.kind in ECHOES and fault.route in wholes)
    ]
