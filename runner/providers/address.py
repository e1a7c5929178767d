"""What a base URL may look like: read, cleaned and, where that is safe, mended."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

PASTED_ENDINGS = ("/chat/completions", "/completions")
"""Ends of full request URLs, which people copy from a vendor's page instead of the base URL."""


class InvalidAddress(ValueError):
    """Says what is wrong with a base URL and what to do, without repeating it: it may hold a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL fit for use, with what had to be done to it."""

    url: str
    notes: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The machine that is asked, without a port."""
        return urlsplit(self.url).hostname or ""


def read_address(text: str, default_path: str | None = None) -> Address:
    """Check a base URL: an empty path becomes `default_path`, the path of a pasted request is cut off."""
    parts = _split(text.strip())
    path, notes = parts.path.rstrip("/"), []
    for ending in PASTED_ENDINGS:
        if path.endswith(ending):
            path = path.removesuffix(ending)
            notes.append(f"{ending} was cut off the base URL: it is added to every request anyway")
            break
    if not path and default_path:
        path = default_path.rstrip("/")
        notes.append(f"{path} was added to the base URL, which had no path")
    return Address(urlunsplit((parts.scheme, parts.netloc, path, "", "")), tuple(notes))


def _split(text: str) -> SplitResult:
    if not text.isprintable() or any(character.isspace() for character in text):
        raise InvalidAddress("the base URL holds a space or a control character. Write it as https://host/path")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise InvalidAddress("the base URL cannot be read. Write it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidAddress(
            "the base URL does not start with http:// or https:// and a host. Write it as https://host/path"
        )
    if "@" in parts.netloc:
        raise InvalidAddress(
            "the base URL holds a user name or password. Put the key into the variable that api_key_env names"
        )
    if parts.query or parts.fragment:
        raise InvalidAddress("the base URL has a query or a fragment. End it before the ? or #")
    return parts
