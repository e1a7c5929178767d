"""Tool use of personas: which tools they call, with which arguments, by the words of the question. Performs no I/O."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from runner.core.cjk_characters import HAN
from runner.core.suite import NONCE
from runner.core.tool_call import ToolCall
from runner.simulator.schema_values import QuestionWords, make_value, names_in

Skill = Literal["right", "hasty", "in_text"]
"""Manner in which a persona calls tools and follows a schema. `right`: correctly. `hasty`: it calls only the first
tool, once, writes numbers as text, and leaves out the last property of a schema. `in_text`: it writes calls into the
text of its answer."""

MAX_CALLS = 8
CLAUSE = re.compile(r"[,;，；、]|\band\b|\bthen\b|以及|还有|和")
WORD = re.compile(r"[a-z]{3,}")
PAIRS = re.compile(rf"(?=([{HAN}]{{2}}))")
_COMMON = (
    "the and for get what which who how are was can could does did you your with from this that there their they them"
    " give given tell say please about into have has will would should any all one use used using call when where why"
    " its not but out our let list set make name number text string value current returns return"
)
COMMON = frozenset(_COMMON.split())
"""Words that do not help to find the tool that fits."""

TRANSLATED = {
    "天气": "weather",
    "气温": "temperature",
    "时间": "time",
    "几点": "time",
    "航班": "flight",
    "机票": "flight",
    "搜索": "search",
    "邮件": "email",
    "日历": "calendar",
    "汇率": "exchange",
    "股价": "stock",
}
"""Chinese word in a question -> English word in the description of a tool that fits."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called; `parameters` is the JSON Schema of its arguments, as JSON."""

    name: str
    description: str = ""
    parameters: str = "{}"

    @property
    def text(self) -> str:
        """The tool as a text, whose tokens count as input."""
        return f"{self.name} {self.description} {self.parameters}"

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of its arguments."""
        schema: Mapping[str, object] = json.loads(self.parameters)
        return schema

    @property
    def properties(self) -> Mapping[str, Mapping[str, object]]:
        """Its parameters: name -> schema."""
        found = self.schema.get("properties")
        listed = found.items() if isinstance(found, dict) else ()
        return {name: schema for name, schema in listed if isinstance(schema, dict)}

    @property
    def sole_text(self) -> str | None:
        """The name of its only required parameter if that is free text: then a call takes a single value; else None."""
        required = self.schema.get("required")
        needed = required if isinstance(required, list) and required else list(self.properties)
        if len(needed) != 1 or not isinstance(needed[0], str):
            return None
        schema = self.properties.get(needed[0], {})
        return needed[0] if schema.get("type", "string") == "string" and "enum" not in schema else None

    def score(self, text: str) -> int:
        """Return the number of words that the tool and a text share."""
        about = f"{self.name.replace('_', ' ').replace('-', ' ')} {self.description} {' '.join(self.properties)}"
        return len(_words(text) & _words(about))


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The tools of a request; `choice` is `auto`, `none`, `required`, or `=NAME` for a tool that must be called."""

    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    parallel: bool = True

    @property
    def must_call(self) -> bool:
        """Whether the answer must call a tool."""
        return self.choice not in ("auto", "none")

    def calls(self, question: str, skill: Skill, answered: int) -> tuple[ToolCall, ...]:
        """Return the calls that answer a question; empty if no tool fits or none may be called.

        Args:
            question: the user's last message.
            skill: the manner in which the persona calls tools.
            answered: the number of results since the question; it makes the ids of repeated calls different.

        """
        if not self.tools or self.choice == "none" or (answered and not self.must_call):
            return ()
        called = [*self._called(self._relevant_part(question), skill)][: MAX_CALLS if self.parallel else 1]
        return tuple(
            ToolCall(tool.name, arguments, _id(question, answered, index))
            for index, (tool, arguments) in enumerate(called)
        )

    def _relevant_part(self, question: str) -> str:
        """Return the last paragraph that a tool fits, or the whole question, without a nonce."""
        whole = NONCE.sub("", question)
        fitting = [text for text in whole.split("\n\n") if any(tool.score(text) for tool in self.tools)]
        return fitting[-1] if fitting else whole

    def _called(self, question: str, skill: Skill) -> Iterator[tuple[Tool, str]]:
        allowed = [tool for tool in self.tools if self.choice in ("auto", "required", f"={tool.name}")]
        if not allowed:
            return
        fits = self.must_call or any(tool.score(question) for tool in allowed)
        if skill == "hasty" and fits:
            yield allowed[0], _written(_as_texts(make_value(allowed[0].schema, QuestionWords(question))))
        elif fits:
            for tool, text in self._clauses(question, allowed):
                yield tool, _written(make_value(tool.schema, QuestionWords(text)))

    def _clauses(self, question: str, allowed: Sequence[Tool]) -> Iterator[tuple[Tool, str]]:
        """Yield each tool to call, with the part of the question that it answers.

        A clause starts a new call if another tool fits it better, or if it has a further value for a tool that takes a
        single one.
        """
        tool, text = max(allowed, key=lambda each: each.score(question)), ""
        for clause in CLAUSE.split(question):
            best = max(allowed, key=lambda each: each.score(clause))
            if not text.strip():
                tool, text = (best if best.score(clause) else tool), text + clause
            elif best.score(clause) > tool.score(clause) or self._has_further_value(text, clause, tool):
                yield tool, text
                tool, text = (best if best.score(clause) else tool), clause
            else:
                text = f"{text},{clause}"
        yield tool, text

    @staticmethod
    def _has_further_value(text: str, clause: str, tool: Tool) -> bool:
        """Return whether a clause has a further value for a tool that takes a single one; options do not count."""
        options = [schema.get("enum") for schema in tool.properties.values()]
        chosen = {str(each).lower() for listed in options if isinstance(listed, list) for each in listed}
        named = [{name.lower() for name in names_in(f" {each}")} - chosen for each in (text, clause)]
        return tool.sole_text is not None and all(named)


NO_TOOLS = ToolUse()
"""Value of a request without tools."""


def _words(text: str) -> set[str]:
    """Return the first letters of the significant words of a text, and pairs of its Chinese characters."""
    words = {word for word in WORD.findall(text.lower()) if word not in COMMON}
    words |= {english for chinese, english in TRANSLATED.items() if chinese in text}
    return {word[:5].removesuffix("s") for word in words} | set(PAIRS.findall(text))


def _as_texts(value: object) -> object:
    """Return a value with all numbers in it as text, as careless models write them."""
    if isinstance(value, dict):
        return {name: _as_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_texts(each) for each in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _id(question: str, answered: int, index: int) -> str:
    digest = blake2b(f"{answered} {index} {question}".encode("utf-8", "replace"), digest_size=6).hexdigest()
    return f"call_sim_{digest}"


def calls_as_text(calls: Sequence[ToolCall]) -> str:
    """Return calls in the form in which models wrongly write them into their answer."""
    written = (f'{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}' for call in calls)
    return "\n".join(f"<tool_call>\n{each}\n</tool_call>" for each in written)


def structured_answer(schema: str, question: str, skill: Skill) -> str:
    """Return an answer that fits a JSON Schema, given as JSON; unless `skill` is `right`, one that does not fit."""
    value = make_value(json.loads(schema), QuestionWords(question))
    if skill == "hasty" and isinstance(value, dict) and value:
        value.popitem()
    written = json.dumps(value, ensure_ascii=False, indent=1)
    return f"Here is the JSON:\n\n```json\n{written}\n```\nI hope this helps." if skill == "in_text" else written
