"""Lenient JSON: what providers send is decoded if possible, and anything else raises `ValueError`."""

import pytest

from runner.wire.decoders.lenient_json import read_json


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1}', ({"a": 1}, False)),
        (b'"\xff"', ("\ufffd", True)),
        (rb'"\ud83d\ude00"', ("😀", False)),
        (rb'"\ud83dx"', ("\ufffdx", True)),
        (rb'{"a":["\uDE00"]}', ({"a": ["\ufffd"]}, True)),
        (rb'"\\ud83d"', ("\\ud83d", False)),
        (b'"a\tb"', ("a\tb", False)),
        (b"NaN", (None, False)),
    ],
)
def test_json_is_decoded_leniently(data: bytes, expected: tuple[object, bool]) -> None:
    """Bad characters are replaced, and the result states whether there were any."""
    assert read_json(data) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"1" * 10_000, b"{} {}", b"[DONE]", b"{'a':1}"])
def test_bytes_that_are_not_json_raise_value_error(data: bytes) -> None:
    """No bytes raise another exception."""
    with pytest.raises(ValueError, match=r"."):
        read_json(data)
