"""Keys: servers repeat the run's secrets in every field that they control; no file and no output has them."""

import base64
import html
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Channel
from runner.outputs.report.markdown_to_html import safe_html
from runner.providers.key import Key
from runner.providers.redaction import IGNORED, MARK, Redactor, proxy_secrets, secrets_of
from runner.storage.recordings.reader import read_recordings
from tests.support.command import compare, write_config, write_yaml
from tests.support.echoed_keys import VARIABLE
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    ReceivedRequest,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    http_chunk,
    http_head,
    json_reply,
    serve,
    sse_event,
)

WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "lower": str.lower,
    "upper": str.upper,
    "url": lambda key: quote(key, safe=""),
    "every byte in a url": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "url in a url": lambda key: quote(quote(key, safe=""), safe=""),
    "entities": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "hexadecimal entities": lambda key: "".join(f"&#x{ord(character):X};" for character in key),
    "named entity": lambda key: key.replace("_", "&lowbar;"),
    "one entity": lambda key: f"&#{ord(key[0])};{key[1:]}",
    "JSON escapes": lambda key: "".join(f"\\u{ord(character):04x}" for character in key),
    "Markdown": lambda key: key.replace("_", "\\_"),
    "emphasised": lambda key: f"{key[:5]}**{key[5:9]}**{key[9:]}",
    "invisible": "\u200b".join,
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a user and it": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "base64 within": lambda key: base64.b64encode(f"x{key} and more".encode()).decode(),
    "base64 within, further": lambda key: base64.urlsafe_b64encode(f"xx{key}??".encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(),
}


def new_key() -> str:
    """Return a random key, which is in no file of this project."""
    return f"sk_live_{secrets.token_hex(6)}_Qq{secrets.token_hex(4)}"


def is_in(text: str, key: str) -> bool:
    """Return whether a reader could get a key from a text by undoing Markdown, HTML, URL encoding or JSON."""
    encoded = [base64.b64encode(b"x" * n + key.encode())[-(-n * 8 // 6) : -4].decode() for n in range(3)]
    if any(form in text or form in text.translate(str.maketrans("-_", "+/")) for form in encoded):
        return True
    seen = {text, unquote(text), unquote(unquote(text)), html.unescape(text)}
    with_escapes = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    bare = [each.lower().translate({ord(one): None for one in IGNORED}) for each in (*seen, with_escapes)]
    wanted = (key.lower().translate({ord(one): None for one in IGNORED}), key.encode().hex())
    return any(form in each for each in bare for form in wanted)


@pytest.mark.parametrize("way", WRITTEN)
def test_a_key_is_hidden_in_every_encoding(way: str) -> None:
    """It is absent from texts, from bytes cut anywhere, and from rendered Markdown."""
    key = new_key()
    redactor = Redactor([Key(key, VARIABLE)])
    written = WRITTEN[way](key)
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


@given(st.sampled_from(sorted(WRITTEN)), st.lists(st.integers(1, 9), min_size=1), st.text("ab sk_\\&%", max_size=20))
def test_pieces_of_a_text_never_join_to_a_key(way: str, sizes: list[int], around: str) -> None:
    """The pieces for a live view join to a text without the key, and no other character is lost."""
    key = "sk_live_0123456789abcdef"
    text, stream, shown, at = around + WRITTEN[way](key) + around, Redactor([Key(key, VARIABLE)]).stream(), "", 0
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
        head = http_head(content_type="text/event-stream", x_request_id=word, **{f"x_{word}": "1"})
        return ScriptedReply([(0, head + delta_event("A text.") + FINISH_EVENT + DONE_EVENT)], "close")

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


def pieces(text: str) -> list[bytes]:
    """Return a text as events of three characters each, as a model's tokens come."""
    return [delta_event(text[at : at + 3]) for at in range(0, len(text), 3)]


def streamed(*events: bytes, **headers: str) -> ScriptedReply:
    """Return a stream of events that ends regularly."""
    head = (
        http_head(content_type="text/event-stream", transfer_encoding="chunked", **headers) if headers else STREAM_HEAD
    )
    return ScriptedReply(
        [
            (0, head),
            *((0, http_chunk(event)) for event in events),
            (0, http_chunk(FINISH_EVENT + DONE_EVENT) + b"0\r\n\r\n"),
        ]
    )


def deep(key: str) -> dict[str, object]:
    """Return an object in which a key is every name and every value."""
    return {key: {key: [key, {key: key}]}, f"a{key}": key}


def call_piece(place: int, text: str) -> dict[str, object]:
    """Return a piece of a tool call's arguments."""
    return {"index": place, "id": f"c{place}", "function": {"name": "find", "arguments": text}}


PLANTS: dict[str, Callable[[str], ScriptedReply]] = {
    "usage-names": lambda key: streamed(
        delta_event("Hi"), sse_event({"choices": [], "usage": {"prompt_tokens": 1, key: 3, **deep(key)}})
    ),
    "header-names": lambda key: streamed(delta_event("Hi"), **{f"x-{key}": key, "x-request-id": key, "server": key}),
    "lower-header": lambda key: streamed(delta_event("Hi"), **{"x-echo": key.lower(), "x-request-id": key.upper()}),
    "every-form": lambda key: streamed(delta_event("\n\n".join(write(key) for write in WRITTEN.values()))),
    "in-pieces": lambda key: streamed(*(each for write in WRITTEN.values() for each in pieces(write(key) + " "))),
    "reasoning": lambda key: streamed(
        sse_event({"choices": [{"index": 0, "delta": {"reasoning_content": key}}]}), delta_event("Hi")
    ),
    "tool-call": lambda key: streamed(
        sse_event(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "tool_calls": [
                                {
                                    "index": 0,
                                    "id": key,
                                    "type": key,
                                    "function": {"name": key, "arguments": json.dumps({key: key})},
                                }
                            ]
                        },
                    }
                ]
            }
        )
    ),
    "tool-calls-in-turn": lambda key: streamed(
        *(
            sse_event({"choices": [{"index": 0, "delta": {"tool_calls": [call_piece(place, key[at : at + 3])]}}]})
            for at in range(0, len(key), 3)
            for place in (0, 1)
        )
    ),
    "names": lambda key: streamed(
        sse_event(
            {
                "id": key,
                "model": key,
                "object": key,
                "system_fingerprint": key,
                "service_tier": key,
                "provider": key,
                "choices": [],
                key: key,
            }
        ),
        delta_event("Hi", finish_reason=key),
    ),
    "comments": lambda key: streamed(
        f": {key}\n\n".encode(), f"event: {key}\nid: {key}\nretry: {key}\n{key}: {key}\n\n".encode(), delta_event("Hi")
    ),
    "error": lambda key: json_reply(
        "400 Bad", {"error": {"message": key, "code": key, "type": key, "param": deep(key)}}
    ),
    "error-names": lambda key: json_reply("403 No", {key: {key: key}}),
    "error-text": lambda key: ScriptedReply(
        [(0, http_head("500 Oops", content_length=str(len(key) + 8)) + f"key was {key}".encode())]
    ),
    "error-page": lambda key: json_reply(
        "502 Bad", f"<html><title>{key}</title><body>{html.escape(key)}</body></html>"
    ),
    "error-mid-stream": lambda key: streamed(delta_event("Hi"), sse_event({"error": {"message": key, "code": key}})),
    "redirect": lambda key: ScriptedReply(
        [(0, http_head("302 Found", location=f"http://{key}:{key}@{key}.test/{key}?{key}#{key}", content_length="0"))]
    ),
    "no-json": lambda key: streamed(sse_event("{" + key)),
    "whole": lambda key: json_reply(
        "200 OK",
        {"id": key, "model": key, "choices": [{"message": {"content": key}, "finish_reason": key}], "usage": deep(key)},
    ),
    "rate-limit": lambda key: json_reply("429 Slow", {"error": {"message": key}}, retry_after_ms="5", x_ratelimit=key),
}


