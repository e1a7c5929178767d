"""The public Python API: what `from runner import ...` gives, in a script or a notebook."""
