"""The simulator: an OpenAI-compatible server with a known clock, for calibration, replays and trials without a key."""
