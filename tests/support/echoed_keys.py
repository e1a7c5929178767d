"""Servers that echo the key they received, in every encoding and in every place of a response."""

import base64
import html
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from runner.providers.redaction import IGNORED
from tests.support.command import write_config
from tests.support.scripted_server import (
    ReceivedRequest,
    ScriptedReply,
    ScriptedServer,
    delta_event,
    event_stream,
    http_head,
    json_reply,
    serve,
    sse_event,
)

VARIABLE = "ACME_API_KEY"


def make_key(prefix: str, ending: str = "/a+b=c") -> str:
    """Return a random key, which is in no file of this project."""
    return f"{prefix}TEST_SECRET_{secrets.token_hex(8)}{ending}"


ENCODINGS: dict[str, Callable[[str], str]] = {
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
    "invisible, JSON escapes": "\\u200b".join,
    "invisible in a url": lambda key: quote("\u200b".join(key), safe=""),
    "invisible, named entities": "&ZeroWidthSpace;".join,
    "JSON escapes in a url": lambda key: quote("".join(f"\\u{ord(character):04x}" for character in key), safe=""),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a user and it": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "base64 within": lambda key: base64.b64encode(f"x{key} and more".encode()).decode(),
    "base64 within, further": lambda key: base64.urlsafe_b64encode(f"xx{key}??".encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(),
    "JSON slashes": lambda key: key.replace("/", "\\/"),
    "base64 of no user and it": lambda key: base64.urlsafe_b64encode(f":{key}".encode()).decode(),
}


FOUND_IN_BYTES = ("plain", "url", "JSON slashes", "base64", "base64 of no user and it")
"""Encodings in which a key is hidden in the bytes of a recording; for others, all of its bytes may be left out."""


def is_in(text: str, key: str) -> bool:
    """Return whether a reader could get a key from a text by undoing Markdown, HTML, URL encoding or JSON."""
    encoded = [base64.b64encode(b"x" * n + key.encode())[-(-n * 8 // 6) : -4].decode() for n in range(3)]
    if any(form in text or form in text.translate(str.maketrans("-_", "+/")) for form in encoded):
        return True
    seen = {text, unquote(text), unquote(unquote(text)), html.unescape(text), text.replace("\\/", "/")}
    seen |= {re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), each) for each in seen}
    bare = [each.lower().translate({ord(one): None for one in IGNORED}) for each in seen]
    wanted = (key.lower().translate({ord(one): None for one in IGNORED}), key.encode().hex())
    return any(form in each for each in bare for form in wanted)


def every_encoding(key: str, encodings: Iterable[str] = ENCODINGS) -> str:
    """Return a text that has a key in every encoding, or in these."""
    return " ".join(ENCODINGS[name](key) for name in encodings)


def in_pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces like those of a model's tokens."""
    return (text[at : at + 3] for at in range(0, len(text), 3))


def nested(key: str) -> dict[str, object]:
    """Return an object in which a key is every name and every value."""
    return {key: {key: [key, {key: key}]}, f"a{key}": key}


def delta(**parts: object) -> bytes:
    """Return an event whose delta has these parts."""
    return sse_event({"choices": [{"index": 0, "delta": parts}]})


def call(arguments: str, place: int = 0, **more: object) -> bytes:
    """Return an event with a piece of a tool call."""
    function = {"name": "look", "arguments": arguments}
    return delta(tool_calls=[{"index": place, "id": f"c{place}", "function": function, **more}])


HI = delta_event("Hi")


def names_of_an_event(key: str) -> bytes:
    """Return an event that has a key as every name that is not of a text."""
    members = ("id", "model", "object", "system_fingerprint", "service_tier", "provider", key)
    return sse_event({**dict.fromkeys(members, key), "choices": []})


def fields_of_sse(key: str) -> bytes:
    """Return a comment and an event without data, with a key in every field."""
    return f": {key}\n\nevent: {key}\nid: {key}\nretry: {key}\n{key}: {key}\n\n".encode()


def error(status: str, headers: Mapping[str, str] | None = None, **members: object) -> ScriptedReply:
    """Return an error response in which characters stand as they are."""
    return json_reply(status, json.dumps({"error": members}, ensure_ascii=False), **(headers or {}))


ECHOES: dict[str, Callable[[str], ScriptedReply]] = {
    "refused": lambda key: error(
        "401 Unauthorized", message=f"bad key: {every_encoding(key)}", code=key, type=key, param=nested(key)
    ),
    "refused-by-name": lambda key: json_reply("403 No", {key: {key: key}}),
    "limited": lambda key: error(
        "429 Slow", {"retry_after_ms": "10", "x_ratelimit": key}, message=f"{key} {every_encoding(key)}"
    ),
    "headed": lambda key: event_stream(HI, x_request_id=key, x_echo=key, server=key),
    "named-in-the-head": lambda key: event_stream(HI, **{f"x_{re.sub('[^a-z0-9_]', '', key)}": key}),
    "headed-in-other-case": lambda key: event_stream(HI, x_echo=key.lower(), x_request_id=key.upper()),
    "spoken": lambda key: event_stream(delta_event(every_encoding(key))),
    "spoken-in-pieces": lambda key: event_stream(*map(delta_event, in_pieces(every_encoding(key)))),
    "thought": lambda key: event_stream(delta(reasoning_content=every_encoding(key)), HI),
    "tooled": lambda key: event_stream(call(every_encoding(key))),
    "tooled-by-name": lambda key: event_stream(
        call("", id=key, type=key, function={"name": key, "arguments": json.dumps({key: key})})
    ),
    "tooled-in-turn": lambda key: event_stream(*(call(piece, place) for piece in in_pieces(key) for place in (0, 1))),
    "named": lambda key: event_stream(names_of_an_event(key), delta_event("Hi", finish_reason=key)),
    "counted": lambda key: event_stream(
        HI, sse_event({"choices": [], "usage": {"prompt_tokens": 1, "of": key, key: 3, **nested(key)}})
    ),
    "commented": lambda key: event_stream(fields_of_sse(key), HI),
    "midway": lambda key: event_stream(
        HI, sse_event({"error": {"message": every_encoding(key), "type": every_encoding(key), "code": key}})
    ),
    "led-on": lambda key: ScriptedReply(
        [(0, http_head("307 Moved", location=f"https://{key}@h.test/{quote(key)}?key={key}", content_length="0"))]
    ),
    "led-to-its-host": lambda key: ScriptedReply(
        [(0, http_head("302 Found", location=f"http://{key}:{key}@{key}.test/{key}?{key}#{key}", content_length="0"))]
    ),
    "paged": lambda key: json_reply(
        "200 OK", "<html><title>{0}</title>{0}</html>".format(every_encoding(key, FOUND_IN_BYTES))
    ),
    "paged-error": lambda key: json_reply(
        "502 Bad", f"<html><title>{key}</title><body>{html.escape(key)}</body></html>"
    ),
    "whole": lambda key: json_reply(
        "200 OK",
        {
            "id": key,
            "model": key,
            "choices": [{"message": {"content": key}, "finish_reason": key}],
            "usage": nested(key),
        },
    ),
    "garbled": lambda key: event_stream(sse_event(f"{{ {every_encoding(key)}")),
    "phrased": lambda key: ScriptedReply([(0, http_head(f"400 {key}", content_length="0"))]),
    "plain": lambda key: ScriptedReply(
        [(0, http_head("500 Oops", content_length=str(len(key) + 8)) + f"key was {key}".encode())]
    ),
    "cut": lambda key: ScriptedReply([(0, http_head("500 Oops", content_length="9999") + key.encode())], "close"),
    "no-http": lambda key: ScriptedReply([(0, f"{key} {key}\r\n\r\n".encode())], "close"),
}


ABSENT_FROM_RECORDS = {"named-in-the-head", "commented", "phrased", "no-http"}
"""What these say of a key is dropped with the words around it."""


@contextmanager
def echoing(name: str) -> Iterator[ScriptedServer]:
    """Run a server that echoes the key it received in one of the ways above."""

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        return ECHOES[name](asked.headers["authorization"].removeprefix("Bearer "))

    with serve(answer) as server:
        yield server


@contextmanager
def echoing_servers(folder: Path, **further: str) -> Iterator[dict[str, ScriptedServer]]:
    """Run a server for each of these ways; write the compare.yaml with them and `further`, URLs by name."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(echoing(name)) for name in ECHOES}
        urls = {name: server.url for name, server in servers.items()} | further
        write_config(
            folder, **{name: {"base_url": url, "api_key_env": VARIABLE, "models": ["m"]} for name, url in urls.items()}
        )
        yield servers
