"""The simulator: an OpenAI-compatible server with a known clock, for calibration, replays and trials without a key."""

LOOPBACK = "127.0.0.1"
"""Default address of the simulator."""
