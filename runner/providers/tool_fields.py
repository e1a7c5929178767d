"""Tools, tool calls and their results, as the dialects write them into a request's body. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.suite import TOOL_CHOICES, Parameters, ToolDefinition
from runner.core.tool_call import ToolCall

NO_PARAMETERS: Mapping[str, object] = {"type": "object", "properties": {}}
"""The schema of a tool without arguments, for dialects that require one."""


def function_of(tool: ToolDefinition) -> dict[str, object]:
    """Return a tool as chat completions and Responses describe a function, without what the suite leaves out."""
    members = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    return {"name": tool.name, **{name: value for name, value in members.items() if value is not None}}


def chat_tool_fields(parameters: Parameters) -> dict[str, object]:
    """Return the fields for tools in the chat completions dialect."""
    tools = [{"type": "function", "function": function_of(tool)} for tool in parameters.tools]
    choice = parameters.tool_choice
    named = choice if choice in TOOL_CHOICES else {"type": "function", "function": {"name": choice}}
    return _fields_of_tools(tools, None if choice is None else named)


def responses_tool_fields(parameters: Parameters) -> dict[str, object]:
    """Return the fields for tools in the Responses dialect.

    `strict` is always sent: functions are strict by default there, and not in the other dialects.
    """
    tools = [
        {"type": "function", "parameters": NO_PARAMETERS, "strict": False, **function_of(tool)}
        for tool in parameters.tools
    ]
    choice = parameters.tool_choice
    named = choice if choice in TOOL_CHOICES else {"type": "function", "name": choice}
    return _fields_of_tools(tools, None if choice is None else named)


def messages_tool_fields(parameters: Parameters) -> dict[str, object]:
    """Return the fields for tools in the Messages dialect."""
    tools = [_messages_tool(tool) for tool in parameters.tools]
    choice = parameters.tool_choice
    types = {"auto": "auto", "none": "none", "required": "any"}
    named = {"type": types[choice]} if choice in types else {"type": "tool", "name": choice}
    return _fields_of_tools(tools, None if choice is None else named)


def _fields_of_tools(tools: Sequence[object], choice: object) -> dict[str, object]:
    """Return the fields of a body for tools, without what the suite leaves out."""
    return {**({"tools": tools} if tools else {}), **({} if choice is None else {"tool_choice": choice})}


def _messages_tool(tool: ToolDefinition) -> dict[str, object]:
    function = function_of(tool)
    schema = function.pop("parameters", NO_PARAMETERS)
    return {**function, "input_schema": schema}


def tool_text(tool: ToolDefinition) -> str:
    """Return a tool as text, to estimate its tokens."""
    return json.dumps(function_of(tool), ensure_ascii=False)


# Calls and results in a conversation


def calls_of(message: Mapping[str, Any]) -> Sequence[ToolCall]:
    """Return the tool calls of a message."""
    calls: Sequence[ToolCall] = message.get("calls", ())
    return calls


def arguments_text(call: ToolCall) -> str:
    """Return a call's arguments as they were written; an empty object if there are none."""
    return call.arguments if call.arguments.strip() else "{}"


def arguments_object(call: ToolCall) -> dict[str, object]:
    """Return a call's arguments as an object, which Messages requires.

    Arguments that are not an object become the member `arguments`, as text.
    """
    try:
        value = json.loads(arguments_text(call))
    except (ValueError, RecursionError):
        value = call.arguments
    return value if isinstance(value, dict) else {"arguments": call.arguments}
