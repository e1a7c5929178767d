"""Whom to ask: registry rows, the user's rows, keys."""
