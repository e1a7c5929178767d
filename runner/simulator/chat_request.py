"""A chat request independent of the dialect: its messages, their tokens, and the parameters that a persona can obey.

A token is one Han character, up to eight letters of a word, or one sign. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from runner.core.cjk_characters import HAN
from runner.simulator.attachments import ReceivedAttachment, text_with_file_marks
from runner.simulator.tool_use import NO_TOOLS, ToolUse

Effort = Literal["low", "medium", "high"]

HAS_HAN = re.compile(f"[{HAN}]")
TOKEN = re.compile(rf"\s?[{HAN}]|\s?[^\W{HAN}]{{1,8}}|\s?[^\w\s]|\s")
TOKENS_PER_MESSAGE = 3


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation so far: its text, and the files in it."""

    role: str
    text: str
    files: tuple[ReceivedAttachment, ...] = ()

    @property
    def text_with_file_marks(self) -> str:
        """The text with a mark in place of each file."""
        return text_with_file_marks(self.text, self.files) if self.files else self.text


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request, without the parameters that a simulated model cannot obey (top_p and the like)."""

    model: str
    messages: tuple[ChatMessage, ...]
    stream: bool = False
    stream_options_sent: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    thinking_off: bool = False
    only: tuple[str, ...] = ()
    """Vendors that may answer, in lower case; empty for any."""
    effort: Effort | None = None
    """Effort of reasoning: `medium` if the request turns it on without an effort, None for the persona's default."""
    temperature: float | None = None
    summarise: bool = False
    """Whether a summary of the reasoning is requested in place of the reasoning."""
    tools: ToolUse = NO_TOOLS
    schema: str | None = None
    """JSON Schema that the answer must fit, as JSON."""

    @property
    def question(self) -> str:
        """The user's last message; empty if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def results(self) -> tuple[str, ...]:
        """The results of tools since the user's last message."""
        since = takewhile(lambda message: message.role != "user", reversed(self.messages))
        return tuple(message.text for message in since if message.role == "tool")[::-1]


def tokenize(text: str) -> tuple[str, ...]:
    """Return the tokens of a text; joined, they are the text."""
    return tuple(TOKEN.findall(text))


def count_prompt_tokens(messages: Iterable[ChatMessage], tools: Iterable[str] = ()) -> int:
    """Return the number of input tokens of a conversation, including its files and descriptions of tools."""
    listed = list(messages)
    texts = (*(message.text for message in listed), *tools)
    files = sum(file.tokens for message in listed for file in message.files)
    return files + sum(TOKENS_PER_MESSAGE + len(TOKEN.findall(text)) for text in texts)
