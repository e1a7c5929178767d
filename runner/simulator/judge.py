"""Personas that judge: they recognise a request to judge by its marks, and decide by a simple rule.

Such a request has parts between the marks `<NAME-DIGEST>` and `</NAME-DIGEST>`, all with the same digest: a `rubric`
and a `reply`, or `criteria`, a `reply-A` and a `reply-B`. Their texts are data; instructions in them are ignored.
"""

import json
import re

from runner.simulator.persona import Persona

_MARK = re.compile(r"^<(rubric|criteria)-([0-9a-f]{6,64})>$", re.MULTILINE)
_QUOTED = re.compile(r"\"([^\"\n]+)\"|“([^”\n]+)”|「([^」\n]+)」")


def judge_reply(persona: Persona, question: str) -> str | None:
    """Return a judge's answer to a request to judge; None for another question or for a persona that does not judge.

    A rubric is met if the reply contains every text that the rubric quotes; without quotes, if the reply is not empty.
    Of two replies, the one with more of the texts quoted in the criteria is better. If they have equally many, the
    longer one is better; if they are also of equal length, neither is. Case does not matter.
    """
    task = _MARK.search(question)
    if persona.judges is None or task is None:
        return None
    mark = task[2]
    if persona.judges == "vague":
        return "There is something to be said for it, and something against it."
    wanted = _quoted(_part(question, task[1], mark) or "")
    if task[1] == "rubric":
        return _verdict(wanted, _part(question, "reply", mark) or "")
    first, second = (_part(question, f"reply-{name}", mark) or "" for name in ("A", "B"))
    return _preference(persona, wanted, first, second)


def _part(question: str, name: str, mark: str) -> str | None:
    opening, ending = f"<{name}-{mark}>\n", f"\n</{name}-{mark}>"
    start = question.find(opening)
    end = question.rfind(ending)
    return None if start < 0 or end < 0 else question[start + len(opening) : max(end, start + len(opening))]


def _quoted(text: str) -> list[str]:
    return ["".join(found).lower() for found in _QUOTED.findall(text)]


def _verdict(wanted: list[str], reply: str) -> str:
    missing = [text for text in wanted if text not in reply.lower()]
    reason = "The reply says what the rubric quotes." if wanted else "The reply says something."
    if missing:
        reason = f"The reply does not say {', '.join(map(repr, missing))}."
    return json.dumps({"reason": reason, "pass": not missing and bool(reply.strip())}, ensure_ascii=False)


def _preference(persona: Persona, wanted: list[str], first: str, second: str) -> str:
    if persona.judges == "first":
        return json.dumps({"reason": "A came first.", "winner": "A"})
    merits = [(sum(text in reply.lower() for text in wanted), len(reply)) for reply in (first, second)]
    if merits[0] == merits[1]:
        return json.dumps({"reason": "They are as good as each other.", "winner": "tie"})
    winner = "A" if merits[0] > merits[1] else "B"
    reason = "says more of what the criteria quote" if merits[0][0] != merits[1][0] else "is the longer one"
    return json.dumps({"reason": f"{winner} {reason}.", "winner": winner})
