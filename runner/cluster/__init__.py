"""A run on the workers of a Ray cluster.

This process, the driver, keeps the plan, the schedule, the lanes, retries and the journal, so that a provider's limits
and the one row for each request need no agreement between machines. A worker only runs the attempts it is given, by the
same engine and wire; if it is lost, its attempts are repeated by another.
"""
