"""The one door to the network: bytes in, stamped events out."""
