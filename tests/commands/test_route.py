"""Vendors behind a router, from a suite's `route` to the row, the finding and `--by`, against the simulator."""

from pathlib import Path

import runner
from runner.simulator.child_process import launch_sync
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, delta_event, event_stream, serve

MODEL = "exact?tokens=3&ttft_ms=5&gap_ms=1&served_by=alpha,beta*8"
CASES = [{"id": "one", "prompt": "One?"}, {"id": "two", "prompt": "Two?"}]


def write_suite(place: Path, *targets: object) -> str:
    """Write a suite with these targets."""
    write_yaml(place / "suite.yaml", {"version": 1, "cases": CASES, "targets": list(targets)})
    return "suite.yaml"


def test_a_target_that_two_vendors_answer_is_a_finding_and_can_be_split(tmp_path: Path) -> None:
    """On the terminal, in Markdown and on the page; with counts, medians of TTFT and n of each vendor."""
    suite = write_suite(tmp_path, {"provider": "sim", "models": [MODEL]})
    done = compare(tmp_path, "run", suite, "--repeat", "4", "-o", "out", "--order", "as-written", "--concurrency", "1")
    assert done.returncode == 0, done.stderr
    assert {row["served_by"] for row in read_rows(tmp_path / "out")} == {"alpha", "beta"}
    for text in (
        " ".join(done.stdout.split()),
        (tmp_path / "out" / "results.md").read_text(encoding="utf-8").replace("\\", ""),
        (tmp_path / "out" / "report.html").read_text(encoding="utf-8"),
    ):
        assert "2 vendors answered, and its figures mix them: " in text
        assert "4 requests (median TTFT " in text
    split = compare(tmp_path, "report", "out", "--by", "served_by")
    assert f"sim/{MODEL} by alpha" in split.stdout
    assert "vendors answered" not in split.stdout
    assert f"{MODEL} by beta" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8").replace("&amp;", "&")
    found = runner.summary(tmp_path / "out", by="served_by")
    assert found["n"].tolist() == [4, 4]
    assert [str(name).rpartition(" by ")[2] for name in found.index] == ["alpha", "beta"]


def test_a_run_can_split_its_own_tables(tmp_path: Path) -> None:
    """`compare run --by` does what `compare report --by` does."""
    suite = write_suite(tmp_path, {"provider": "sim", "models": [MODEL]})
    done = compare(tmp_path, "run", suite, "--repeat", "2", "-o", "out", "--by", "served_by")
    assert f"sim/{MODEL} by beta" in done.stdout
    assert "by beta" in (tmp_path / "out" / "results.md").read_text(encoding="utf-8")


def test_a_route_pins_a_vendor(tmp_path: Path) -> None:
    """Every row is the vendor's, and the route is part of the request's key."""
    target = {"provider": "sim", "models": [MODEL]}
    compare(tmp_path, "run", write_suite(tmp_path, {**target, "route": "beta"}), "--repeat", "3", "-o", "pinned")
    rows = read_rows(tmp_path / "pinned")
    assert {(row["served_by"], row["outcome"]) for row in rows} == {("beta", "ok")}
    compare(tmp_path, "run", write_suite(tmp_path, target), "--repeat", "3", "-o", "free")
    keys = [{line["key"] for line in read_lines(tmp_path / name, "record")} for name in ("pinned", "free")]
    assert not keys[0] & keys[1]


def test_routes_are_variants_like_any_parameter(tmp_path: Path) -> None:
    """Vendors of one model can be compared in one run."""
    suite = write_suite(tmp_path, {"provider": "sim", "models": [MODEL]})
    done = compare(tmp_path, "run", suite, "--vary", "route=alpha,beta", "--repeat", "2", "-o", "out")
    assert done.returncode == 0, done.stderr
    found = {(row["variant"], row["served_by"]) for row in read_rows(tmp_path / "out")}
    assert found == {("route=alpha", "alpha"), ("route=beta", "beta")}


def test_a_reply_of_another_vendor_than_the_pinned_one_fails(tmp_path: Path) -> None:
    """If a router ignores the pin, its rows fail with their text, and fail again when recomputed from their bytes."""
    with launch_sync() as base_url:
        write_config(tmp_path, router={"base_url": base_url, "keyless": True, "route": {"body": {"x_pin": "{route}"}}})
        suite = write_suite(tmp_path, {"provider": "router", "models": [f"sim/{MODEL}"], "route": "alpha"})
        done = compare(tmp_path, "run", suite, "--repeat", "4", "-o", "out", "--record")
    assert done.returncode == 3, done.stdout + done.stderr
    rows = {(r["served_by"], r["outcome"], r["error_type"], r["attempts"]) for r in read_rows(tmp_path / "out")}
    assert rows == {("alpha", "ok", "", "1"), ("beta", "provider_error", "other_route", "1")}
    assert "beta answered, though route: alpha allows no other vendor" in done.stdout.replace("\n", " ")
    again = compare(tmp_path, "rederive", "out", "-o", "again")
    assert again.returncode == 0, again.stderr
    assert read_lines(tmp_path / "again", "record") == read_lines(tmp_path / "out", "record")
    replayed = compare(tmp_path, "run", suite, "--replay", "out", "--fast", "--repeat", "4", "-o", "played")
    assert sorted(r["error_type"] for r in read_rows(tmp_path / "played")) == ["", "", "", "", *["other_route"] * 4]
    assert replayed.returncode == 3, replayed.stderr


def test_a_pinned_model_is_named_with_its_vendor_where_the_router_wants_that(tmp_path: Path) -> None:
    """Hugging Face's router works so: replies name the vendor in a header; without one the row is flagged."""
    asked: list[ReceivedRequest] = []

    def answer(request: ReceivedRequest) -> ScriptedReply:
        """Keep the request; name the vendor in the second response alone."""
        asked.append(request)
        named = {"x_inference_provider": "groq"} if len(asked) > 1 else {}
        return event_stream(delta_event("Hi"), **named)

    with serve(answer) as server:
        write_config(tmp_path, huggingface={"base_url": server.url, "keyless": True})
        suite = write_suite(tmp_path, {"provider": "huggingface", "models": ["openai/m"], "route": "groq"})
        done = compare(tmp_path, "run", suite, "-o", "out", "--concurrency", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [request.json["model"] for request in asked if request.method == "POST"] == ["openai/m:groq"] * 2
    rows = read_rows(tmp_path / "out")
    assert [(row["model"], row["served_by"]) for row in rows] == [("openai/m", ""), ("openai/m", "groq")]
    assert [("route_unconfirmed" in row["flags"]) for row in rows] == [True, False]


def test_a_route_at_a_provider_without_routing_is_refused(tmp_path: Path) -> None:
    """The error names all such providers, and nothing is sent."""
    write_config(tmp_path, **{name: {"base_url": "http://127.0.0.1:9", "keyless": True} for name in ("one", "two")})
    suite = write_suite(tmp_path, *({"provider": name, "models": ["m"], "route": "x"} for name in ("one", "two")))
    done = compare(tmp_path, "run", suite)
    assert done.returncode == 2
    for name in ("one", "two"):
        assert f"{name} is asked with route: x, but no way is known to pin a vendor there." in done.stderr
    assert not (tmp_path / "results").exists()
