"""A comparison for a terminal, a notebook, a pull request, a program and a CI server: one file for each format."""
