"""The checks that a suite can make of a reply, each a pure function of one record.

`apply_checks.CHECKS` has them by the names that a suite uses. The values that a suite gives them are plain data in a
run's header, so that verdicts are computed whenever a journal is read.
"""
