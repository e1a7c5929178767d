"""The bytes of a response become events: one decoder for each API, and what they share. No I/O, no clock."""
