"""The network: connections, timestamps, HTTP framing, timeouts; `decoders/` turns what arrived into events."""
