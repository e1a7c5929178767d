"""nginx in front of a server: rows that its buffering affects are flagged, and no others."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import sleep

import pytest

from runner.calibration.measure import CalibrationLoad, run_load
from runner.commands.event_loop import run_async
from runner.core.record import Record
from runner.outputs.text.labels import describe_flag
from runner.simulator.child_process import launch_sync
from runner.storage import journal
from tests.support.scripted_server import unused_port

pytestmark = pytest.mark.nginx

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /default/ {{ proxy_pass {upstream}/; }}
        location /large/ {{ proxy_pass {upstream}/; proxy_buffers 4 64k; proxy_buffer_size 64k; }}
        location /off/ {{ proxy_pass {upstream}/; proxy_buffering off; }}
        location /asked/ {{ proxy_pass http://127.0.0.1:{port}/tells/; }}
        location /tells/ {{ proxy_pass {upstream}/; proxy_buffering off; add_header X-Accel-Buffering no; }}
    }}
}}
"""

LONG = CalibrationLoad(concurrency=1, requests=2, ttft_ms=150, gap_ms=4, tokens=400)
SHORT = CalibrationLoad(concurrency=1, requests=2, ttft_ms=150, gap_ms=10, tokens=30)
MANY_IN_EACH = CalibrationLoad(concurrency=1, requests=2, ttft_ms=150, gap_ms=60, tokens=30)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run nginx before the simulator; yield its address."""
    command = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert command is not None, "nginx is not installed: apt-get install nginx-light"
    folder, port = tmp_path_factory.mktemp("nginx"), unused_port()
    with launch_sync() as base_url:
        upstream = base_url.removesuffix("/v1")
        (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port, upstream=upstream))
        with subprocess.Popen([command, "-p", str(folder), "-c", "nginx.conf"]) as process:
            try:
                _await_listener(process, port)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def _await_listener(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(200):
        assert process.poll() is None, "nginx ended"
        with closing(socket.socket()) as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.05)
    raise AssertionError("nginx does not listen")


def records_through(url: str, load: CalibrationLoad, folder: Path) -> list[Record]:
    """Send a load through a proxy; return the records."""
    run_async(run_load, f"{url}/v1", load, folder)
    records = list(journal.read(folder).records)
    assert [record.outcome for record in records] == ["ok"] * load.requests
    return records


@pytest.mark.parametrize("load", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("place", ["default", "large"])
def test_buffered_stream_is_flagged_and_gives_no_rate(
    proxy: str, place: str, load: CalibrationLoad, tmp_path: Path
) -> None:
    """With nginx's default settings, and with larger buffers, TTFT is far from the true one."""
    for record in records_through(f"{proxy}/{place}", load, tmp_path):
        assert "buffered" in record.flags
        assert (record.tpot_s, record.output_tps, record.output_cps, record.inter_chunk_latency_s(0.5)) == (None,) * 4
        assert record.ttft_s is not None
        assert record.ttft_s > load.ttft_ms / 1000
        assert record.chunks == load.tokens
    assert "proxy_buffering off" in describe_flag("buffered")
    assert "X-Accel-Buffering: no" in describe_flag("buffered")


@pytest.mark.parametrize("load", [LONG, SHORT, MANY_IN_EACH], ids=["long", "short", "slow"])
@pytest.mark.parametrize("place", ["off", "asked"])
def test_unbuffered_stream_keeps_its_rate(proxy: str, place: str, load: CalibrationLoad, tmp_path: Path) -> None:
    """Without buffering, or with the header `X-Accel-Buffering: no`, no row is flagged."""
    for record in records_through(f"{proxy}/{place}", load, tmp_path):
        assert "buffered" not in record.flags
        assert record.output_tps is not None
        assert record.inter_chunk_latency_s(0.5) is not None
