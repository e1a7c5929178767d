"""Votes of people on replies: tables for a terminal, Markdown, and JSON."""
