"""Import promptfoo configurations: prompts times tests become cases, assertions checks, providers targets.

Only plain data is imported. Code, verdicts of a model, and features that this project computes differently are skipped
and listed with their places; a test whose meaning would change without them is skipped as a whole.
"""
