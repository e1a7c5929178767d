"""Samples of the other dialects than chat completions: recorded responses give the expected events at any cuts."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.suite import DEFAULT_API, Api, Timeouts
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from runner.wire.dialects import DIALECTS
from tests.support.client_requests import QUESTION, endpoint_at
from tests.support.scripted_server import ScriptedReply, serve
from tests.support.wire_samples import (
    DIALECT_SAMPLES,
    FROM_TEXTS,
    DialectSample,
    decode,
    expectation,
    flags_from_texts,
    fold_of,
    observe,
    sample_of,
    split,
)

FEWEST = 20
"""Samples that each dialect has at least."""


@pytest.mark.parametrize("api", [api for api in DIALECTS if api != DEFAULT_API])
def test_every_dialect_has_samples(api: Api) -> None:
    """Each dialect is tested with recorded responses, not only with what its decoder expects."""
    assert len([each for each in DIALECT_SAMPLES if each.api == api]) >= FEWEST


@pytest.mark.parametrize("each", DIALECT_SAMPLES, ids=str)
def test_sample_is_decoded_as_expected_in_one_read(each: DialectSample) -> None:
    """A response in one read gives the fields that its sample expects, and no others."""
    assert observe(fold_of(each.sample, each.decode([each.sample.body]))) == expectation(each.sample)


@pytest.mark.parametrize("each", DIALECT_SAMPLES, ids=str)
def test_sample_has_the_flags_that_follow_from_its_texts_and_counts(each: DialectSample) -> None:
    """Examples: a summary of reasoning, no answer at all, impossible counts."""
    found = flags_from_texts(fold_of(each.sample, each.decode([each.sample.body])))
    assert found == FROM_TEXTS.intersection(each.sample.expected.get("derived_flags", ()))


@pytest.mark.parametrize("each", DIALECT_SAMPLES, ids=str)
def test_sample_is_decoded_the_same_byte_by_byte(each: DialectSample) -> None:
    """Reads of one byte give the same events as one read."""
    body = each.sample.body
    assert each.decode(body[place : place + 1] for place in range(len(body))) == each.decode([body])


@given(st.sampled_from(DIALECT_SAMPLES), st.lists(st.integers(0, 12_000), max_size=12))
@settings(deadline=None)
def test_sample_is_decoded_the_same_at_random_cuts(each: DialectSample, cuts: list[int]) -> None:
    """Wherever reads cut a response, the events are the same."""
    assert each.decode(split(each.sample.body, cuts)) == each.decode([each.sample.body])


@given(
    st.sampled_from(DIALECT_SAMPLES),
    st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 255)), min_size=1, max_size=5),
    st.lists(st.integers(0, 12_000), max_size=5),
)
@settings(deadline=None)
def test_damaged_samples_raise_nothing(each: DialectSample, damage: list[tuple[int, int]], cuts: list[int]) -> None:
    """A response with some bytes changed gives the same events at any cuts."""
    body = bytearray(each.sample.body)
    for place, byte in damage:
        body[place % len(body)] = byte
    damaged = replace(each, sample=replace(each.sample, body=bytes(body)))
    assert damaged.decode([damaged.sample.body]) == damaged.decode(split(damaged.sample.body, cuts))


@pytest.mark.anyio
@pytest.mark.parametrize("each", DIALECT_SAMPLES, ids=str)
async def test_sample_is_decoded_as_expected_over_a_connection(each: DialectSample) -> None:
    """A socket gives the same fold as the bytes alone."""
    attempt = Attempt()
    with serve(ScriptedReply([(0, (each.folder / "response.http").read_bytes())], "close")) as server:
        client = Client(endpoint_at(server.url))
        await client.ask(AttemptRequest("m-1", QUESTION, {}, Timeouts(first_token=1), api=each.api), attempt)
        await client.aclose()
    assert observe(attempt.fold) == expectation(each.sample)


@pytest.mark.parametrize("api", [api for api in DIALECTS if api != DEFAULT_API])
@given(
    body=st.binary(max_size=300),
    status=st.sampled_from([200, 204, 301, 400, 429, 503, 529]),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_arbitrary_bytes_have_an_outcome_other_than_ok(api: Api, body: bytes, status: int, cuts: list[int]) -> None:
    """No response raises an exception."""
    sample = sample_of(body, status)
    events = decode(sample, split(body, cuts), None, DIALECTS[api].decoder)
    assert fold_of(sample, events).outcome().value != "ok"
