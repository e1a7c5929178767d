"""Strategies for JSON of any shape, under the names that decoders read, and for its place in a response."""

from hypothesis import strategies as st

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
