"""The network: connections, timestamps, framing, and the decoders that turn bytes into timestamped events."""
