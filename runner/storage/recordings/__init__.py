"""What each attempt heard, byte for byte, beside a run's journal. Owns the format and its history.

Format 1 (0.1.0): `recordings.bin` begins with `compare recordings 1` and a newline. Then comes one frame an attempt:
four sizes (little-endian, three of 4 bytes, one of 8), then four zlib streams of these sizes. The first is the label, a
JSON object: which request and attempt this is, the status and headers, the stamps around the body, what ended it. The
second is the stamp of each read as the step from the one before (the first from 0), the third how many bytes each
brought, both as signed 64-bit numbers. The fourth is these bytes, one read behind the other, HTTP framing and
compression off.

Stamps are `time.perf_counter_ns` of the process that heard them; the label's `epoch_ns` is the run's start by that
clock.
A frame is appended with one write and never changed. A torn last frame is tolerated, and cut off before anything is
appended behind it. Keys are hidden in everything, and of a request nothing is kept but a digest.
"""
