"""Failures that providers report: an HTTP status, or an error inside a stream, becomes a `Failed`.

The message is the provider's own. The tables hold the statuses, codes and phrases that show a failure's kind.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from runner.core.events import Failed
from runner.core.failure_kinds import NO_MESSAGE, failure
from runner.wire.decoders.error_body import ErrorBody, as_status, one_line, parse_error, parse_error_body
from runner.wire.decoders.retry_after import retry_after_s

STATUSES: dict[int, str] = {
    401: "key",
    402: "balance",
    403: "permission",
    404: "address",
    405: "address",
    407: "proxy_auth",
    408: "server_timeout",
    409: "server",  # another request holds a lock
    410: "model",
    413: "context",
    429: "rate",
    451: "permission",
    501: "unsupported",
    503: "overloaded",
    504: "server_timeout",
    505: "unsupported",
    522: "server_timeout",  # Cloudflare's, like 524
    524: "server_timeout",
    529: "overloaded",
}

STATUS_CLASSES: dict[int, str] = {3: "redirect", 4: "request"}
"""Kinds of the statuses that are not in the table; other classes are failures of the server."""


def normalise(code: str) -> str:
    """Return a code in the spelling of the tables: `ModelNotFound` and `model_not_found` are the same."""
    return re.sub(r"[\W_]", "", code).lower()


def _by_code(codes: dict[str, str]) -> dict[str, str]:
    return {normalise(code): kind for kind, listed in codes.items() for code in listed.split()}


CODES = _by_code(
    {
        # Numbers with four digits are Zhipu's, those with five are SiliconFlow's.
        "key": """1000 1001 1002 1003 1004 invalid_api_key api_key_invalid UNAUTHENTICATED invalid_iam_token
            no_db_connection""",
        "balance": """1113 1008 30001 insufficient_quota insufficient_balance insufficient_balance_error
            insufficient_user_quota exceeded_current_quota_error billing_hard_limit_reached billing_not_active
            budget_exceeded insufficient_credits insufficient_funds credits_exhausted spending_limit_exceeded
            enforced_spend_limit_reached billing_error
            Arrearage AccountOverdueError AllocationQuota.FreeTierOnly""",
        "plan": "1309 1311 AccessDenied.Unpurchased ModelNotOpen",
        "permission": """1110 1111 1112 1120 1220 permission_denied permission_denied_error access_denied
            Model.AccessDenied Workspace.AccessDenied account_deactivated unsupported_country_region_territory""",
        "model": """1211 20012 model_not_found DeploymentNotFound InvalidEndpointOrModel.NotFound
            invalid_model model_not_supported""",
        "not_recorded": "not_recorded",
        "rate": """1302 1303 rate_limit_exceeded rate_limit_reached_error RESOURCE_EXHAUSTED limit_requests
            limit_burst_rate Throttling Throttling.RateQuota Throttling.BurstRate too_many_requests
            rpm_rate_limit_exceeded tpm_rate_limit_exceeded""",
        "quota": "1304 1308 1310 1313 QuotaExceeded daily_limit_exceeded usage_limit_reached",
        "content_filter": """1301 content_filter content_policy_violation data_inspection_failed
            ResponsibleAIPolicyViolation SensitiveContentDetected InputTextSensitiveContentDetected
            OutputTextSensitiveContentDetected invalid_prompt bio_policy misalignment_policy_violation
            image_content_policy_violation""",
        "context": "1261 context_length_exceeded string_above_max_length request_too_large",
        "request": "1210 1212 1213 1214 1215 20015",
        "overloaded": """1305 1312 50505 50603 overloaded_error engine_overloaded_error ServerOverloaded
            UNAVAILABLE server_is_overloaded slow_down provider_overloaded""",
        "server": "1234 internal_server_error InternalError",
        "server_timeout": "DEADLINE_EXCEEDED RequestTimeOut",
    }
)
"""Codes that are more specific than the status, and take precedence over it."""

BASE_RESP_CODES = _by_code(
    {
        "key": "1004 2049",
        "balance": "1008",
        "rate": "1002 1039",
        "content_filter": "1026 1027",
        "request": "2013",
        "server_timeout": "1001",
        "server": "1000 1013 1024 1033",
    }
)
"""MiniMax's numbers in `base_resp`, some of which have other meanings at Zhipu."""

