"""The bytes that each attempt received, beside a run's journal. This package defines the format.

Format 1 (0.1.0): `recordings.bin` begins with `compare recordings 1` and a newline. Then comes one frame for each
attempt: four sizes (little-endian, three of 4 bytes, one of 8), then four zlib streams of these sizes. The first is the
label, a JSON object: the request and the attempt, the status and headers, the timestamps around the body, how the
attempt ended. The second has the timestamp of each read as the difference to the one before (the first to 0). The third
has the number of bytes of each read; both are signed 64-bit numbers. The fourth has these bytes, one read after the
other, without HTTP framing and compression.

Timestamps are `time.perf_counter_ns` of the process that read them; the label's `epoch_ns` is the run's start by that
clock.
A frame is appended with one write and never changed. A torn last frame is tolerated, and cut off before anything is
appended after it. Keys are redacted everywhere, and of a request only a digest is kept.
"""
