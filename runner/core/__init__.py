"""Values that all other packages use: suite, load profile, cluster, events, records, percentiles, hints."""
