"""Replies of a run as the JSON list that promptfoo's `eval --assertions FILE --model-outputs FILE` reads.

Each item has an `output` and `tags`, which promptfoo shows beside it. Tool calls follow the text as a JSON list of
names and arguments, for the assertions `is-json` and `contains-json`.
"""

from runner.analysis.check_results import Expectations, steps_in
from runner.analysis.run_results import Run
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.tool_call import write_calls
from runner.errors import counted
from runner.outputs import Export
from runner.outputs.text.escape import dump_json


def write(run: Run) -> Export:
    """Return all replies, including empty ones; warm-ups and requests without a reply are left out."""
    measured = [record for record in run.records if not record.warmup]
    replied = [record for record in measured if record.reply or record.calls or record.outcome in TIMED]
    items = [{"output": _output(record), "tags": _tags(record, run.header.checks)} for record in replied]
    without_reply = len(measured) - len(replied)
    note = f"left out: {counted(without_reply, 'request')} of {len(measured):,} without a reply"
    return Export(dump_json(items) + "\n", (note,) if without_reply else ())


def _output(record: Record) -> str:
    return "\n\n".join(filter(None, (record.reply, write_calls(record.calls))))


def _tags(record: Record, checks: Expectations) -> list[str]:
    """Return tags for target, case, turn, step, repeat and outcome, and for a simulated reply."""
    identity = record.identity
    asked, step = steps_in(checks, identity.case).turn_and_step(identity.turn)
    tags = [identity.target, f"case {identity.case}", f"turn {asked}", *([f"step {step}"] if step > 1 else [])]
    tags += [f"repeat {identity.repeat}"]
    return [*tags, record.outcome.value, *(["simulated"] if identity.simulated else [])]
