"""A run's facts as lines: what was observed goes in, records come out. Owns the format and its history.

Format 1 (0.1.0): one JSON object a line, each with a `kind`: `header` first, then `connection`, `attempt`,
`record` and `limit` as they happen, `end` when the run came to its own end. Stamps are nanoseconds since the run's
start; text events are three columns, their times in microseconds since `sent`, each as the step from the one before.

A run that goes on later adds a `resume` line: what has changed of the header (`changes`), the keys whose records
before it count no longer since they are asked anew (`redone`), and the keys of all records that the plan does not
hold (`dropped`; the newest such line decides). So each planned request stands in a journal once, though nothing is
ever changed in it. Its stamps go on by the wall clock.

Where a suite brings functions of its own as checks, a `check` line holds what they `said` of the record with its `key`:
each one's name, and why it fails or null. They are asked once; whoever reads a journal runs no code.

A run heard by a cluster has a `worker` line for each worker, with what its calibration found, and a `worker_lost` line
for each that was lost while it was needed. Where each node asked everything, the header's `vantages` names them.

A line is appended with one write and never changed. A torn last line, as a killed run leaves it, is
tolerated, reported, and cut off before anything is appended behind it.
"""

from runner.storage.journal.header import FORMAT, Header, changes_between
from runner.storage.journal.line import decode_record, encode_record
from runner.storage.journal.reader import Journal, read
from runner.storage.journal.writer import FILE_NAME, JournalWriter

__all__ = [
    "FILE_NAME",
    "FORMAT",
    "Header",
    "Journal",
    "JournalWriter",
    "changes_between",
    "decode_record",
    "encode_record",
    "read",
]
