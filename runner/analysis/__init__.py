"""Tables and statistics of runs: records in, data frames, summaries and verdicts out."""
