"""This machine's own timing error, measured against a server with a known clock."""
