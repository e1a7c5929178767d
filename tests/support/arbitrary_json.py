"""Strategies for JSON of any shape, under the names that decoders read, and what no event decoded from it may hold."""

from collections.abc import Iterable

from hypothesis import strategies as st

from runner.core.events import AnsweredBy, CallPiece, EmptyChunk, Event, Failed, Finished, SignedThinking, Text

MEMBERS = """
    content reasoning reasoning_content reasoning_details tool_calls function name arguments text type thinking
    prompt_tokens completion_tokens total_tokens completion_tokens_details reasoning_tokens cached_tokens refusal error
    code status_code status message status_msg detail loc msg metadata raw details retryDelay innererror id
    index custom input function_call
"""
"""Names of members that decoders read."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS.split()), inner, max_size=5),
    max_leaves=12,
)
"""Values of any shape under these names."""

FRAMES = st.sampled_from([b"data: %s\n\n", b"event: error\ndata: %s\n\n", b"%s", b"error: %s\n"])
"""How a value stands in a body: as an event, as an error event, alone, or behind an unknown field."""


def check_types(events: Iterable[Event]) -> None:
    """Check that no event holds a value of the wrong type, or says nothing."""
    for event in events:
        match event:
            case AnsweredBy():
                names = [event.served_by, event.system_fingerprint, event.service_tier]
                assert any(names)
                assert all(name is None or isinstance(name, str) for name in names)
                assert "" not in names
            case Text():
                assert isinstance(event.text, str)
                assert event.text.encode()
            case CallPiece():
                assert event.text.text.encode()
                assert event.id is None or event.id.encode()
            case Failed():
                assert isinstance(event.message, str)
                assert event.message.encode()
            case Finished():
                assert isinstance(event.reason, str)
                assert event.reason.encode()
            case EmptyChunk():
                assert event.response_model is None or event.response_model.encode()
            case SignedThinking():
                assert "".join(event.block.values()).encode()
