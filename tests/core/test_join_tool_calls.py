"""Tool calls joined from their pieces: complete in any order of arrival, the first timed by its last piece."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import (
    CallPiece,
    Channel,
    ChoiceChanged,
    ChoiceKept,
    Event,
    Finished,
    Outcome,
    StreamDone,
    Text,
    WholeMessage,
)
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.core.record_from_events import Fold
from runner.core.tool_call import ToolCall
from runner.engine.make_record import with_response
from runner.providers.key import Key
from runner.providers.redaction import Redactor
from tests.support.fold_events import fold_events

KEY = "sk-secret-0123456789"
ASKED = Record(Identity("k", "c", 1, 1, 1, "p", "m", "Hello"), Timestamps(sent=0), Outcome.OK)


def record_of(fold: Fold, *keys: str) -> Record:
    """Return the record of a fold whose request was sent at 0."""
    return with_response(ASKED, fold, (), Redactor(Key(key, "KEY") for key in keys), sent_ns=0, epoch_ns=0)


CALLS = st.lists(
    st.tuples(st.text("fg", min_size=1, max_size=3), st.lists(st.text('{"a":1}', min_size=1, max_size=4), max_size=4)),
    min_size=1,
    max_size=4,
)


@given(CALLS, st.randoms(use_true_random=False))
def test_calls_are_whole_however_their_pieces_alternate(calls: list[tuple[str, list[str]]], random: object) -> None:
    """Each call has its own name and arguments; calls are in the order in which they began."""
    queues = [
        [CallPiece(0, str(place), name, id=f"id-{place}"), *(CallPiece(0, str(place), "", each) for each in pieces)]
        for place, (name, pieces) in enumerate(calls)
    ]
    sent: list[CallPiece] = []
    while any(queues):
        queue = random.choice([queue for queue in queues if queue])  # type: ignore[attr-defined]
        sent.append(queue.pop(0)._replace(at_ns=1000 * len(sent)))
    fold = fold_events(*sent, Finished(10**6, "tool_calls"))
    begun = dict.fromkeys(int(piece.call) for piece in sent)
    assert fold.calls.values == tuple(
        ToolCall(calls[place][0], "".join(calls[place][1]), f"id-{place}") for place in begun
    )
    last = [max(piece.at_ns for piece in sent if int(piece.call) == place) for place in begun]
    record = record_of(fold)
    assert record.timestamps.first_call == min(last)
    assert record.tool_call_s == min(last) / 1e9
    assert record.tool_calls == "".join(call.name + call.arguments for call in record.calls)
    assert record.chars == len(record.tool_calls)


def test_ttft_is_that_of_the_name_and_the_call_is_complete_later() -> None:
    """The first fragment of a call is its first text."""
    record = record_of(
        fold_events(
            CallPiece(5_000, "0", "find", id="c"), CallPiece(9_000, "0", "", "{}"), Finished(12_000, "tool_calls")
        )
    )
    assert (record.ttft_s, record.ttfa_s, record.tool_call_s) == (5e-6, None, 9e-6)


@pytest.mark.parametrize(
    ("ending", "first_ns"),
    [
        ((Finished(9, "tool_calls"),), 2),
        ((StreamDone(9),), 2),
        ((Finished(9, "length"),), 4),
        ((), 4),
    ],
    ids=["ended", "done", "limit", "cut"],
)
def test_a_call_that_was_cut_is_not_complete(ending: tuple[Event, ...], first_ns: int) -> None:
    """If a reply stops before its end, only a call whose arguments are JSON is complete."""
    calls = (CallPiece(1, "0", "f", '{"a'), CallPiece(2, "0", "", '":'), CallPiece(4, "1", "g", "{}"))
    assert fold_events(*calls, *ending).first_call_ns == first_ns
    alone = fold_events(*calls[:2], *ending)
    assert alone.first_call_ns == (2 if first_ns == 2 else None)


def test_a_call_that_the_provider_runs_is_not_among_the_calls() -> None:
    """A search by the provider counts as streamed text; the caller does not run it."""
    fold = fold_events(CallPiece(1, "0", "web_search", '{"q":1}', by_provider=True), Finished(9, "stop"))
    record = record_of(fold)
    assert (record.calls, record.tool_calls, record.tool_call_s) == ((), 'web_search{"q":1}', None)


def test_calls_of_a_dropped_choice_are_dropped() -> None:
    """In a stream with several replies, the calls of the kept one stay complete."""
    fold = fold_events(
        CallPiece(1, "a", "f", "{"),
        ChoiceChanged(2, "1"),
        CallPiece(2, "b", "f", "{"),
        ChoiceChanged(3, "0"),
        ChoiceKept(3, "0"),
        CallPiece(3, "a", "", "}"),
        Finished(4, "tool_calls"),
    )
    assert fold.calls.values == (ToolCall("f", "{}"),)
    assert fold.text(Channel.TOOL) == "f{}"


@pytest.mark.parametrize(
    ("whole", "expected", "notes"),
    [
        ((ToolCall("f", "{}", "c"),), (ToolCall("f", "{}", "c"),), ()),
        ((ToolCall("f", "{}", "c"), ToolCall("g", "[]")), (ToolCall("f", "{}", "c"), ToolCall("g", "[]")), ()),
        ((ToolCall("f", "{} ", "c"),), (ToolCall("f", "{} ", "c"),), ()),
        ((ToolCall("g", "{}", "c"),), (ToolCall("f", "{}", "c"),), ("message_differs",)),
    ],
    ids=["the same", "one more", "says more", "differs"],
)
def test_a_whole_message_after_the_pieces_adds_only_new_calls(
    whole: tuple[ToolCall, ...], expected: tuple[ToolCall, ...], notes: tuple[str, ...]
) -> None:
    """Its calls are compared, in order, with those that came in pieces."""
    fold = fold_events(CallPiece(1, "0", "f", "{}", "c"), WholeMessage(2, {}, calls=whole), Finished(3, "tool_calls"))
    assert (fold.calls.values, fold.notes) == (expected, notes)


def test_no_key_stays_in_a_call() -> None:
    """A provider may repeat a key in a name, in arguments or in an id, also split over several pieces."""
    half = len(KEY) // 2
    fold = fold_events(
        CallPiece(1, "0", KEY, KEY[:half], KEY), Text(1, Channel.ANSWER, "x"), CallPiece(2, "0", "", KEY[half:])
    )
    (call,) = record_of(fold, KEY).calls
    assert KEY not in call.name + call.arguments + (call.id or "")
    assert (call.name, call.arguments) != ("", "")
