"""Parsers of the members of a request's body that several dialects share. Performs no I/O."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import cast, get_args

from runner.core.suite import TOOL_CHOICES
from runner.simulator.attachments import ReceivedAttachment, file_in_part
from runner.simulator.chat_request import Effort
from runner.simulator.http_request import RequestError
from runner.simulator.tool_use import Tool, ToolUse

MAX_STOPS = 16
FORMATS = ("text", "json_object", "json_schema")
Content = tuple[str, tuple[ReceivedAttachment, ...]]
"""The text of a message, and the files in it."""

ANY_OBJECT = '{"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}'
"""JSON Schema of an answer that may be any object."""


def parse_object(body: bytes) -> Mapping[str, object]:
    """Parse a body that must be a JSON object.

    Raises:
        RequestError: the body is not a JSON object.

    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"The request's body is not valid JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise RequestError(400, "The request's body must be a JSON object.")
    return fields


def invalid(param: str, wanted: str) -> RequestError:
    """Return the error for an invalid value of a parameter."""
    return RequestError(400, f"'{param}' must be {wanted}.", param=param)


def without_surrogates(value: str) -> str:
    """Return a text without lone surrogates, which JSON allows and UTF-8 does not."""
    return value.encode("utf-8", "replace").decode("utf-8")


def parse_content(content: object, text_types: Collection[str], param: str, parts: str = "content parts") -> Content:
    """Parse the content of a message: return its text and its files.

    Args:
        content: a text, or a list of parts.
        text_types: the types of the parts that are texts.
        param: the name of the member, as in an error.
        parts: the dialect's name for the parts.

    Raises:
        RequestError: the content is neither a text nor a list of parts, or a file cannot be read.

    """
    if isinstance(content, str):
        return without_surrogates(content), ()
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise invalid(param, f"a string or a list of {parts}")
    text, files = "", []
    for at, part in enumerate(content):
        if part.get("type") in text_types:
            written = part.get("text")
            text += written if isinstance(written, str) else ""
        elif file := file_in_part(part, f"{param}[{at}]"):
            files.append(replace(file, at=len(text)))
    return without_surrogates(text), tuple(files)


def flag(fields: Mapping[str, object], param: str) -> bool:
    """Parse a boolean parameter; False if it is absent.

    Raises:
        RequestError: it is neither true nor false.

    """
    value = fields.get(param)
    if value is not None and not isinstance(value, bool):
        raise invalid(param, "true or false")
    return bool(value)


def integer(fields: Mapping[str, object], param: str, *, least: int | None = None) -> int | None:
    """Parse an integer parameter; None if it is absent.

    Raises:
        RequestError: it is not an integer, or is below `least`.

    """
    value = fields.get(param)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(param, "an integer")
    if least is not None and value < least:
        raise invalid(param, f"at least {least}")
    return value


def list_of_messages(fields: Mapping[str, object]) -> list[object]:
    """Parse the list of messages, whose items are not checked.

    Raises:
        RequestError: it is not a list, or is empty.

    """
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "a list of at least one message")
    return messages


def object_of_type(value: object, types: Collection[str], param: str) -> Mapping[str, object]:
    """Return a value that must be an object whose `type` is one of `types`.

    Raises:
        RequestError: it is not.

    """
    if not isinstance(value, dict) or value.get("type") not in types:
        raise invalid(param, f"an object with the type {', '.join(types)}")
    return value


def model_name(fields: Mapping[str, object]) -> str:
    """Parse the name of the model.

    Raises:
        RequestError: it is missing, empty or not a string.

    """
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model", "the name of a model")
    return without_surrogates(model)


def parse_tools(
    fields: Mapping[str, object],
    function_of: Callable[[Mapping[str, object]], object],
    schema_name: str = "parameters",
) -> tuple[Tool, ...]:
    """Parse the functions among a request's tools; the provider's own tools are not functions and are left out.

    Args:
        fields: the fields of the request.
        function_of: returns the description of the function in a tool; None for a tool that is not a function.
        schema_name: the name of the member with the schema of the arguments.

    Raises:
        RequestError: the tools are not a list of objects, or a function has no name or an invalid description.

    """
    listed = fields.get("tools")
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        raise invalid("tools", "a list of tools")
    functions = ((index, function_of(tool)) for index, tool in enumerate(listed))
    return tuple(
        _parse_tool(function, f"tools[{index}]", schema_name) for index, function in functions if function is not None
    )


