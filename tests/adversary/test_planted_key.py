"""Keys: servers repeat the run's secrets in every field that they control; no file and no output has them."""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Channel
from runner.outputs.report.markdown_to_html import safe_html
from runner.providers.key import Key
from runner.providers.redaction import MARK, Redactor, proxy_secrets, secrets_of
from runner.storage.recordings.reader import read_recordings
from tests.support.command import compare, write_config, write_yaml
from tests.support.echoed_keys import ENCODINGS, VARIABLE, echoing_servers, is_in, make_key
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, delta_event, event_stream, json_reply, serve


@pytest.mark.parametrize("way", ENCODINGS)
def test_a_key_is_hidden_in_every_encoding(way: str) -> None:
    """It is absent from texts, from bytes cut anywhere, and from rendered Markdown."""
    key = make_key("sk_live_", "_Qq")
    redactor = Redactor([Key(key, VARIABLE)])
    written = ENCODINGS[way](key)
    assert is_in(f"It is {written} here.", key), "this test would not find it"
    hidden = redactor.by_value(f"It is {written} here.")
    assert MARK in hidden
    assert hidden.startswith("It is ")
    assert not is_in(hidden, key)
    assert not is_in(safe_html(hidden), key)
    if way != "invisible":  # it is found once the text is decoded
        data = f"It is {written} here.".encode()
        assert redactor.occurs_in(data)
        assert MARK.encode() in b"".join(redactor.in_pieces([data[:9], data[9:20], data[20:]]))


@given(st.sampled_from(sorted(ENCODINGS)), st.lists(st.integers(1, 9), min_size=1), st.text("ab sk_\\&%", max_size=20))
def test_pieces_of_a_text_never_join_to_a_key(way: str, sizes: list[int], around: str) -> None:
    """The pieces for a live view join to a text without the key, and no other character is lost."""
    key = "sk_live_0123456789abcdef"
    text, stream, shown, at = around + ENCODINGS[way](key) + around, Redactor([Key(key, VARIABLE)]).stream(), "", 0
    while at < len(text):
        size = sizes[at % len(sizes)]
        shown += stream.feed(text[at : at + size])
        assert not is_in(shown, key)
        at += size
    shown += stream.flush()
    assert not is_in(shown, key)
    plain = Redactor([Key(key, VARIABLE)]).stream()
    assert "".join([*(plain.feed(each) for each in around), plain.flush()]) == around


def test_ordinary_text_stays() -> None:
    """Percentages, entities, emphasis, base64 and words that resemble a part of the key are unchanged."""
    redactor = Redactor([Key("sk_live_0123456789abcdef", VARIABLE), Key("text", "SHORT")])
    text = "100 % of **all** &amp; `sk_live_` \\u0041 0123456789 sk-live c2tfbGl2ZQ== text"
    assert redactor.by_value(text) == text
    assert redactor.in_errors("no text here") == f"no {MARK} here"


def test_short_keys_are_hidden_in_headers_and_errors_only(tmp_path: Path) -> None:
    """A key of 4 to 7 characters is hidden in headers and errors, stays in replies, and a note says so."""

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        word = asked.headers["authorization"].removeprefix("Bearer ")
        if asked.number:
            return json_reply("401 No", {"error": {"message": f"bad {word}", "code": word}}, x_echo=word)
        return event_stream(delta_event("A text."), x_request_id=word, **{f"x_{word}": "1"})

    with serve(answer) as server:
        write_config(tmp_path, acme={"base_url": server.url, "api_key_env": VARIABLE, "models": ["m"]})
        cases = [{"id": "one", "prompt": "Hi"}, {"id": "two", "prompt": "Ho"}]
        write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": cases})
        flags = ("--record", "--order", "as-written", "--concurrency", "1", "-o", "out")
        done = compare(tmp_path, "run", "s.yaml", *flags, variables={VARIABLE: "text"})
    assert f"the value of {VARIABLE} has fewer than 8 characters" in done.stderr
    journal = (tmp_path / "out" / "journal.jsonl").read_text()
    assert '"A text."' in journal
    assert f'"error":"bad {MARK}' in journal
    assert f'"request_id":"{MARK}"' in journal
    found = read_recordings(tmp_path / "out")
    headers = [str(entry.label.headers) for entry in found.entries]
    assert "text" not in headers[0].replace("text/event-stream", "")
    assert not any(b"bad text" in data for entry in found.entries for _, data in found.reads(entry))


