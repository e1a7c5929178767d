"""This machine's own clock error, measured against a server with a known clock."""
