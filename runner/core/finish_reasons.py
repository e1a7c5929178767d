"""Classification of finish reasons in their many spellings. Pure."""

import re
from enum import IntEnum
from functools import lru_cache


class FinishClass(IntEnum):
    """The meaning of a finish_reason. A higher one is more specific, so a later, lower one does not replace it."""

    STOP = 0
    TOOLS = 1
    UNKNOWN = 2
    LENGTH = 3
    FILTER = 4
    ERROR = 5


PREFIX = re.compile(r"^(finish|stop)reason")
DETAIL = re.compile(r"[:(\[{,;=]")

REASONS = {
    FinishClass.STOP: """
        stop stopped stopsequence stopstring endturn eos eostoken endofsequence endofturn end ended complete
        completed done finished finish success natural normal pauseturn eot stoptoken imend endoftext
    """,
    FinishClass.TOOLS: "toolcall toolcalls tooluse functioncall functioncalls function tool tools",
    FinishClass.LENGTH: """
        length maxtokens maxtoken maxoutputtokens maxcompletiontokens maxnewtokens maxlength maxlen
        maxtokensreached maxtokensexceeded lengthlimit lengthcapped tokenlimit outputtokenlimit modellength
        modelcontextwindowexceeded contextwindowexceeded contextlength contextlengthexceeded contextlimit
        errorlimit truncated incomplete tokenlimitreached maxcompletiontokensreached outputlimit hitmaxtokens
        contextoverflow contextwindow
    """,
    FinishClass.FILTER: """
        contentfilter contentfiltered contentfiltering filter filtered filteredcontent sensitive safety
        recitation refusal refused prohibitedcontent spii blocklist blocked imagesafety imageprohibitedcontent
        imagerecitation guardrail guardrailintervened guardrails modelarmor moderation moderated errortoxic
        toxic toxicity contentpolicy contentpolicyviolation contentblocked policyviolation
        responsibleaipolicyviolation inputsafety outputsafety riskcontent datainspectionfailed jailbreak unsafe
        flagged safetyblock moderationblock harmfulcontent
    """,
    FinishClass.ERROR: """
        error networkerror insufficientsystemresource abort aborted cancel cancelled canceled timeout timedout
        failed failure internalerror servererror usercancel malformedfunctioncall unexpectedtoolcall
        toomanytoolcalls malformedresponse malformedmodeloutput malformedtooluse malformedtoolcall
        invalidtoolcall missingthoughtsignature noimage imageother language engineoverloaded overloaded
        interrupted disconnected ratelimit ratelimited killed preempted evicted
    """,
}
CLASSES = {word: kind for kind, words in REASONS.items() for word in words.split()}
"""Reason in lower case without punctuation -> its meaning. Reasons that are not listed, such as OTHER, are unknown."""


@lru_cache(maxsize=64)
def classify_reason(reason: str) -> FinishClass:
    """Return the meaning of a finish_reason, in upper or lower case, with or without details after it."""
    bare = PREFIX.sub("", re.sub(r"[\W_]", "", DETAIL.split(reason.strip(), maxsplit=1)[0]).lower())
    if not bare:  # details alone, such as "finish_reason: length"
        bare = re.sub(r"[\W_]", "", reason.partition(":")[2]).lower()
    return CLASSES.get(bare, FinishClass.UNKNOWN)


def merge_reasons(first: str | None, second: str, *, text_between: bool) -> tuple[str, bool]:
    """Return which of two finish_reasons of a reply counts, and whether that is in doubt.

    A stop after a more specific reason changes nothing, unless text came between them: then the reason is in doubt.
    """
    if first is None:
        return second, False
    before, after = classify_reason(first), classify_reason(second)
    if after <= before:
        return first, after is not before and (text_between or after > FinishClass.STOP)
    return second, before is not after
