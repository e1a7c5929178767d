"""The public Python API behind `from runner import ...`, for scripts and notebooks."""