def test_secrets_are_keys_secret_headers_and_passwords_of_proxies() -> None:
    """A header such as a referrer is no secret, and replies may contain it."""
    proxies = {"HTTPS_PROXY": "http://me:s3cr%40t-pass@p.test:1", "all_proxy": "me:other-pass@p.test", "http_proxy": ""}
    values = {key.reveal() for key in proxy_secrets(proxies)}
    assert values == {"s3cr@t-pass", "me:s3cr@t-pass", "other-pass", "me:other-pass"}
    assert secrets_of((), {}) == []


# A run against servers that repeat the key


def written_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of everything below a folder, recordings in the clear."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "replace")
    recorded = read_recordings(folder / "out")
    for entry in recorded.entries:
        reads = b"".join(data for _, data in recorded.reads(entry)).decode("utf-8", "replace")
        yield f"recording of {entry.label.provider}", f"{entry.label}\n{reads}"


def holding(texts: Iterator[tuple[str, str]], key: str) -> list[str]:
    """Return the places at which a key can be read, with the text around it."""
    found = (
        each for each in texts if is_in(each[1], key)
    )  # the whole text at once, because line by line takes far longer
    return [f"{name}: {line[:300]}" for name, text in found for line in (*text.splitlines(), text) if is_in(line, key)]


def test_a_planted_key_is_in_nothing_written_or_printed(tmp_path: Path) -> None:
    """No field and no encoding brings the key into a file, a recording, a table, a page or an output."""
    key = make_key("sk_live_", "_Qq")
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": [{"id": "one", "turns": ["Hi", "And?"]}]})
    given = {VARIABLE: key}
    outputs = [word for suffix in ("csv", "md", "json", "jsonl", "xml") for word in ("-o", f"more.{suffix}")]
    plain, listed = ("--progress", "plain"), ("refused", "led-to-its-host", "whole")
    with echoing_servers(tmp_path) as servers:
        asked = [
            compare(tmp_path, "run", "s.yaml", "--record", "-o", "out", *outputs, *plain, variables=given),
            compare(tmp_path, "ask", "Hi", "-o", "asked", variables=given),
            compare(tmp_path, "doctor", "--ping", variables=given),
            *(compare(tmp_path, "providers", "--models", name, variables=given) for name in listed),
        ]
    runs = [
        *asked,
        compare(tmp_path, "report", "out", "--replies"),
        compare(tmp_path, "export", "out", "--otel", "--content", "-o", "spans.jsonl"),
        compare(tmp_path, "export", "out", "--excel", "-o", "excel.csv"),
        compare(tmp_path, "export", "out", "--promptfoo"),
        compare(tmp_path, "rederive", "out", "-o", "again"),
    ]
    assert runs[0].returncode == 3, runs[0].stderr
    assert "Traceback" not in "".join(run.stderr for run in runs)
    assert all(server.requests[0].headers["authorization"] == f"Bearer {key}" for server in servers.values())
    printed = iter([(f"printed by {run.args[0]}", run.stdout + run.stderr) for run in runs])
    assert holding(printed, key) == []
    assert holding(written_texts(tmp_path), key) == []
    assert MARK in (tmp_path / "out" / "journal.jsonl").read_text()


def test_ids_of_models_hold_no_key(tmp_path: Path) -> None:
    """A list of models that repeats the key and has terminal controls is shown without either."""
    key = make_key("sk_live_", "_Qq")
    with serve(lambda _: json_reply("200 OK", {"data": [{"id": f"m-{key}"}, {"id": "x\x1b[2J\u202ey"}]})) as server:
        write_config(tmp_path, acme={"base_url": server.url, "api_key_env": VARIABLE})
        plain = compare(tmp_path, "providers", "--models", "acme", variables={VARIABLE: key})
        exact = compare(tmp_path, "providers", "--models", "acme", "--json", variables={VARIABLE: key})
    assert plain.stdout == f"m-{MARK}\nx\u241b[2J\ufffdy\n"
    assert json.loads(exact.stdout) == [f"m-{MARK}", "x\x1b[2J\u202ey"]