def plant_in_reply(plant: Callable[[str], ScriptedReply], key: str, _: ReceivedRequest) -> ScriptedReply:
    """Return the reply of a server that repeats a key."""
    return plant(key)


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[str, dict[str, ScriptedServer]]]:
    """Run all servers; yield the key of their configuration, and the servers by name."""
    key = new_key()
    with ExitStack() as stack:
        servers = {}
        for name, plant in PLANTS.items():
            servers[name] = stack.enter_context(serve(partial(plant_in_reply, plant, key)))
        rows = {
            name: {"base_url": each.url, "api_key_env": VARIABLE, "models": ["m"]} for name, each in servers.items()
        }
        write_config(tmp_path, **rows)
        yield key, servers


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


def test_a_planted_key_is_in_nothing_written_or_printed(
    tmp_path: Path, planted: tuple[str, dict[str, ScriptedServer]]
) -> None:
    """No field and no encoding brings the key into a file, a recording, a table, a page or an output."""
    key, servers = planted
    write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": [{"id": "one", "turns": ["Hi", "And?"]}]})
    given = {VARIABLE: key}
    outputs = [word for suffix in ("csv", "md", "json", "jsonl", "xml") for word in ("-o", f"more.{suffix}")]
    runs = [
        compare(tmp_path, "run", "s.yaml", "--record", "-o", "out", *outputs, "--progress", "plain", variables=given),
        compare(tmp_path, "report", "out", "--replies"),
        compare(tmp_path, "export", "out", "--otel", "--content", "-o", "spans.jsonl"),
        compare(tmp_path, "export", "out", "--excel", "-o", "excel.csv"),
        compare(tmp_path, "export", "out", "--promptfoo"),
        compare(tmp_path, "rederive", "out", "-o", "again"),
        compare(tmp_path, "ask", "Hi", "-o", "asked", variables=given),
        compare(tmp_path, "doctor", "--ping", variables=given),
        *(compare(tmp_path, "providers", "--models", name, variables=given) for name in ("error", "redirect", "whole")),
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
    key = new_key()
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
        return streamed(delta_event(f"You sent {asked.headers['x-org-token']} from {asked.headers['x-title']}."))

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

    key, seen = new_key(), ""

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

    key = new_key()
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

    key, fold = new_key(), Fold()
    raw = {"prompt_tokens": 3, "by": key, key: [{"of": f"me {key}"}, 7], "null": None}
    fold.add(Usage(1, 3, None, None, None, raw))
    asked = Record(Identity("k", "c", 1, 1, 1, "acme", "m", "hi"), Timestamps(), Outcome.OK)
    record = with_response(asked, fold, (), Redactor([Key(key, VARIABLE)]), sent_ns=0, epoch_ns=0)
    assert record.usage == {"prompt_tokens": 3, "by": MARK, MARK: [{"of": f"me {MARK}"}, 7], "null": None}
