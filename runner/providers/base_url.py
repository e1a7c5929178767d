"""Parse base URLs: refuse unusable ones, and correct common mistakes."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

PASTED_ENDINGS = ("/chat/completions", "/completions", "/responses", "/messages")
"""Endings of full request URLs, which users copy from a vendor's page instead of the base URL."""


class InvalidBaseUrl(ValueError):
    """A base URL cannot be used. The message does not repeat it, since it may contain a password."""


@dataclass(frozen=True, slots=True)
class ParsedBaseUrl:
    """A usable base URL; `notes` are sentences on what was corrected."""

    url: str
    notes: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host, without a port."""
        return urlsplit(self.url).hostname or ""


def parse_base_url(text: str, default_path: str | None = None) -> ParsedBaseUrl:
    """Return a base URL with `default_path` in place of an empty path, and without the path of a pasted request URL.

    Raises:
        InvalidBaseUrl: the text is not an http or https URL, or contains a password, a query or a fragment.

    """
    parts = _checked_parts(text.strip())
    path, notes = parts.path.rstrip("/"), []
    for ending in PASTED_ENDINGS:
        if path.endswith(ending):
            path = path.removesuffix(ending)
            notes.append(f"{ending} was cut off the base URL: it is added to every request anyway")
            break
    if not path and default_path:
        path = default_path.rstrip("/")
        notes.append(f"{path} was added to the base URL, which had no path")
    return ParsedBaseUrl(urlunsplit((parts.scheme, parts.netloc, path, "", "")), tuple(notes))


def is_on_this_machine(base_url: str) -> bool:
    """Return whether a URL names a loopback address: requests to it do not leave this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _checked_parts(text: str) -> SplitResult:
    if not text.isprintable() or any(character.isspace() for character in text):
        raise InvalidBaseUrl("the base URL holds a space or a control character. Write it as https://host/path")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it validates it
    except ValueError:
        raise InvalidBaseUrl("the base URL cannot be read. Write it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidBaseUrl(
            "the base URL does not start with http:// or https:// and a host. Write it as https://host/path"
        )
    if "@" in parts.netloc:
        raise InvalidBaseUrl(
            "the base URL holds a user name or password. Put the key into the variable that api_key_env names"
        )
    if parts.query or parts.fragment:
        raise InvalidBaseUrl("the base URL has a query or a fragment. End it before the ? or #")
    return parts
