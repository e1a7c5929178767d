"""Runs on a cluster of three nodes: the same rows and limits as on one machine, and no loss with a worker."""

import json
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, Popen, run
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from runner.cluster.worker import TRIAL
from tests.support.command import compare, own_environment, read_lines, read_rows, write_config, write_yaml
from tests.support.media_files import png
from tests.support.ray_cluster import NODES, OBJECT_STORE_BYTES, RayCluster, launch_cluster
from tests.support.resumable_run import ResumableRun, open_run
from tests.support.scripted_server import event_stream, serve, sse_event
from tests.support.tool_server import WEATHER, ToolReply, answered_by, call

pytestmark = pytest.mark.ray

KEY = "sk-acme-never-in-any-log-4711"
SLOW = "exact?ttft_ms=700&gap_ms=10&tokens=30"
CASES: list[dict[str, Any]] = [
    {"id": "hello", "prompt": "Hello"},
    {"id": "talk", "turns": ["My name is Ada.", "What is my name?"]},
]
TIMEOUT_S = 150
SOMETHING_ELSE = "a server that is not a cluster"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Serve a cluster while this module is tested."""
    pytest.importorskip("ray")
    with launch_cluster() as ray_cluster:
        yield ray_cluster


@pytest.fixture
def on_ray(cluster: RayCluster) -> tuple[str, ...]:
    """Return the options of a run on the cluster."""
    return ("--engine", "ray", "--address", cluster.address)


def await_line(path: Path, kind: str) -> dict[str, Any]:
    """Wait for the first line of a kind in a journal that is being written."""
    for _ in range(TIMEOUT_S * 10):
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            if f'"kind":"{kind}"' in line and line.endswith("}"):
                found: dict[str, Any] = json.loads(line)
                return found
        sleep(0.1)
    raise TimeoutError(f"no {kind} in {path}")


def finish(process: "Popen[str]") -> tuple[int, str, str]:
    """Wait for a command; return its exit code and what it printed."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return process.returncode, stdout, stderr


def planned_rows(cases: list[dict[str, Any]], repeat: int) -> Counter[tuple[str, int, int]]:
    """Count the rows of a plan: one for each case, turn and repeat."""
    turns = [(case["id"], turn) for case in cases for turn in range(1, len(case.get("turns", "1")) + 1)]
    return Counter((case, turn, number) for case, turn in turns for number in range(1, repeat + 1))


def recorded_rows(folder: Path) -> Counter[tuple[str, int, int]]:
    """Count the rows that a run has."""
    return Counter((row["case"], int(row["turn"]), int(row["repeat"])) for row in read_rows(folder))


def simulator_log(run: ResumableRun) -> list[dict[str, Any]]:
    """Return the simulator's own log."""
    with urlopen(run.base_url.removesuffix("/v1") + "/log") as reply:
        log: list[dict[str, Any]] = json.load(reply)
    return log


# The same run


