"""Who answered: precedence among several names, and values that are not names."""

import json

import pytest

from runner.core.events import AnsweredBy
from runner.core.record_from_events import Fold
from runner.wire.decoders.answered_by_fields import (
    LONGEST_NAME,
    answered_by,
    vendor_in_headers,
    who_answered,
    without_addresses,
)
from runner.wire.decoders.common_chat_chunks import decode_plain_chunks
from runner.wire.decoders.response_decoder import ResponseDecoder


def fold_of(*values: object, reads: bool = True) -> Fold:
    """Return the fold of a stream of JSON values, each in its own read or all in one."""
    frames = [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values]
    decoder, fold = ResponseDecoder(200, {}), Fold()
    for read in frames if reads else [b"".join(frames)]:
        for event in decoder.feed(1, read):
            fold.add(event)
    for event in decoder.close(1):
        fold.add(event)
    return fold


def chunk(text: str, **names: object) -> dict[str, object]:
    """Return a chunk with text and names."""
    return {**names, "choices": [{"index": 0, "delta": {"content": text}}]}


@pytest.mark.parametrize("reads", [True, False], ids=["read by read", "in one read"])
def test_a_vendor_that_takes_over_among_plain_chunks_is_noticed(reads: bool) -> None:
    """The fast path for chunks with text alone does not miss a new name."""
    chunks = [chunk(letter, provider="Fireworks") for letter in "abc"] + [chunk("d", provider="Together")]
    fold = fold_of(*chunks, reads=reads)
    assert (fold.answered_by.served_by, fold.notes) == ("Fireworks", ("answered_by_differs",))


def test_a_chunk_without_names_changes_no_name() -> None:
    """Some servers name the vendor in a few chunks only."""
    chunks = [chunk("a", provider="P", system_fingerprint="f"), chunk("b", provider="P"), chunk("c"), chunk("d")]
    fold = fold_of(*chunks, chunk("e", system_fingerprint="f"))
    assert fold.notes == ()
    assert (fold.answered_by.served_by, fold.answered_by.system_fingerprint) == ("P", "f")


def test_a_plain_chunk_is_plain_until_it_names_somebody_else() -> None:
    """A stream with a provider in every chunk is decoded as fast as one without."""
    data = json.dumps(chunk("a", provider="P")).encode()
    assert decode_plain_chunks([data], [1], ("P", None, None)) == decode_plain_chunks([data], [1]) != []
    assert decode_plain_chunks([data], [1], ("Q", None, None)) == []


@pytest.mark.parametrize(
    ("value", "tier"),
    [
        ({"type": "response.completed", "response": {"service_tier": "default"}}, "default"),
        ({"type": "message_start", "message": {"usage": {"service_tier": "standard"}}}, "standard"),
        ({"type": "message", "usage": {"service_tier": "batch"}}, "batch"),
        ({"choices": [], "service_tier": "flex"}, "flex"),
    ],
)
def test_the_tier_is_read_where_each_dialect_has_it(value: object, tier: str) -> None:
    """It is in the response of Responses, among the counts of Messages, and in the chunk of chat completions."""
    assert answered_by(value, 3) == AnsweredBy(3, service_tier=tier)


@pytest.mark.parametrize("value", [None, 7, [], {}, {"provider": ""}, {"provider": " \n"}, {"provider": ["P"]}])
def test_values_that_are_no_names_are_ignored(value: object) -> None:
    """A response without a name gives none."""
    assert answered_by(value, 3) is None


def test_a_name_without_end_is_cut() -> None:
    """A name of megabytes does not reach a row."""
    found = answered_by({"provider": "x" * 10_000}, 3)
    assert found is not None
    assert found.served_by == "x" * LONGEST_NAME


@pytest.mark.parametrize(
    ("headers", "vendor"),
    [
        ({}, None),
        ({"x-litellm-model-api-base": "https://user:secret@api.example/v1?key=secret"}, "api.example"),
        ({"x-litellm-model-api-base": "http://[broken/v1"}, None),
        ({"x-litellm-model-api-base": "api.example/v1?api_key=secret"}, "api.example"),
        ({"x-litellm-model-api-base": "api.example?api_key=secret"}, "api.example"),
        ({"x-litellm-model-api-base": "api.example#secret"}, "api.example"),
        ({"x-litellm-model-api-base": "user:secret@api.example:8443/v1"}, "api.example"),
        ({"x-litellm-model-api-base": "//api.example/secret"}, "api.example"),
        ({"x-litellm-model-api-base": "api.example/?next=http://x?key=secret"}, "api.example"),
        ({"x-inference-provider": "api.example/v1?api_key=secret"}, "api.example"),
        ({"x-inference-provider": "deepinfra/turbo"}, "deepinfra/turbo"),
        ({"x-litellm-model-api-base": "", "x-litellm-model-id": "7c"}, "7c"),
        ({"x-portkey-last-used-option-index": "config.targets[1]"}, "config.targets[1]"),
    ],
)
def test_headers_name_a_vendor_without_the_secrets_of_an_address(headers: dict[str, str], vendor: str | None) -> None:
    """Only the host of an address is kept, with or without a scheme; so it is in the headers of a recording."""
    assert vendor_in_headers(headers) == vendor
    recorded = without_addresses({"x-request-id": "1", **headers})
    assert vendor_in_headers(recorded) == vendor
    assert "secret" not in str(recorded)


def test_a_body_names_a_vendor_without_the_secrets_of_an_address() -> None:
    """A router that sends an address in place of the vendor's name is known by its host."""
    assert answered_by({"provider": "https://api.example/v1?key=secret"}, 3) == AnsweredBy(3, "api.example")
    assert who_answered(3, "https://api.example/v1?key=secret", None, None) == AnsweredBy(3, "api.example")
