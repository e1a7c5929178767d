"""The run: schedule, lanes, attempts, retries, and the records that come of them."""
