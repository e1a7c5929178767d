"""Lanes and the run itself."""
