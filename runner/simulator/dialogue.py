"""The conversation as a persona sees it: what is asked now, in which language, and what came before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.simulator.chat import ChatMessage
from runner.simulator.persona import Persona
from runner.simulator.tokens import HAS_CJK

Language = Literal["en", "zh"]
QUOTE_CHARS = 60
QUESTION_CHARS_READ = 4000


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The last question, what came before it, and who is asked."""

    question: str
    before: tuple[ChatMessage, ...]
    language: Language
    persona: Persona

    def said_by(self, role: str) -> list[str]:
        """Return what one side said before the question, oldest first."""
        return [said.text for said in self.before if said.role == role]

    def choose(self, *, zh: str, en: str) -> str:
        """Return the sentence in the question's language."""
        return zh if self.language == "zh" else en


Rule = Callable[[Dialogue], str | None]
"""Answers the dialogue's question, or passes."""


def read_dialogue(persona: Persona, messages: Sequence[ChatMessage]) -> Dialogue:
    """Find the last question in a conversation."""
    last = max((index for index, said in enumerate(messages) if said.role == "user"), default=len(messages))
    question = messages[last].text.strip()[:QUESTION_CHARS_READ] if last < len(messages) else ""
    return Dialogue(
        question=question,
        before=tuple(messages[:last]),
        language="zh" if HAS_CJK.search(question) else "en",
        persona=persona,
    )


def quote(text: str) -> str:
    """Quote a text on one line, shortened."""
    line = " ".join(text[:QUESTION_CHARS_READ].split())
    return f"“{line}”" if len(line) <= QUOTE_CHARS else f"“{line[:QUOTE_CHARS].rstrip()}…”"
