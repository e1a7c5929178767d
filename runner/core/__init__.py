"""The values that every room speaks in: suite, load profile, events, fold, record, hints."""
