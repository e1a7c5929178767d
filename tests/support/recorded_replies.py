"""Runs that hold only recordings, and the server that replays them."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.storage.recordings.recording_format import Label, Reads, conversation_digest, encode_frame, pack_reads
from runner.storage.recordings.writer import RecordingWriter
from tests.support.command import finish, start


@contextmanager
def replaying(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Run `compare replay` while the block lasts; yield its base URL, and its other output."""
    server = start(folder, "replay", "out", "--port", "0", "--fast")
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        told = [server.stdout.readline(), server.stdout.readline()]
        yield first.split(" at ")[1].split(",")[0], [first, *told]
    finally:
        server.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        ended = finish(server)
    assert ended.returncode == 0, ended.stderr


def recorded_reply(
    provider: str, text: str, reply: str, *, sent_ns: int, model: str = "m", **more: Any
) -> tuple[Label, list[tuple[int, bytes]]]:
    """Return a recording of one question and its reply."""
    digest = conversation_digest(model, [("user", text)])
    fields = {"status": 200, "headers": {"x-request-id": f"id-{sent_ns}"}, "headers_ns": sent_ns, **more}
    label = Label("k", 1, provider, model, digest, epoch_ns=0, sent_ns=sent_ns, **fields)
    return label, [(sent_ns, reply.encode())]


def write_recordings(folder: Path, taken: Sequence[tuple[Label, Reads]]) -> None:
    """Write a run that holds only recordings, as `out`."""
    (folder / "out").mkdir()
    (folder / "out" / "journal.jsonl").write_text("")
    with RecordingWriter(folder / "out") as writer:
        for label, reads in taken:
            writer.append_bytes(encode_frame(label, pack_reads(reads)))
