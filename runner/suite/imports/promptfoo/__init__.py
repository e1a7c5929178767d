"""promptfoo's configuration becomes a suite: prompts times tests are cases, assertions checks, providers targets.

Taken is what is plain data. What is code, what is judged by a model and what this project computes otherwise is left,
each with its place; a test that would ask or judge something else without it is left as a whole.
"""