def test_a_proxys_password_and_a_secret_header_are_hidden(tmp_path: Path) -> None:
    """A proxy that repeats its password in a 407, and a server that repeats a custom header, reach no file."""
    password, token = secrets.token_hex(8), f"tok{secrets.token_hex(8)}"

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        sent = f"{asked.headers.get('proxy-authorization')} {password} {token} me:{password}"
        return json_reply("407 Proxy", {"error": {"message": sent, "code": sent}}, proxy_authenticate=sent)

    def echo(asked: ReceivedRequest) -> ScriptedReply:
        return event_stream(delta_event(f"You sent {asked.headers['x-org-token']} from {asked.headers['x-title']}."))

    with serve(answer) as proxy, serve(echo) as server:
        headers = {"X-Org-Token": token, "X-Title": "a comparison"}
        write_config(
            tmp_path,
            away={"base_url": "http://away.test/v1", "keyless": True, "models": ["m"], "headers": headers},
            here={"base_url": server.url, "keyless": True, "models": ["m"], "headers": headers},
        )
        write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": [{"id": "one", "prompt": "Hi"}]})
        given = {"HTTP_PROXY": f"http://me:{password}@127.0.0.1:{proxy.port}"}
        flags = ("--allow-host", "away.test", "--record", "-o", "out")
        done = compare(tmp_path, "run", "s.yaml", *flags, variables=given)
    assert len(proxy.requests) >= 1
    (tmp_path / "compare.yaml").unlink()
    texts = [*written_texts(tmp_path), ("printed", done.stdout + done.stderr)]
    for secret in (password, token, base64.b64encode(f"me:{password}".encode()).decode()):
        assert holding(iter(texts), secret) == []
    assert f"You sent {MARK} from a comparison." in (tmp_path / "out" / "journal.jsonl").read_text()


def test_a_live_view_never_shows_a_key(tmp_path: Path) -> None:
    """The pieces that `runner.stream` and a live view get join to a text without the key."""
    from runner.core.events import Text  # noqa: PLC0415
    from runner.engine.run_observers import Observer  # noqa: PLC0415
    from runner.engine.send_requests import _RedactedWatch  # noqa: PLC0415

    key, seen = make_key("sk_live_", "_Qq"), ""

    class Watching(Observer):
        def received(self, request: object, event: object) -> None:  # noqa: ARG002 -- there is only one
            nonlocal seen
            seen += event.text if isinstance(event, Text) else ""

    watch = _RedactedWatch(Watching(), None, Redactor([Key(key, VARIABLE)]))  # type: ignore[arg-type]
    for at, character in enumerate(f"It is {key}, s"):
        watch(Text(at, Channel.ANSWER, character))
    watch.flush()
    assert seen == f"It is {MARK}, s"
    assert not list(tmp_path.iterdir())


def test_a_live_view_never_shows_a_key_in_a_tool_call() -> None:
    """Not even one whose first characters are the call's name; the first piece shown still begins the call."""
    from runner.core.events import CallPiece  # noqa: PLC0415
    from runner.engine.run_observers import Observer  # noqa: PLC0415
    from runner.engine.send_requests import _RedactedWatch  # noqa: PLC0415

    key = make_key("sk_live_", "_Qq")
    seen: list[CallPiece] = []

    class Watching(Observer):
        def received(self, request: object, event: object) -> None:  # noqa: ARG002 -- there is only one
            assert isinstance(event, CallPiece)
            seen.append(event)

    watch = _RedactedWatch(Watching(), None, Redactor([Key(key, VARIABLE)]))  # type: ignore[arg-type]
    pieces = (CallPiece(1, "1", key[:5]), *(CallPiece(2, "1", arguments=each) for each in key[5:]))
    for piece in (*pieces, CallPiece(3, "2", "search", "{}")):
        watch(piece)
    watch.flush()
    assert [(piece.name, piece.arguments) for piece in seen] == [(MARK, ""), ("search{}", "")]


def test_a_record_has_no_key_in_its_usage() -> None:
    """Observers, checks and plug-ins get the record before the journal hides keys in its line."""
    from runner.core.events import Outcome, Usage  # noqa: PLC0415
    from runner.core.record import Record  # noqa: PLC0415
    from runner.core.record_fields import Identity, Timestamps  # noqa: PLC0415
    from runner.core.record_from_events import Fold  # noqa: PLC0415
    from runner.engine.make_record import with_response  # noqa: PLC0415

    key, fold = make_key("sk_live_", "_Qq"), Fold()
    raw = {"prompt_tokens": 3, "by": key, key: [{"of": f"me {key}"}, 7], "null": None}
    fold.add(Usage(1, 3, None, None, None, raw))
    asked = Record(Identity("k", "c", 1, 1, 1, "acme", "m", "hi"), Timestamps(), Outcome.OK)
    record = with_response(asked, fold, (), Redactor([Key(key, VARIABLE)]), sent_ns=0, epoch_ns=0)
    assert record.usage == {"prompt_tokens": 3, "by": MARK, MARK: [{"of": f"me {MARK}"}, 7], "null": None}
