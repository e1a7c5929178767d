"""What a suite demands of a reply: a small closed set of checks, each a pure function of one record.

`CHECKS` names them as a suite does. Demands are plain data, as a run's header stores them, so that verdicts are
derived whenever a journal is read.
"""