TYPES = _by_code(
    {
        "key": "authentication_error AuthenticationError invalid_authentication_error",
        "permission": "permission_error",
        "model": "not_found_error NotFoundError resource_not_found_error NOT_FOUND",
        "rate": "rate_limit_error RateLimitError",
        "request": "invalid_request_error BadRequestError INVALID_ARGUMENT FAILED_PRECONDITION InvalidParameter",
        "server": "server_error",
        "server_timeout": "timeout_error timeout",
    }
)
"""Broad error types, which count only if neither the message nor a status determines the kind."""


def _compile(phrases: dict[str, str]) -> list[tuple[str, re.Pattern[str]]]:
    return [(kind, re.compile(phrase, re.VERBOSE | re.IGNORECASE)) for kind, phrase in phrases.items()]


BROAD_KINDS = frozenset({"rate", "permission", "request", "server", "overloaded"})
"""Kinds whose codes vendors also send when money is spent or a daily cap is reached."""

CAPS = _compile(
    {
        "balance": r"""(used|exhausted|spent|consumed|r[au]n[ ]out[ ]of|out[ ]of|no|not[ ]enough|insufficient)
            [ ](up[ ])?(all[ ])?(of[ ])?(your[ ]|the[ ]|its[ ])?
            ((available|remaining|free|account|prepaid)[ ])*(credits?|balance|funds)\b
            |\bcredits?[ ](are[ ]|is[ ]|has[ ]been[ ]|have[ ]been[ ])?(exhausted|depleted|used[ ]up|expired|spent)
            |\b(credit[ ])?balance[ ](is[ ])?(too[ ]low|insufficient|exhausted|depleted|negative)
            |(requires|needs?)[ ]more[ ]credits
            |(spend(ing)?|billing|budget|cost|hard)[ ]?(limit|cap)[ ](has[ ]been[ ]|was[ ]|is[ ])?(reached|exceeded|hit)
            |(reach|exceed|hit)(ed|s)?[ ]((its|your|the|a|their)[ ])?(\w+[ ]){0,2}(spend(ing)?|budget|billing)
            [ ](limit|cap)|budget[ ]has[ ]been[ ]exceeded|exceeded[ ](your|the|its)[ ](\w+[ ])?budget\b(?![ _]tokens)
            |over[ ]budget|key[ ]limit[ ]exceeded|payment[ ]required|unpaid[ ](invoice|bill)|\barrears\b
            |overdue[ ](balance|payment)|purchase[ ](more[ ])?credits|top[ ]up[ ]your
            |额度已用尽|额度不足|账户余额|余额不足|欠费""",
        "quota": r"""free-models-per-day|per[ _-]?(day|week|month)(?![a-z])|PerDay|\b(RPD|TPD)\b
            |\b(daily|weekly|monthly)[ ](\w+[ ]){0,3}(limit|quota|cap|allowance|maximum)
            |(limit|quota|cap)[ ](\w+[ ]){0,3}(for[ ]today|today|this[ ](week|month))
            |(usage|session|weekly|5[- ]?hour)[ ]limit[ ](has[ ]been[ ]|is[ ]|was[ ])?(reached|exceeded|hit)
            |reached[ ]your[ ](\w+[ ]){0,2}(usage|session|free|plan)[ ](limit|quota)
            |(今日|每日|当日|本月)[^。]{0,12}(上限|限额|额度|用尽|次数)""",
    }
)
"""Phrases for exhausted credit and for limits of a day or longer, which take precedence over broad codes."""

