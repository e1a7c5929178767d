"""The simulator's tokenizer: a token is one CJK character, up to eight letters of a word, or one sign."""

import re
from collections.abc import Iterable

from runner.simulator.chat_request import ChatMessage

CJK = "\u3400-\u9fff\uf900-\ufaff"
HAS_CJK = re.compile(f"[{CJK}]")
TOKEN = re.compile(rf"\s?[{CJK}]|\s?[^\W{CJK}]{{1,8}}|\s?[^\w\s]|\s")
TOKENS_PER_MESSAGE = 3


def tokenize(text: str) -> tuple[str, ...]:
    """Return the tokens of a text; joined, they are the text."""
    return tuple(TOKEN.findall(text))


def count_prompt_tokens(messages: Iterable[ChatMessage], tools: Iterable[str] = ()) -> int:
    """Return the number of input tokens of a conversation, including its files and descriptions of tools."""
    listed = list(messages)
    texts = (*(message.text for message in listed), *tools)
    files = sum(file.tokens for message in listed for file in message.files)
    return files + sum(TOKENS_PER_MESSAGE + len(TOKEN.findall(text)) for text in texts)
