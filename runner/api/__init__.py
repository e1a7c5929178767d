"""What `from runner import ...` gives: runs as tables, replies side by side, differences, in a script or a notebook."""
