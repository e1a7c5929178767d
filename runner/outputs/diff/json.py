"""JSON of a comparison for programs, with unrounded figures and whole replies. Absent values are null."""

from dataclasses import asdict

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.reply_diff import ReplyChange, ReplyTally
from runner.outputs.text.escape import dump_json


def write(difference: Difference) -> str:
    """Return a comparison as a JSON document."""
    document = {
        "verdict": difference.verdict,
        **asdict(difference),
        "findings": [_flatten(finding) for finding in difference.findings],
        "replies": [_flatten_reply(change) for change in difference.replies],
    }
    return dump_json(document) + "\n"


def _flatten(finding: DiffFinding) -> dict[str, object]:
    """Return a finding whose measure and decision are at the same level as its figures."""
    plain = asdict(finding)
    del plain["decision"]
    measure, decision = finding.measure, finding.decision
    return {
        **plain,
        "measure": measure.name,
        "unit": measure.unit,
        "better": measure.better,
        "verdict": decision.verdict,
        "doubt": decision.reason,
        "needed": decision.needed,
        "needed_rounds": decision.rounds,
    }


def _flatten_reply(change: ReplyChange) -> dict[str, object]:
    """Return the change of a reply under the names of the first version of the document."""
    plain = {("likeness" if name == "similarity" else name): value for name, value in asdict(change).items()}
    return {**plain, "base": _flatten_tally(change.base), "new": _flatten_tally(change.new)}


def _flatten_tally(tally: ReplyTally) -> dict[str, object]:
    """Return a tally in which text and tool calls replace the most frequent reply."""
    reply = tally.most_frequent
    figures = {name: value for name, value in asdict(tally).items() if name != "most_frequent"}
    calls = [call.plain for call in reply.calls] if reply else []
    return {"text": reply.text if reply else None, **({"tool_calls": calls} if calls else {}), **figures}
