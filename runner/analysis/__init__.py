"""Journals become tidy tables; all statistics."""
