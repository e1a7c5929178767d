"""A comparison for a terminal, a pull request, a program and a CI server: one file a format."""
