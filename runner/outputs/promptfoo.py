"""A run's replies for promptfoo: the JSON list that its `eval --assertions FILE --model-outputs FILE` reads.

Each item is an `output` with `tags`, which promptfoo shows beside it, joined by commas.
"""

import json

from runner.analysis.run import Run
from runner.core.record import Record
from runner.outputs.export import Export, counted
from runner.outputs.text.printable import escape_surrogates


def write(run: Run) -> Export:
    """Write every reply that has text; warm-ups and requests without a reply are left out."""
    counting = [record for record in run.records if not record.warmup]
    replied = [record for record in counting if record.reply]
    items = [{"output": record.reply, "tags": _tags(record)} for record in replied]
    text = json.dumps(items, ensure_ascii=False, indent=2) + "\n"
    silent = len(counting) - len(replied)
    left = f"left out: {counted(silent, 'request', 'requests')} of {len(counting):,} without a reply"
    return Export(escape_surrogates(text), (left,) if silent else ())


def _tags(record: Record) -> list[str]:
    """Say whose reply to what this is, and whether it is one to trust."""
    identity = record.identity
    tags = [identity.target, f"case {identity.case}", f"turn {identity.turn}", f"repeat {identity.repeat}"]
    return [*tags, record.outcome.value, *(["simulated"] if identity.simulated else [])]
