"""Body fields that an endpoint refuses by name: how an error says so, and what is sent instead."""

import re
from collections.abc import Collection, Mapping

REFUSABLE = ("stream_options", "max_completion_tokens", "max_tokens")
"""Body fields that some endpoints refuse by name, and that can be left out or renamed."""

RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


VALUE_CODES = re.compile(r"value|integer_(above|below)|out_of_range|too_large|string_above", re.IGNORECASE)
NAME_CODES = re.compile(
    r"(unsupported|unknown|unrecognized|extra)_?(parameter|field|argument|key)s?$|extra_forbidden", re.IGNORECASE
)
OF_VALUE = re.compile(
    r"""\bvalues?\b|\brange\b|too[ ](large|big|high|small|low)|at[ ](most|least)|up[ ]to[ ]\d|between|positive
    |(less|greater|larger|smaller|more)[ ]than|(must|should)[ ]be|\bexceed|\bmaximum|\bminimum|budget
    |not[ ]an?[ ]integer|valid[ ]integer|\bcontext\b|<=|>=|[<>]|超出|超过|范围|不能大于|不能小于|取值|最大|最小""",
    re.VERBOSE | re.IGNORECASE,
)
OF_NAME = re.compile(
    r"""unsupported[ ]param|not[ ]supported|unsupported|does(n't|[ ]not)[ ]support|unrecogni[sz]ed|not[ ]recogni[sz]ed
    |unknown|unexpected|extra[ ](inputs?|fields?)|not[ ](permitted|allowed)|additional[ ]propert|no[ ]such
    |cannot[ ]find[ ]field|not[ ]a[ ]valid[ ]param|deprecated|instead|invalid[ ](parameter|field|argument|key)s?\b
    |不支持|未知参数|无效参数""",
    re.VERBOSE | re.IGNORECASE,
)


def refuses_name(name: str, message: str, code: str | None = None) -> bool:
    """Return whether an error refuses a field by its name, and not the value that was sent in it.

    `Use 'max_completion_tokens' instead` is about the name, `the valid range of max_tokens is [1, 8192]` about the
    value. An ambiguous error does not count as a refusal of the name, since the request would be changed and sent
    again.
    """
    if VALUE_CODES.search(code or ""):
        return False
    if NAME_CODES.search(code or ""):
        return True
    other = RENAMED.get(name)
    points_to_other = other is not None and re.search(
        rf"\b(use|try)\b[^.]{{0,20}}\b{other}\b|{other}\W+instead", message
    )
    if points_to_other:
        return True
    return OF_NAME.search(message) is not None and OF_VALUE.search(message) is None


def find_refused_field(sent: Mapping[str, object], message: str, code: str | None) -> str | None:
    """Return the field of a sent body that an error refuses by its name; None if it refuses none.

    Only a field that was sent can have been refused: some messages also name the one to send instead.
    """
    named = next((name for name in REFUSABLE if name in sent and name in message), None)
    if named in RENAMED and not refuses_name(named, message, code):
        return None
    return named


def leave_out_refused(body: dict[str, object], refused: Collection[str]) -> None:
    """Remove refused fields from a body, or rename those that have another name, unless that was refused, too."""
    for name in sorted(body.keys() & set(refused)):
        renamed = RENAMED.get(name)
        if renamed in refused:
            continue  # both names were refused, so the value was meant
        value = body.pop(name)
        if renamed is not None:
            body[renamed] = value
