"""Base URLs are corrected or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.providers.base_url import InvalidBaseUrl, parse_base_url


@pytest.mark.parametrize(
    ("text", "url", "note"),
    [
        (" https://api.example.com/v1/ ", "https://api.example.com/v1", ""),
        ("https://api.example.com", "https://api.example.com", ""),
        ("HTTP://[::1]:8000/v1", "http://[::1]:8000/v1", ""),
        (
            "https://api.example.com/v1/chat/completions",
            "https://api.example.com/v1",
            "/chat/completions was cut off the base URL: it is added to every request anyway",
        ),
        *(
            (
                f"https://api.example.com/v1/{path}",
                "https://api.example.com/v1",
                f"/{path} was cut off the base URL: it is added to every request anyway",
            )
            for path in ("responses", "messages")
        ),
        (
            "https://api.example.com/v1/chat/completions/",
            "https://api.example.com/v1",
            "/chat/completions was cut off the base URL: it is added to every request anyway",
        ),
    ],
)
def test_a_base_url_is_corrected(text: str, url: str, note: str) -> None:
    """Blanks and a last slash are removed; a pasted request URL is shortened with a note."""
    address = parse_base_url(text)
    assert (address.url, "".join(address.notes)) == (url, note)


def test_the_default_path_is_added_to_a_bare_base_url() -> None:
    """A local server's bare base URL gets /v1, with a note; one with a path is not changed."""
    address = parse_base_url("http://localhost:8000", "/v1")
    assert (address.url, address.notes) == (
        "http://localhost:8000/v1",
        ("/v1 was added to the base URL, which had no path",),
    )
    assert parse_base_url("http://localhost:8000/api", "/v1").notes == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", "api.example.com", "ftp://api.example.com", "https://", "https:///v1", "file:///etc/passwd", "http://["),
        *(
            "https://api.example.com:port",
            "https://user:swordfish@api.example.com",
            "https://swordfish@api.example.com",
        ),
        *("https://api.example.com/v1?key=swordfish", "https://api.example.com/#swordfish", "https://api example.com"),
        *("https://api.example.com/\nswordfish", "https://api.example.com\x00"),
    ],
)
def test_an_invalid_base_url_is_refused_without_quoting_it(text: str) -> None:
    """One that is not http, or holds a secret, is refused with a message that does not repeat it."""
    with pytest.raises(InvalidBaseUrl) as caught:
        parse_base_url(text)
    assert "swordfish" not in str(caught.value)


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z@:\[\]/?#%. ]{0,30}", fullmatch=True))
def test_any_text_is_a_base_url_or_refused(text: str) -> None:
    """No other error is raised, and a corrected base URL is not corrected again."""
    try:
        address = parse_base_url(text)
    except InvalidBaseUrl:
        return
    again = parse_base_url(address.url)
    assert address.host
    assert again.host == address.host
    assert len(again.url) <= len(address.url)