def _parse_tool(function: object, param: str, schema_name: str) -> Tool:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise invalid(f"{param}.name", "the name of a function")
    description, schema = function.get("description"), function.get(schema_name)
    if description is not None and not isinstance(description, str):
        raise invalid(f"{param}.description", "a string")
    return Tool(
        without_surrogates(name), without_surrogates(description or ""), as_schema(schema, f"{param}.{schema_name}")
    )


def choose_tools(
    fields: Mapping[str, object],
    tools: tuple[Tool, ...],
    named_by: Callable[[Mapping[str, object]], object],
) -> ToolUse:
    """Parse the choice of tools; return it with the tools.

    Args:
        fields: the fields of the request.
        tools: the functions of the request.
        named_by: returns the object within a choice that has the name of the tool.

    Raises:
        RequestError: the choice is unknown, names none of the tools, or requires one where there are none.

    """
    choice, parallel = fields.get("tool_choice"), fields.get("parallel_tool_calls")
    if isinstance(choice, dict):
        found = named_by(choice)
        name = found.get("name") if isinstance(found, dict) else None
        if name not in [tool.name for tool in tools]:
            raise invalid("tool_choice", "the name of one of 'tools'")
        return ToolUse(tools, f"={name}", parallel is not False)
    if choice not in (None, *TOOL_CHOICES):
        raise invalid("tool_choice", f"{', '.join(TOOL_CHOICES)}, or an object that names one of 'tools'")
    if choice == "required" and not tools:
        raise invalid("tool_choice", "left out where there are no 'tools'")
    return ToolUse(tools, str(choice or "auto"), parallel is not False)


def as_schema(schema: object, param: str) -> str:
    """Check a JSON Schema and return it as JSON.

    Raises:
        RequestError: it is not an object.

    """
    if schema is not None and not isinstance(schema, dict):
        raise invalid(param, "a JSON Schema")
    return json.dumps(schema or {})


def schema_of(kind: object, schema: object, param: str) -> str | None:
    """Return the JSON Schema of a response format of type `kind`; `json_object` accepts any object.

    Raises:
        RequestError: the format is `json_schema`, and the schema is not an object.

    """
    if kind == "json_schema" and not isinstance(schema, dict):
        raise invalid(param, "a JSON Schema")
    return ANY_OBJECT if kind == "json_object" else as_schema(schema, param) if kind == "json_schema" else None


def check_result(answers: object, called: Collection[object], param: str) -> None:
    """Raise RequestError for the result of a call that no earlier message made."""
    if not isinstance(answers, str) or answers not in called:
        raise invalid(param, "the id of a call in an earlier message")


def stop_texts(stop: object, param: str) -> tuple[str, ...]:
    """Parse the texts at which an answer ends, given as one text or as a list.

    Raises:
        RequestError: it is not one non-empty string or a short list of them.

    """
    stops = [stop] if isinstance(stop, str) else stop
    if stops is None:
        return ()
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise invalid(param, f"a string or a list of at most {MAX_STOPS} strings")
    words = tuple(without_surrogates(word) for word in stops if isinstance(word, str) and word)
    if len(words) != len(stops):
        raise invalid(param, "non-empty strings")
    return words


def vendors_allowed(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Parse the vendors that may answer, in lower case; empty for any.

    Raises:
        RequestError: `provider` is not an object with a list of names.

    """
    provider = fields.get("provider")
    only = provider.get("only", []) if isinstance(provider, dict) else [] if provider is None else None
    if not isinstance(only, list) or not all(isinstance(name, str) for name in only):
        raise invalid("provider", 'an object such as {"only": ["alpha"]}')
    return tuple(without_surrogates(name).lower() for name in only)


def effort_of(effort: object, param: str) -> Effort | None:
    """Parse an effort of reasoning; None if it is absent or `none`.

    Raises:
        RequestError: the effort is unknown.

    """
    if effort not in (None, "none", *get_args(Effort)):
        raise invalid(param, f"none, {', '.join(get_args(Effort))}")
    return None if effort == "none" else cast("Effort | None", effort)


def temperature_of(fields: Mapping[str, object]) -> float | None:
    """Parse the temperature; None if it is absent.

    Raises:
        RequestError: it is not a number from 0 to 2.

    """
    temperature = fields.get("temperature")
    if temperature is None:
        return None
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise invalid("temperature", "a number from 0 to 2")
    return float(temperature)
