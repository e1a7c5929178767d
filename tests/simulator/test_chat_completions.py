"""The parser of chat completions' bodies."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from runner.simulator.chat_completions import parse_request
from runner.simulator.http_request import RequestError, parse_head

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
HEAD = parse_head(b"POST /v1/chat/completions HTTP/1.1\r\n\r\n")
PARAMS = ["model", "messages", "stream", "stream_options", "n", "stop", "seed", "max_tokens", "thinking", "role"]


@given(st.binary() | st.dictionaries(st.sampled_from(PARAMS), json_values).map(json.dumps).map(str.encode))
def test_arbitrary_bodies_are_parsed_or_refused(body: bytes) -> None:
    """The parser of bodies raises nothing but `RequestError`."""
    try:
        refused_with = None if parse_request(replace(HEAD, body=body)).messages else 0
    except RequestError as refusal:
        refused_with = refusal.status
    assert refused_with in (None, 400)
