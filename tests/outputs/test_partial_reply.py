"""A partial reply: text by channel, each call on its own line."""

from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import AnswerWasReasoning, CallPiece, Channel, Event, Text
from runner.outputs.text.partial_reply import PartialReply

TEXTS = st.builds(
    Text, st.just(0), st.sampled_from([Channel.REASONING, Channel.ANSWER]), st.text(min_size=1, max_size=5)
)
PIECES = st.builds(
    CallPiece, st.just(0), st.just("1"), name=st.sampled_from(["", "f"]), arguments=st.text(min_size=1, max_size=5)
)


@given(st.lists(TEXTS | PIECES | st.just(AnswerWasReasoning(0))))
def test_text_grows_by_channel(events: list[Event]) -> None:
    """Nothing of a reply is lost; text before a closing think tag alone becomes reasoning; each call has a line."""
    partial = PartialReply("acme/m")
    for event in events:
        partial.add(event)
    last_tag = max((at for at, event in enumerate(events) if isinstance(event, AnswerWasReasoning)), default=-1)
    texts = [(at, event) for at, event in enumerate(events) if isinstance(event, Text)]
    answer = "".join(text.text for at, text in texts if at > last_tag and text.channel is Channel.ANSWER)
    assert partial.reply == answer
    assert len(partial.reasoning) == sum(len(text.text) for _, text in texts) - len(answer)
    pieces = [event for event in events if isinstance(event, CallPiece)]
    lines = sum(1 for at, piece in enumerate(pieces) if piece.name and at)
    assert partial.calls.count("\n") == lines + sum(piece.arguments.count("\n") for piece in pieces)
    assert (partial.first_ns is not None) is any(isinstance(event, Text | CallPiece) for event in events)
