"""The numbers of a conversation's turns, and of the steps in which a model calls tools.

A turn of the user has up to `max_steps` steps: its prompt, then the results of the tools that the model called. Step s
of the user's turn u has the number `(u - 1) * max_steps + s`, whatever the model did before, so that turns of equal
numbers can be compared across targets.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from runner.core.tool_call import ToolCall

NO_TOOL_RESULT = "no_tool_result"
"""The flag of a reply that called a tool without a result in the suite, so that its turn ended there."""

MAX_STEPS = "max_steps"
"""The flag of a reply that called tools in the last step that its turn may have."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a case's conversation: its turns of the user, the most steps of each, and the tools with results."""

    turns: int = 1
    max_steps: int = 1
    answered: Collection[str] = ()

    @property
    def most(self) -> int:
        """The most requests of a conversation."""
        return self.turns * self.max_steps

    def place(self, turn: int) -> tuple[int, int]:
        """Return the turn of the user and the step in it, both from 1, that a turn's number stands for."""
        before, step = divmod(turn - 1, self.max_steps)
        return before + 1, step + 1

    def name(self, turn: int) -> str:
        """Return what people call a turn's number: `turn 2`, `step 3`, `turn 2 · step 3`; empty for the first one."""
        asked, step = self.place(turn)
        return " · ".join(f"{word} {number}" for word, number in (("turn", asked), ("step", step)) if number > 1)

    def name_question(self, case: str, turn: int) -> str:
        """Return the name of a question: its case and, from the second on, the turn and the step."""
        return " · ".join(filter(None, (case, self.name(turn))))

    def next_turn(self, turn: int, calls: Sequence[ToolCall]) -> int:
        """Return the number of the turn after a reply with these calls: a step if results are sent, else a prompt."""
        return turn + 1 if self.are_answered(turn, calls) else self.place(turn)[0] * self.max_steps + 1

    def are_answered(self, turn: int, calls: Sequence[ToolCall]) -> bool:
        """Return whether the results of these calls, made in a turn, are sent."""
        return bool(calls) and self.place(turn)[1] < self.max_steps and self._have_results(calls)

    def is_last(self, turn: int, calls: Sequence[ToolCall]) -> bool:
        """Return whether a reply with these calls, or a turn without a reply, ends the conversation."""
        return self.next_turn(turn, calls) > self.most

    def why_unanswered(self, turn: int, calls: Sequence[ToolCall]) -> str | None:
        """Return the flag of a reply whose calls got no results although the suite has some; None for other replies."""
        if not calls or not self.answered or self.are_answered(turn, calls):
            return None
        return MAX_STEPS if self._have_results(calls) else NO_TOOL_RESULT

    def _have_results(self, calls: Sequence[ToolCall]) -> bool:
        return all(call.name in self.answered for call in calls)


NO_STEPS = Steps()
"""Those of a conversation whose turns are one request each."""


def results_prompt(results: Iterable[tuple[str, str]]) -> str:
    """Return the results of tools, by their names, as a table shows them in place of a prompt."""
    return "\n".join(f"[{name}] {result}" for name, result in results)


def divide_results(prompt: str, calls: Sequence[ToolCall]) -> list[tuple[ToolCall, str]]:
    """Return the results in what `results_prompt` wrote, each with its call; nothing where it is of none of these.

    Args:
        prompt: of a step of a turn.
        calls: those of the conversation so far, of which the last ones were answered.

    """
    for count in range(len(calls), 0, -1):
        last = calls[len(calls) - count :]
        results = _split_results(prompt, [call.name for call in last])
        if results is not None:
            return list(zip(last, results, strict=True))
    return []


def _split_results(prompt: str, names: Iterable[str]) -> list[str] | None:
    """Return the text behind each of these names, which come in this order; None if one is missing.

    Each name is looked for behind the one before it and nowhere else: the time does not grow with the number of ways in
    which equal names could be found.
    """
    parts, rest = [], f"\n{prompt}"
    for name in names:
        part, found, rest = rest.partition(f"\n[{name}] ")
        if not found:
            return None
        parts.append(part)
    before, *results = [*parts, rest]
    return None if before else results


def distinct_calls(calls: Sequence[ToolCall], prefix: str) -> tuple[ToolCall, ...]:
    """Return the calls of one reply with an id each, their own if they are distinct, so that results can name them.

    An id that is made up is `prefix` and three digits: nine letters and digits, the only form that Mistral takes.
    """
    if all(call.id for call in calls) and len({call.id for call in calls}) == len(calls):
        return tuple(calls)
    return tuple(replace(call, id=f"{prefix}{number:03}") for number, call in enumerate(calls, 1))
