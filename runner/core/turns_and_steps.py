"""The numbers of a conversation's turns, and of the steps in which a model calls tools.

A turn of the user has up to `max_steps` steps: its prompt, then the results of the tools that the model called. Step s
of the user's turn u has the number `(u - 1) * max_steps + s`, whatever the model did before, so that turns of equal
numbers can be compared across targets.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from runner.core.tool_call import ToolCall

NO_TOOL_RESULT = "no_tool_result"
"""Flag of a reply that called a tool for which the suite has no result, so that its turn ended."""

MAX_STEPS_REACHED = "max_steps"
"""Flag of a reply that called tools in the last step allowed in its turn."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a case's conversation: the number of turns, the most steps in each, and the tools with results."""

    turns: int = 1
    max_steps: int = 1
    answered: Collection[str] = ()
    idles: Sequence[float] = ()
    """Pauses in seconds before the turns of a cache probe, each of which is the first one sent again."""

    @property
    def most(self) -> int:
        """Most requests of a conversation."""
        return self.turns * self.max_steps

    def turn_and_step(self, turn: int) -> tuple[int, int]:
        """Return the turn of the user and the step in it for a turn's number; both count from 1."""
        before, step = divmod(turn - 1, self.max_steps)
        return before + 1, step + 1

    def name(self, turn: int) -> str:
        """Return a turn's number in words: `turn 2`, `step 3`, `turn 2 · step 3`; empty for the first one.

        A turn of a cache probe is named by the pause before it: `again after 5 min`.
        """
        if 1 < turn <= len(self.idles):
            return name_repeat(self.idles[turn - 1])
        asked, step = self.turn_and_step(turn)
        return " · ".join(f"{word} {number}" for word, number in (("turn", asked), ("step", step)) if number > 1)

    def name_question(self, case: str, turn: int) -> str:
        """Return the name of a question: its case and, after the first one, the turn and the step."""
        return " · ".join(filter(None, (case, self.name(turn))))

    def next_turn(self, turn: int, calls: Sequence[ToolCall]) -> int:
        """Return the number of the turn after a reply with these calls.

        It is the next step if results of the calls are sent, else the next turn of the user.
        """
        return turn + 1 if self.are_answered(turn, calls) else self.turn_and_step(turn)[0] * self.max_steps + 1

    def are_answered(self, turn: int, calls: Sequence[ToolCall]) -> bool:
        """Return whether the results of the calls made in a turn are sent."""
        return bool(calls) and self.turn_and_step(turn)[1] < self.max_steps and self._have_results(calls)

    def is_last(self, turn: int, calls: Sequence[ToolCall]) -> bool:
        """Return whether a turn whose reply makes these calls ends the conversation; without a reply, pass no calls."""
        return self.next_turn(turn, calls) > self.most

    def unanswered_flag(self, turn: int, calls: Sequence[ToolCall]) -> str | None:
        """Return the flag of a reply whose calls get no results although the suite has some; None for other replies."""
        if not calls or not self.answered or self.are_answered(turn, calls):
            return None
        return MAX_STEPS_REACHED if self._have_results(calls) else NO_TOOL_RESULT

    def _have_results(self, calls: Sequence[ToolCall]) -> bool:
        return all(call.name in self.answered for call in calls)


NO_STEPS = Steps()
"""Steps of a conversation whose turns are one request each."""


def name_repeat(idle_s: float) -> str:
    """Return the name of a repeat in a cache probe, after a pause in seconds: `again at once`, `again after 5 min`."""
    if not idle_s:
        return "again at once"
    return f"again after {idle_s / 60:g} min" if idle_s >= 60 else f"again after {idle_s:g} s"


def results_prompt(results: Iterable[tuple[str, str]]) -> str:
    """Return the (tool, result) pairs as the text that tables show in place of a prompt."""
    return "\n".join(f"[{name}] {result}" for name, result in results)


def divide_results(prompt: str, calls: Sequence[ToolCall]) -> list[tuple[ToolCall, str]]:
    """Parse the output of `results_prompt`: return each result with its call; empty if no calls match.

    Args:
        prompt: the prompt of a step.
        calls: the calls of the conversation so far; the results answer the last ones.

    """
    for count in range(len(calls), 0, -1):
        last = calls[len(calls) - count :]
        results = _split_results(prompt, [call.name for call in last])
        if results is not None:
            return list(zip(last, results, strict=True))
    return []


def _split_results(prompt: str, names: Iterable[str]) -> list[str] | None:
    """Return the text after each of the names, which must come in this order; None if one is missing.

    Each name is searched only after the one before it, so equal names do not multiply the time.
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
    """Return the calls of one reply with an id each, so that results can refer to them; keep ids that are distinct.

    A generated id is `prefix` and three digits: nine letters and digits, the only form that Mistral accepts.
    """
    if all(call.id for call in calls) and len({call.id for call in calls}) == len(calls):
        return tuple(calls)
    return tuple(replace(call, id=f"{prefix}{number:03}") for number, call in enumerate(calls, 1))
