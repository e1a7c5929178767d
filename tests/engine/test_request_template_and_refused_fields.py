"""Refused fields: a refusal of a name is recognised, and an error about a value is not taken for one."""

import pytest

from runner.engine.request_template_and_refused_fields import find_refused_field, leave_out_refused, refuses_name


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        (
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
        ),
        ("max_tokens", "Use 'max_completion_tokens' instead of max_tokens", None),
        ("max_completion_tokens", "body.max_completion_tokens: Extra inputs are not permitted", None),
        ("max_completion_tokens", "Unrecognized request argument supplied: max_completion_tokens", None),
        ("max_completion_tokens", 'Unknown name "max_completion_tokens": Cannot find field.', None),
        ("max_completion_tokens", "不支持 max_completion_tokens 参数", None),
    ],
)
def test_the_refusal_of_a_field_name_is_recognised(name: str, message: str, code: str | None) -> None:
    """The messages are those of several vendors."""
    assert refuses_name(name, message, code)


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("max_tokens", "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", None),
        (
            "max_tokens",
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
            "invalid_value",
        ),
        ("max_tokens", "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens", None),
        ("max_tokens", "`max_tokens` must be greater than `thinking.budget_tokens`", None),
        ("max_tokens", "Range of max_tokens should be [1, 8192]", "invalid_parameter"),
        ("max_tokens", "max_tokens: Input should be less than or equal to 8192", None),
        ("max_tokens", "max_tokens must be at least 1", None),
        ("max_tokens", "max_tokens 超出范围", None),
        ("max_tokens", "This model does not support max_tokens above 4096; the maximum is 4096", None),
        (
            "max_completion_tokens",
            "Invalid 'max_completion_tokens': integer above maximum value",
            "integer_above_max_value",
        ),
        ("max_completion_tokens", "Unsupported value: 'max_completion_tokens' does not support 0", "unsupported_value"),
        ("max_tokens", "max_tokens is wrong", None),
    ],
)
def test_a_value_that_is_refused_is_no_refusal_of_the_name(name: str, message: str, code: str | None) -> None:
    """Otherwise the request would be repeated under another name, and the limit would never be reported."""
    assert not refuses_name(name, message, code)


def test_a_refused_field_is_found_among_those_sent_and_left_out_or_renamed() -> None:
    """A field that was not sent cannot have been refused, and a name that was refused, too, is not used instead."""
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    assert find_refused_field({"max_tokens": 9}, message, None) == "max_tokens"
    assert find_refused_field({"model": "m"}, message, None) is None
    body: dict[str, object] = {"max_tokens": 9, "stream_options": {}}
    leave_out_refused(body, {"max_tokens", "stream_options"})
    assert body == {"max_completion_tokens": 9}
    leave_out_refused(body, {"max_tokens", "max_completion_tokens"})
    assert body == {"max_completion_tokens": 9}
