"""The tool calls of a reply, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants to be called.

    `arguments` is the text that the model wrote, JSON if it is right, and `id` what the provider calls the call.
    """

    name: str
    arguments: str
    id: str | None = None
