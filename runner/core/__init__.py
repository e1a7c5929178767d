"""Values that all other packages use: suite, load profile, nodes, events, fold, record, percentiles, hints."""
