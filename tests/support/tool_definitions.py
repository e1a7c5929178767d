"""Tools that suites and requests define, in each dialect's form."""

from collections.abc import Sequence

from runner.core.suite import Api

CITY = {"city": {"type": "string", "description": "The name of a city."}}


TOOLS = {
    "get_time": ("The time of day in a city.", CITY, ["city"]),
    "get_weather": (
        "The weather in a city.",
        {**CITY, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        ["city"],
    ),
    "add": ("Add two numbers.", {"a": {"type": "number"}, "b": {"type": "number"}}, ["a", "b"]),
}


def schema_of(name: str) -> dict[str, object]:
    """Return the JSON Schema of a tool's arguments."""
    _, properties, required = TOOLS[name]
    return {"type": "object", "properties": properties, "required": required}


def tools_of(api: Api, names: Sequence[str] = tuple(TOOLS)) -> list[dict[str, object]]:
    """Return tools in a dialect's form."""
    if api == "messages":
        return [{"name": name, "description": TOOLS[name][0], "input_schema": schema_of(name)} for name in names]
    functions = [{"name": name, "description": TOOLS[name][0], "parameters": schema_of(name)} for name in names]
    if api == "responses":
        return [{"type": "function", **function} for function in functions]
    return [{"type": "function", "function": function} for function in functions]
