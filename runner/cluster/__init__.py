"""A run heard by the workers of a Ray cluster.

This process, the driver, keeps the plan, the schedule, the lanes, retries and the journal, so that a provider's limits
and the one row for each request need no agreement between machines. A worker only sends what it is handed and hears
the reply out, by the same engine and wire; if it dies, what it was hearing is asked again by another.
"""
