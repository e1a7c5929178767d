"""The simulator: an OpenAI-compatible server with a known clock, for calibration, replays and tries without a key."""

LOOPBACK = "127.0.0.1"
"""Where it listens, unless another address is named."""
