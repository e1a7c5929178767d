"""Providers: registry rows, the user's compare.yaml, keys, base URLs, request bodies and redaction."""