def test_cluster_run_has_the_same_rows_as_one_machine(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """Keys, outcomes, replies and attempts are those of a run in one process; each row names its node and region."""
    with open_run(tmp_path, "quick", "quick?fault=http_500") as run:
        run.write_suite(CASES)
        common = ("run", "suite.yaml", "-p", "acme", "--repeat", "3", "--seed", "1", "--allow-errors", "100%")
        here = compare(tmp_path, *common, "-o", "here")
        there = compare(tmp_path, *common, "-o", "there", *on_ray)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr

    def recorded(folder: str) -> set[tuple[object, ...]]:
        lines = read_lines(tmp_path / folder, "record")
        return {(line["key"], line["outcome"], line.get("reply"), line.get("attempts")) for line in lines}

    assert recorded("there") == recorded("here")
    rows = [row for row in read_rows(tmp_path / "there") if row["outcome"] != "skipped"]
    page = (tmp_path / "there" / "report.html").read_text(encoding="utf-8")
    shown = f"clock error (TTFT) of each worker at the start, {TRIAL.concurrency} requests at a time: worker 1 on "
    assert (shown in there.stdout.replace("\n", " "), shown in page, "not calibrated" in page) == (True, True, False)
    assert {(row["node"], row["region"]) for row in rows} == {(name, region or "") for name, region in NODES.items()}


def test_workers_send_attached_files_that_they_do_not_have(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """The driver reads the files: their content travels with each attempt, and each row knows its upload."""
    (tmp_path / "chart.png").write_bytes(png(640, 480))
    with open_run(tmp_path, "quick") as run:
        run.write_suite([{"id": "chart", "prompt": [{"image": "chart.png"}, "What is it?"]}])
        done = compare(tmp_path, "run", "suite.yaml", "-p", "acme", "--repeat", "4", "-o", "out", *on_ray)
    assert done.returncode == 0, done.stderr
    rows = read_rows(tmp_path / "out")
    assert len(rows) == 4
    for row in rows:
        assert "640x480" in row["reply"]
        assert float(row["upload_s"]) >= 0


def test_variants_of_a_model_are_asked_and_resumed_on_a_cluster(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """Each variant has its own rows and parameters on each node; a resumed run sends only missing requests."""
    model = "exact?ttft_ms=10&gap_ms=1&tokens=4&thinking=8"
    variants = {"off": {"thinking": "off"}, "high": {"thinking": "high"}}
    suite = {"targets": [{"provider": "sim", "models": [model], "variants": variants}], "cases": CASES[:1]}
    write_yaml(tmp_path / "s.yaml", suite)
    ran = compare(tmp_path, "run", "s.yaml", *on_ray, "--vantage", "-o", "out")
    assert ran.returncode == 0, ran.stderr
    sent = {line["key"] for line in read_lines(tmp_path / "out", "record")}
    resumed = compare(tmp_path, "run", "--resume", "out", *on_ray, "--repeat", "2")
    assert resumed.returncode == 0, resumed.stderr
    rows = read_rows(tmp_path / "out")
    nodes = {row["node"] for row in rows}
    assert Counter((row["variant"], row["reasoning_tokens"], row["node"]) for row in rows) == {
        (variant, tokens, node): 2 for variant, tokens in (("off", "0"), ("high", "24")) for node in nodes
    }
    keys = Counter(line["key"] for line in read_lines(tmp_path / "out", "record"))
    assert (nodes, len(keys), set(keys.values())) == ({*NODES}, 4 * len(NODES), {1})
    assert sent < keys.keys()
    between = [f"sim/{model}#{variant}" for variant in variants]
    compared = compare(tmp_path, "diff", "out", "--between", *between, "--json")
    assert json.loads(compared.stdout)["paired"] is True


def test_workers_ask_in_every_api(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """A conversation over Messages sends signed thinking back from any node; tool calls are in their rows."""
    call = {"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    reply = event_stream(sse_event({"choices": [{"delta": {"tool_calls": [call]}}]}))
    targets: list[dict[str, Any]] = [
        {"provider": "sim", "models": ["thinker"], "api": "messages", "max_tokens": 3000},
        {"provider": "sim", "models": ["quick"], "api": "responses"},
        {"provider": "acme", "models": ["caller"]},
    ]
    write_yaml(tmp_path / "suite.yaml", {"targets": targets, "cases": CASES[1:]})
    with serve(reply) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True})
        done = compare(tmp_path, "run", "suite.yaml", *on_ray, "--repeat", "2", "-o", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    rows, lines = read_rows(tmp_path / "out"), read_lines(tmp_path / "out", "record")
    assert {(row["model"], row["outcome"]) for row in rows} == {(name, "ok") for name in ("thinker", "quick", "caller")}
    asked = {line["model"]: line.get("api") for line in lines}
    assert asked == {"thinker": "messages", "quick": "responses", "caller": None}
    assert all(line["signed_thinking"] for line in lines if line["model"] == "thinker")
    assert {row["tool_calls"] for row in rows if row["model"] == "caller"} == {
        '[{"name": "get_weather", "arguments": {"city": "Paris"}}]'
    }
    assert {row["node"] for row in rows} <= {*NODES}


def test_timestamps_are_in_order(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """The driver's timestamps precede the worker's, and no text is received before the simulator sent it."""
    with open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        assert run.run(*on_ray).returncode == 0
    for record in run.records():
        marks = record.timestamps
        stages = (marks.ready, marks.slot, marks.sent, marks.headers, marks.first_event, marks.last_event)
        known = [at for at in stages if at is not None]
        assert (len(known), known) == (len(stages), sorted(known))
        streamed = record.text_events
        assert len(streamed.at_us) == len(streamed.origin_us) > 0
        assert all(at_us >= origin_us for at_us, origin_us in zip(streamed.at_us, streamed.origin_us, strict=True))
        assert record.late_ns is not None


# Loss


def test_killed_worker_loses_no_request(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """After kill -9 its attempts are repeated, every row is there once, and the summary names the lost worker."""
    with open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start(*on_ray, "--repeat", "8", "--concurrency", "6", "--json")
        await_line(run.journal, "record")
        victim = await_line(run.journal, "worker")
        os.kill(victim["pid"], signal.SIGKILL)
        code, stdout, stderr = finish(running)
    assert code == 0, stderr
    assert recorded_rows(run.out) == planned_rows(CASES, 8)
    (lost,) = read_lines(run.out, "worker_lost")
    assert (lost["name"], lost["node"]) == (victim["name"], victim["node"])
    again = [line for line in read_lines(run.out, "attempt") if line["error_type"] == "worker_lost"]
    assert len(again) == lost["under_way"] > 0
    assert len(json.loads(stdout)["rows"]) == 24
    assert f"lost: {victim['name']}" in (run.out / "results.md").read_text(encoding="utf-8")


def test_lost_node_loses_no_request(tmp_path: Path, cluster: RayCluster, on_ray: tuple[str, ...]) -> None:
    """After a whole node is gone, its attempts are repeated, within the limit by the server's own log."""
    at_once, repeat = 6, 24
    with open_run(tmp_path, SLOW) as run:
        row = {"base_url": run.base_url, "keyless": True, "models": [SLOW]}
        write_config(tmp_path, acme={**row, "concurrency": at_once})
        run.write_suite(CASES)
        running = run.start(*on_ray, "--repeat", str(repeat))
        await_line(run.journal, "record")
        cluster.toggle("beta")
        try:
            code, stdout, stderr = finish(running)
        finally:
            cluster.toggle("beta")
        log = simulator_log(run)
    assert code == 0, stderr
    assert recorded_rows(run.out) == planned_rows(CASES, repeat)
    (lost,) = read_lines(run.out, "worker_lost")
    assert lost["node"] == "beta"
    again = [line for line in read_lines(run.out, "attempt") if line["error_type"] == "worker_lost"]
    assert len(again) == lost["under_way"] > 0
    assert f"lost: {lost['name']} on beta" in stdout
    assert max(entry["in_flight"] for entry in log) <= at_once
    assert len(log) == 3 * repeat + len(again)


def test_run_of_a_killed_driver_is_resumed(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """After kill -9 of the command itself, `--resume` sends what is missing, on the cluster again."""
    with open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start(*on_ray, "--repeat", "6")
        await_line(run.journal, "record")
        running.kill()
        finish(running)
        resumed = run.run(*on_ray)
    assert resumed.returncode == 0, resumed.stderr
    assert recorded_rows(run.out) == planned_rows(CASES, 6)


def test_lost_raylet_of_the_driver_is_named_and_tables_are_written(tmp_path: Path) -> None:
    """Other workers still run, but this process cannot reach them; the tables have all recorded requests."""
    with launch_cluster() as ray_cluster, open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start("--engine", "ray", "--address", ray_cluster.address, "--repeat", "24")
        await_line(run.journal, "record")
        os.kill(
            raylet_of("alpha", ray_cluster), signal.SIGKILL
        )  # that of the head node, which a driver on its machine uses
        code, _, stderr = finish(running)
        recorded = run.records()
        assert code == 3, stderr
        assert "Traceback" not in stderr
        assert "Ray's own process of this machine (the raylet) was lost" in stderr
        assert "worker of the cluster was lost" not in stderr
        assert sum(recorded_rows(run.out).values()) == len(recorded) > 0
        assert all((run.out / name).stat().st_size for name in ("results.md", "report.html"))
        resumed = run.run()
    assert resumed.returncode == 0, resumed.stderr
    assert recorded_rows(run.out) == planned_rows(CASES, 24)


# Addresses


@contextmanager
def cluster_on_loopback() -> Iterator[tuple[str, Path]]:
    """Start a cluster as docs/ray.md has it for one machine; yield its address and its folder."""
    with TemporaryDirectory(prefix="ray-") as folder, socket.socket() as reserved:  # sockets need a short path
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        reserved.close()
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus", "1"]
        options = ["--port", str(port), "--include-dashboard", "false", "--temp-dir", folder]
        variables = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        started = [*command, *options, "--object-store-memory", str(OBJECT_STORE_BYTES)]
        with Popen(started, stdout=DEVNULL, stderr=DEVNULL, env=variables) as process:
            try:
                yield f"127.0.0.1:{port}", Path(folder)
            finally:
                process.terminate()


def listening_addresses(folder: Path) -> set[str]:
    """Return the addresses at which processes listen that have a folder in their command, or such a parent."""
    inodes: set[str] = set()
    own: set[int] = set()
    processes = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    for pid in processes:
        with suppress(OSError):
            parent = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            if str(folder).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes() and parent not in own:
                continue
            own.add(pid)
            inodes |= {str(entry.readlink())[8:-1] for entry in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]
    ]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


def test_cluster_on_this_machine_listens_on_loopback_alone(tmp_path: Path) -> None:
    """Head node, raylet, worker and driver open no port to the network, and the run is like any other."""
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    with cluster_on_loopback() as (address, folder), open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        for _ in range(TIMEOUT_S):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))):
                break
            sleep(1)
        running = run.start("--engine", "ray", "--address", address, "--repeat", "4")
        await_line(run.journal, "record")
        listening_at = listening_addresses(folder)
        code, _, stderr = finish(running)
    assert code == 0, stderr
    assert listening_at, "none of its sockets was found"
    assert listening_at <= loopback
    assert recorded_rows(run.out) == planned_rows(CASES, 4)


# Limits


@pytest.mark.parametrize(("chosen", "expected"), [(None, "0"), ("1", "1")])
def test_ray_reports_no_usage_unless_the_user_says_so(tmp_path: Path, chosen: str | None, expected: str) -> None:
    """Ray sends statistics to its vendor by default; a user who has turned them on keeps them."""
    program = (
        "import os\nfrom runner.cluster.connect import join_cluster\nfrom runner.errors import CompareError\n"
        "try:\n    with join_cluster('local:nothing'):\n        pass\n"
        "except CompareError:\n    print(os.environ['RAY_USAGE_STATS_ENABLED'])"
    )
    variables = own_environment(tmp_path, {"RAY_USAGE_STATS_ENABLED": chosen} if chosen else None)
    done = run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_limits_hold_for_the_whole_cluster(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """By the server's own log, no more requests per minute or in flight than a lane allows, even after a kill."""
    rate, at_once, repeat = 14, 3, 18
    cases = CASES[:1]
    with open_run(tmp_path, SLOW) as run:
        row = {"base_url": run.base_url, "keyless": True, "models": [SLOW]}
        write_config(tmp_path, acme={**row, "requests_per_minute": rate, "concurrency": at_once})
        run.write_suite(cases)
        running = run.start(*on_ray, "--repeat", str(repeat))
        await_line(run.journal, "record")
        os.kill(await_line(run.journal, "worker")["pid"], signal.SIGKILL)
        code, _, stderr = finish(running)
        log = simulator_log(run)
    assert code == 0, stderr
    assert recorded_rows(run.out) == planned_rows(cases, repeat)
    times_s = [entry["received_ns"] / 1e9 for entry in log]
    busiest = max(sum(start_s <= at_s < start_s + 60 for at_s in times_s) for start_s in times_s)
    assert (busiest, len(log) >= repeat) == (rate, True)
    assert max(entry["in_flight"] for entry in log) < at_once + 1


# Vantages


def rows_from_each_node(counts: Counter[tuple[str, int, int]]) -> dict[str, Counter[tuple[str, int, int]]]:
    """Return the rows that each node must have: the whole plan."""
    return dict.fromkeys(NODES, counts)


def rows_by_node(folder: Path) -> dict[str, Counter[tuple[str, int, int]]]:
    """Count the rows of each node in a run; every row must have a node."""
    found: dict[str, Counter[tuple[str, int, int]]] = {}
    for row in read_rows(folder):
        assert (row["region"] or None) == NODES[row["node"]]
        found.setdefault(row["node"], Counter())[row["case"], int(row["turn"]), int(row["repeat"])] += 1
    return found


def test_every_vantage_sends_everything_and_none_is_found_slower(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """Each request is sent once from each node, within limits by the server's log; equal places are unchanged."""
    rate, at_once, repeat = 30, 3, 11
    cases = CASES[:1]
    with open_run(tmp_path, "exact?ttft_ms=200&gap_ms=10&tokens=10") as run:
        row = {"base_url": run.base_url, "keyless": True, "models": ["exact?ttft_ms=200&gap_ms=10&tokens=10"]}
        write_config(tmp_path, acme={**row, "requests_per_minute": rate, "concurrency": at_once})
        run.write_suite(cases)
        code, _, stderr = finish(run.start(*on_ray, "--vantage", "--repeat", str(repeat)))
        log = simulator_log(run)
    assert code == 0, stderr
    assert "everything is asked from each of alpha (north), beta (south), gamma" in stderr
    assert rows_by_node(run.out) == rows_from_each_node(planned_rows(cases, repeat))
    assert len(log) == len(NODES) * repeat
    times_s = [entry["received_ns"] / 1e9 for entry in log]
    assert max(sum(start_s <= at_s < start_s + 60 for at_s in times_s) for start_s in times_s) <= rate
    assert max(entry["in_flight"] for entry in log) <= at_once
    by_time = sorted(run.records(), key=lambda record: record.timestamps.slot or 0)
    for at in range(0, len(by_time), len(NODES)):
        close = by_time[at : at + len(NODES)]
        assert {record.node for record in close} == set(NODES), "all ask a question before anybody asks the next"
        assert len({record.identity.repeat for record in close}) == 1
    (header,) = read_lines(run.out, "header")
    assert (header["vantages"], header["planned_requests"]) == (NODES, len(log))
    summary = (run.out / "results.md").read_text(encoding="utf-8")
    assert all(f"tokens=10 from {name}" in summary for name in NODES)
    for names in (("north", "south"), ("alpha", "gamma")):
        asked = ("diff", "out", "--between-regions", *names, "--metric", "ttft", "--gate", "--json")
        judged = compare(tmp_path, *asked)
        assert judged.returncode == 0, judged.stderr
        document = json.loads(judged.stdout)
        assert (document["paired"], document["new"]["place"]) == (True, names[1])
        (found,) = (each for each in document["findings"] if each["measure"] == "ttft_s")
        assert (found["units"], found["verdict"]) == (repeat, "unchanged")


@contextmanager
def delaying_proxy(base_url: str, delay_s: float) -> Iterator[str]:
    """Serve a proxy that sends every request to one server, whatever its host, after a delay."""
    server_at = urlsplit(base_url).netloc

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sleep(delay_s)
            upstream = HTTPConnection(server_at)
            upstream.request("POST", urlsplit(self.path).path, body, dict(self.headers))
            response = upstream.getresponse()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while piece := response.read1():
                self.wfile.write(piece)
            self.close_connection = True
            upstream.close()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with serving(Passing) as address:
        yield address


def test_node_behind_a_slow_proxy_is_found_slower(tmp_path: Path) -> None:
    """One node sends through a slow proxy, two through a fast one: the gate finds that node alone regressed."""
    model = "exact?ttft_ms=200&gap_ms=10&tokens=10"
    with (
        open_run(tmp_path, model) as run,
        delaying_proxy(run.base_url, 0) as fast,
        delaying_proxy(run.base_url, 0.6) as slow,
    ):
        proxies = {name: {"HTTP_PROXY": slow if name == "gamma" else fast} for name in NODES}
        write_config(tmp_path, acme={"base_url": "http://provider.test/v1", "keyless": True, "models": [model]})
        run.write_suite(CASES[:1])
        with launch_cluster(**proxies) as ray_cluster:
            on_ray = ("--engine", "ray", "--address", ray_cluster.address)
            allowed = ("--allow-host", "provider.test")
            code, _, stderr = finish(run.start(*on_ray, *allowed, "--vantage", "--repeat", "12"))
    assert code == 0, stderr
    assert rows_by_node(run.out) == rows_from_each_node(planned_rows(CASES[:1], 12))
    codes = {}
    for names in (("alpha", "gamma"), ("gamma", "beta"), ("north", "south")):
        codes[names] = compare(tmp_path, "diff", "out", "--between-regions", *names, "--metric", "ttft", "--gate")
    assert {names: ran.returncode for names, ran in codes.items()} == {
        ("alpha", "gamma"): 1,
        ("gamma", "beta"): 0,
        ("north", "south"): 0,
    }
    assert "faster" in codes["gamma", "beta"].stdout


def test_lost_worker_is_replaced_on_its_own_node(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """After kill -9 its attempts are repeated from the same node, and every row is there once."""
    with open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start(*on_ray, "--vantage", "--workers", "2", "--repeat", "8", "--concurrency", "6")
        await_line(run.journal, "record")
        victim = await_line(run.journal, "worker")
        os.kill(victim["pid"], signal.SIGKILL)
        code, _, stderr = finish(running)
    assert code == 0, stderr
    assert rows_by_node(run.out) == rows_from_each_node(planned_rows(CASES, 8))
    workers = [line["node"] for line in read_lines(run.out, "worker")]
    assert sorted(workers) == sorted([*NODES, *NODES, victim["node"]])


def test_resumed_run_keeps_its_vantages(tmp_path: Path, on_ray: tuple[str, ...]) -> None:
    """After kill -9 of the command, --vantage need not be given again, and no node sends anything twice."""
    with open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start(*on_ray, "--vantage", "--repeat", "4")
        await_line(run.journal, "record")
        running.kill()
        finish(running)
        before = {record.identity.key for record in run.records()}
        code, _, stderr = finish(run.start(*on_ray))
        log = simulator_log(run)
    assert code == 0, stderr
    assert rows_by_node(run.out) == rows_from_each_node(planned_rows(CASES, 4))
    keys = [record.identity.key for record in run.records()]
    assert (len(set(keys)), before <= set(keys)) == (len(keys), True)
    assert len(log) <= len(keys) + 4, "only what was under way may have been asked twice"


def test_no_node_sends_requests_of_a_lost_vantage(tmp_path: Path) -> None:
    """After its raylet is killed for good, its remaining requests are recorded as failed, all others are complete."""
    with launch_cluster() as ray_cluster, open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start("--engine", "ray", "--address", ray_cluster.address, "--vantage", "--repeat", "12")
        await_line(run.journal, "record")
        os.kill(raylet_of("gamma", ray_cluster), signal.SIGKILL)
        code, _, stderr = finish(running)
    assert code == 3, stderr
    assert rows_by_node(run.out) == rows_from_each_node(planned_rows(CASES, 12))
    for row in read_rows(run.out):
        if row["node"] != "gamma":
            assert row["outcome"] == "ok"
        elif row["outcome"] != "ok":
            assert row["error_type"] == "worker_lost" or row["outcome"] == "skipped"
    lost = [row for row in read_rows(run.out) if row["error_type"] == "worker_lost"]
    assert lost
    assert any("gamma was lost and not back within" in row["error"] for row in lost)


def test_vantage_that_comes_back_sends_its_remaining_requests(tmp_path: Path) -> None:
    """After its raylet is killed and started again by the same name, its requests have waited, and none fails."""
    with launch_cluster() as ray_cluster, open_run(tmp_path, SLOW) as run:
        run.write_suite(CASES)
        running = run.start("--engine", "ray", "--address", ray_cluster.address, "--vantage", "--repeat", "12")
        await_line(run.journal, "record")
        os.kill(raylet_of("gamma", ray_cluster), signal.SIGKILL)
        await_line(run.journal, "worker_lost")
        with started_again("gamma", ray_cluster):
            code, _, stderr = finish(running)
    assert code == 0, stderr
    assert rows_by_node(run.out) == rows_from_each_node(planned_rows(CASES, 12))
    assert {row["outcome"] for row in read_rows(run.out)} == {"ok"}


@contextmanager
def started_again(node: str, ray_cluster: RayCluster) -> Iterator[None]:
    """Start a node of this name in a cluster for the length of a `with` block."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--address", ray_cluster.address]
    options = ["--node-name", node, "--num-cpus", "2", "--object-store-memory", str(OBJECT_STORE_BYTES)]
    with Popen([*command, *options], stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def raylet_of(node: str, ray_cluster: RayCluster) -> int:
    """Return the process id of a node's raylet."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                of_session = f"--session_dir={ray_cluster.session}" in words
                if of_session and words[0].endswith("/raylet") and f"--node-name={node}" in words:
                    return int(entry.name)
    raise LookupError(node)


# Keys


@contextmanager
def quoting_server(seen: list[str]) -> Iterator[str]:
    """Serve refusals that quote the key of the request."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"error": {"message": f"Incorrect API key: {seen[-1]}"}}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with serving(Refusing) as address:
        yield f"{address}/v1"


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on this machine for the length of a `with` block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def files_with(text: str, folder: Path) -> list[Path]:
    """Return the regular files below a folder that contain a text."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in paths if text.encode() in path.read_bytes()]


def test_key_reaches_the_workers_and_no_file(tmp_path: Path, cluster: RayCluster, on_ray: tuple[str, ...]) -> None:
    """Neither Ray's session, with its logs and spilled objects, nor the run's own files contain it."""
    seen: list[str] = []
    with quoting_server(seen) as base_url:
        write_config(tmp_path, acme={"base_url": base_url, "api_key_env": "ACME_API_KEY", "models": ["m"]})
        write_yaml(tmp_path / "suite.yaml", {"version": 1, "name": "suite", "cases": CASES})
        ran = compare(tmp_path, "run", "suite.yaml", "-o", "out", *on_ray, variables={"ACME_API_KEY": KEY})
    assert ran.returncode == 3
    assert set(seen) == {f"Bearer {KEY}"}
    assert {row["outcome"] for row in read_rows(tmp_path / "out")} == {"auth", "skipped"}
    assert any((cluster.session / "logs").iterdir())
    assert files_with(KEY, cluster.session) == []
    assert files_with(KEY, tmp_path) == []
    assert KEY not in ran.stdout + ran.stderr


# Errors


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "ray://127.0.0.1:10001", SOMETHING_ELSE])
def test_missing_cluster_is_an_error_with_a_hint(tmp_path: Path, address: str) -> None:
    """Nothing is sent, and no folder is left behind."""
    with open_run(tmp_path, "quick") as run:
        if address == SOMETHING_ELSE:
            address = urlsplit(run.base_url).netloc
        run.write_suite(CASES)
        ran = compare(tmp_path, "run", "suite.yaml", "-o", "out", "--engine", "ray", "--address", address)
        assert simulator_log(run) == []
    assert ran.returncode == 2
    assert ran.stderr.strip().splitlines()[-1].endswith("Nothing was sent")
    assert "Traceback" not in ran.stderr
    assert not run.out.exists()


def test_workers_take_the_same_steps(on_ray: tuple[str, ...], tmp_path: Path) -> None:
    """Workers send the calls and results from the driver, and return the calls that they receive."""

    def once(prompt: str, results: int) -> ToolReply:
        return ToolReply(f"{prompt} 18.") if results else ToolReply("", [call(prompt)])

    weather = {"id": "weather", "turns": ["Paris?", "Rome?"], "tools": [WEATHER]}
    with serve(answered_by(once)) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m-1"]})
        case = {**weather, "tool_results": {"get_weather": "18 degrees"}}
        targets = [{"provider": "acme", "max_tokens": 50, "stream": False}]
        write_yaml(tmp_path / "suite.yaml", {"targets": targets, "cases": [case]})
        alone = compare(tmp_path, "run", "suite.yaml", "-o", "alone")
        ran = compare(tmp_path, "run", "suite.yaml", *on_ray, "-o", "out")
    assert (alone.returncode, ran.returncode) == (0, 0), ran.stderr
    rows = [
        [(row["turn"], row["prompt"], row["reply"]) for row in read_rows(tmp_path / name)] for name in ("alone", "out")
    ]
    assert [turn for turn, _, _ in rows[0]] == ["1", "2", "6", "7"]
    assert rows[0] == rows[1]