PHRASES = _compile(
    {
        "plain_http": r"""plain[ ]HTTP[ ]request[ ]was[ ]sent[ ]to[ ]HTTPS[ ]port
            |HTTP[ ]request[ ]to[ ]an[ ]HTTPS[ ]server|speaking[ ]plain[ ]HTTP[ ]to[ ]an[ ]SSL""",
        "balance": r"""insufficient[ _](account[ _])?(balance|quota|credits?|funds)|exceeded[ ]your[ ]current[ ]quota
            |balance[ ](is[ ])?(too[ ]low|not[ ]enough|insufficient)|(out[ ]of|not[ ]enough)[ ]credits
            |余额不足|欠费""",
        "model": r"""\bmodels?\b.{0,100}\b(not[ ]found|not[ ]exist|no[ ]longer[ ]available)
            |\b(unknown|invalid|no[ ]such)[ ]model\b|no[ ]endpoints[ ]found|^model:[ ]\S+$|模型不存在""",
        "key": r"""(incorrect|invalid|wrong|missing|no)[ ]api[ -]?key|api[ -]?key[ ](not[ ]valid|is[ ]invalid)
            |authentication[ ]fail|无效的令牌""",
        "context": r"context[ ](length|window)|prompt[ ]is[ ]too[ ]long|too[ ]many[ ](input[ ])?tokens",
        "content_filter": r"content[ _](filter|management[ ]policy)|requires[ ]moderation|data[ _]inspection",
        "rate": r"rate[ _-]?limit|too[ ]many[ ]requests",
        "overloaded": r"overloaded|server[ ]is[ ]busy|loading[ ]model",
    }
)
"""Phrases of a message that show the kind if no code does, in the order of the search."""


def classify_response(
    status: int, headers: Mapping[str, str], body: bytes, *, at_ns: int, now: datetime | None = None
) -> Failed:
    """Return the failure that an HTTP response with a status other than 2xx reports."""
    fields = {name.lower(): value for name, value in headers.items()}
    if 300 <= status < 400:
        return failure("redirect", _describe_redirect(fields.get("location")), at_ns, status=status)
    error = parse_error_body(body)
    wait_s = retry_after_s(fields, now)
    waits = [wait for wait in (wait_s, error.retry_after_s) if wait is not None]
    return _failed(error, status, max(waits, default=None), at_ns)


def classify_error(value: object, *, at_ns: int, status: int = 200) -> Failed:
    """Return the failure that a JSON value inside a stream reports."""
    error = parse_error(value)
    return _failed(error, status, error.retry_after_s, at_ns)


def _failed(error: ErrorBody, status: int, wait_s: float | None, at_ns: int) -> Failed:
    message = error.message or _describe_status(status)
    return failure(_kind_of(error, status), message, at_ns, status=status, code=error.code, retry_after_s=wait_s)


def _kind_of(error: ErrorBody, status: int) -> str:
    """Return the kind of a failure, given by a specific code, else the message, else the status, else a broad type."""
    codes = [normalise(code) for code in error.codes]
    table = BASE_RESP_CODES if error.is_base_resp else CODES
    message = error.message or ""
    by_code = _first(table.get(code) for code in codes)
    if by_code is None or by_code in BROAD_KINDS:
        # Providers report exhausted credit and daily limits with the codes of rate limits and permissions.
        by_code = _cap_of(f"{message} {error.details}", status) or by_code
    if error.is_page and status == 413:
        return "body_size"
    return (
        by_code
        or _first(kind for kind, phrase in PHRASES if phrase.search(message))
        or _kind_of_status(status)
        or _first(_kind_of_status(as_status(code)) for code in error.codes)
        or _first(TYPES.get(code) for code in codes)
        or "server"
    )


def _cap_of(text: str, status: int) -> str | None:
    """Return the kind of a refusal for exhausted credit or for a limit of a day or longer; None for any other."""
    if status == 404:
        return None
    return _first(kind for kind, phrase in CAPS if phrase.search(text))


def _kind_of_status(status: int | None) -> str | None:
    if status is None or status < 300:
        return None
    return STATUSES.get(status) or STATUS_CLASSES.get(status // 100, "server")


def _first(kinds: Iterable[str | None]) -> str | None:
    return next(filter(None, kinds), None)


def _describe_status(status: int) -> str:
    known = status in HTTPStatus.__members__.values()
    phrase = f" {HTTPStatus(status).phrase}" if known else ""
    return f"HTTP {status}{phrase}, {NO_MESSAGE}"


def _describe_redirect(location: str | None) -> str:
    """Return a description of a redirect's target, without query and user, which may hold secrets."""
    if not location:
        return "redirected without a Location header"
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "redirected to an invalid URL"
    return one_line(f"redirected to {parts.scheme + '://' if parts.scheme else ''}{host}{parts.path}")


def undecodable(error: Exception, at_ns: int) -> Failed:
    """Return the failure of a reply that made the decoder raise."""
    message = f"the reply cannot be decoded: {type(error).__name__}: {one_line(str(error))[:200]}"
    return failure("undecodable", message, at_ns)
