"""The tool calls of a reply as people read them."""

import json
from collections.abc import Sequence

from runner.core.tool_call import ToolCall, read_calls


def calls_in(cell: object) -> tuple[ToolCall, ...]:
    """Return the calls of a cell of the column `tool_calls`; none for an absent cell."""
    return read_calls(cell) if isinstance(cell, str) else ()


def list_calls(cell: object) -> Sequence[str]:
    """Return each call of a cell on a line: `get_weather({"city": "Paris"})`."""
    return [str(call) for call in calls_in(cell)]


def indented_arguments(call: ToolCall) -> str:
    """Return a call's arguments as JSON over several lines, or as their text if they are no JSON object."""
    values = call.values
    return call.arguments if values is None else json.dumps(values, ensure_ascii=False, indent=2)
