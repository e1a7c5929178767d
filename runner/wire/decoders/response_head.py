"""The head of a response: its status and headers, and the event that says what they hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.core.events import ResponseStarted
from runner.wire.decoders.answered_by_fields import request_id, vendor_in_headers
from runner.wire.decoders.retry_after import rate_limits

NANOSECONDS = re.compile(r"[0-9]{1,18}")
"""Matches a clock's value; a longer one may not fit a 64-bit integer."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response's status and headers; names in lower case, values of one name joined by commas."""

    status: int
    headers: Mapping[str, str]


def response_started(head: ResponseHead, at_ns: int) -> ResponseStarted:
    """Return the event of a response's head."""
    simulated = head.headers.get("x-simulated") == "true"
    received, limits = received_ns(head.headers), rate_limits(head.headers)
    vendor = vendor_in_headers(head.headers)
    return ResponseStarted(at_ns, head.status, request_id(head.headers), received, simulated, limits, vendor)


def received_ns(headers: Mapping[str, str]) -> int | None:
    """Return when a server with a known clock, such as the simulator, received the request's last byte, in ns."""
    value = headers.get("x-received-ns", "")
    return int(value) if NANOSECONDS.fullmatch(value) else None
