"""Imports from other tools: each file becomes a suite and a list of what has no counterpart in one."""
