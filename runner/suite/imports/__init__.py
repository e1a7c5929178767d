"""Files of other tools become suites, and a list of what in them has no counterpart here."""
