"""A response's rate-limit headers are kept in the journal."""

from pathlib import Path

from tests.support.command import compare, read_lines, write_config, write_yaml
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, delta_event, event_stream, json_reply, serve

KEY = "sk-limits-must-not-tell-0123456789"


def limited(asked: ReceivedRequest) -> ScriptedReply:
    """Answer with headers of the remaining limits, or refuse; the third prompt gets no such header."""
    if "refuse" in asked.prompt:
        return json_reply("400 Bad", {"error": {"message": "no"}}, x_ratelimit_remaining_requests="0")
    limits = {} if "plain" in asked.prompt else {"x_ratelimit_remaining_tokens": "900", "x_ratelimit_user": KEY}
    return event_stream(delta_event("Hi"), **limits)


def test_limits_are_kept_with_the_record_of_each_request(tmp_path: Path) -> None:
    """They are kept as sent, also for a refusal, without the key; without headers there is no member."""
    with serve(limited) as server:
        write_config(tmp_path, mine={"base_url": server.url, "api_key_env": "MINE_KEY", "models": ["m"]})
        cases = [{"id": name, "prompt": name} for name in ("answer", "refuse", "plain")]
        write_yaml(tmp_path / "s.yaml", {"version": 1, "cases": cases})
        ran = compare(tmp_path, "run", "s.yaml", "-o", "out", "-q", variables={"MINE_KEY": KEY})
    kept = {line["case"]: line.get("rate_limits", "none") for line in read_lines(tmp_path / "out", "record")}
    assert kept["refuse"] == {"x-ratelimit-remaining-requests": "0"}, ran.stderr
    assert kept["answer"]["x-ratelimit-remaining-tokens"] == "900"
    assert kept["plain"] == "none"
    assert KEY not in (tmp_path / "out" / "journal.jsonl").read_text(encoding="utf-8")
