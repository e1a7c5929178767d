"""The history of targets over many runs: a table with sparklines for a terminal, and JSON."""
