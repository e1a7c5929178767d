"""A run's journal: observations as JSON lines, from which records are read. This package defines the format.

Format 1 (0.1.0): one JSON object a line, each with a `kind`: `header` first, then `connection`, `attempt`,
`record` and `limit` as they happen, `end` when the run ended by itself. Timestamps are nanoseconds since the run's
start; text events are three columns, their times in microseconds since `sent`, each as the difference from the last.

A resumed run adds a `resume` line. `changes` has the members of the header that changed. `redone` has the keys that are
requested again, whose earlier records no longer count. `dropped` has the keys of all records that are not in the plan;
the newest such line decides. So each planned request has one record that counts, and no line is ever changed.
Timestamps continue after a resume by the wall clock.

If a suite has functions of its own as checks, a `check` line has their results for the record with its `key`: `said`
maps the name of each function to the reason of its failure, or null. The functions are called once; reading a journal
runs no code.

An `attached` line has the attachments of each turn of a conversation so far, if they were not known when the run
began, as in a chat. Those of a suite's cases are in the header.

If a model judges replies, its requests have the same lines as those of a run, with `judge_` in front of their kinds.
So they are in no table of the run. A `judge` line comes first: the target, its parameters, its price, and the
criteria if it compares replies. A `judgement` line says that the judge was asked a `rubric` about the record with its
`key`; a `preference` line, that it was asked which of the records `first` and `second`, in this order, is better. `by`
is the key of the judge's request: equal content has an equal key, and is asked once. Verdicts are read out of the
judge's answer whenever a journal is read.

A run on a cluster has a `worker` line for each worker, with the result of its calibration. It has a `worker_lost` line
for each worker that was lost while it was needed. If each node sent every request, the header's `vantages` names the
nodes.

A line is appended with one write and never changed. A torn last line, as a killed run leaves it, is
tolerated, reported, and cut off before anything is appended after it.
"""

from runner.storage.journal.header import FORMAT, Header, changes_between
from runner.storage.journal.line import decode_record, encode_record
from runner.storage.journal.reader import Journal, read
from runner.storage.journal.writer import JOURNAL_FILE, JournalWriter

__all__ = [
    "FORMAT",
    "JOURNAL_FILE",
    "Header",
    "Journal",
    "JournalWriter",
    "changes_between",
    "decode_record",
    "encode_record",
    "read",
]
