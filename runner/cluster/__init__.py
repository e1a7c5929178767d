"""A run on the workers of a Ray cluster.

This process, the driver, keeps the plan, the schedule, the lanes, the retries and the journal. So machines need not
agree on a provider's limits or on the single row of a request. A worker only runs attempts, with the same engine and
wire; if it is lost, another worker repeats them.
"""
