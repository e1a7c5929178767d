"""Finish reasons: the meaning of each of their many spellings. Pure."""

import re
from enum import IntEnum
from functools import lru_cache


class FinishClass(IntEnum):
    """Meanings of a finish_reason; a higher one says more, so a lower one behind it takes nothing back."""

    STOP = 0
    TOOLS = 1
    UNKNOWN = 2
    LENGTH = 3
    FILTER = 4
    ERROR = 5


PREFIX = re.compile(r"^(finish|stop)reason")
DETAIL = re.compile(r"[:(\[{,;=]")

STOP = """stop stopped stopsequence stopstring endturn eos eostoken endofsequence endofturn end ended complete completed
    done finished finish success natural normal pauseturn
    eot stoptoken imend endoftext"""
TOOLS = "toolcall toolcalls tooluse functioncall functioncalls function tool tools"
LENGTH = """length maxtokens maxtoken maxoutputtokens maxcompletiontokens maxnewtokens maxlength maxlen maxtokensreached
    maxtokensexceeded lengthlimit lengthcapped tokenlimit outputtokenlimit modellength modelcontextwindowexceeded
    contextwindowexceeded contextlength contextlengthexceeded contextlimit errorlimit truncated incomplete
    tokenlimitreached maxcompletiontokensreached outputlimit hitmaxtokens contextoverflow contextwindow"""
FILTER = """contentfilter contentfiltered contentfiltering filter filtered filteredcontent sensitive safety recitation
    refusal refused prohibitedcontent spii blocklist blocked imagesafety imageprohibitedcontent imagerecitation
    guardrail guardrailintervened guardrails modelarmor moderation moderated errortoxic toxic toxicity contentpolicy
    contentpolicyviolation contentblocked policyviolation responsibleaipolicyviolation inputsafety outputsafety
    riskcontent datainspectionfailed jailbreak unsafe flagged safetyblock moderationblock harmfulcontent"""
ERROR = """error networkerror insufficientsystemresource abort aborted cancel cancelled canceled timeout timedout failed
    failure internalerror servererror usercancel malformedfunctioncall unexpectedtoolcall toomanytoolcalls
    malformedresponse malformedmodeloutput malformedtooluse malformedtoolcall invalidtoolcall missingthoughtsignature
    noimage imageother language engineoverloaded overloaded interrupted disconnected ratelimit ratelimited
    killed preempted evicted"""

CLASSES = {
    word: kind
    for kind, words in {
        FinishClass.STOP: STOP,
        FinishClass.TOOLS: TOOLS,
        FinishClass.LENGTH: LENGTH,
        FinishClass.FILTER: FILTER,
        FinishClass.ERROR: ERROR,
    }.items()
    for word in words.split()
}
"""A reason without case and punctuation -> what it means. Those that are not here, such as OTHER, are unknown."""


@lru_cache(maxsize=64)
def classify_reason(reason: str) -> FinishClass:
    """Return what a finish_reason means: in any case, with any details behind it."""
    bare = PREFIX.sub("", re.sub(r"[\W_]", "", DETAIL.split(reason.strip(), maxsplit=1)[0]).lower())
    if not bare:  # details alone, such as "finish_reason: length"
        bare = re.sub(r"[\W_]", "", reason.partition(":")[2]).lower()
    return CLASSES.get(bare, FinishClass.UNKNOWN)


def merge_reasons(first: str | None, second: str, *, text_between: bool) -> tuple[str, bool]:
    """Return the finish_reason of a reply that has sent two, and whether which one holds is in doubt.

    A stop behind a reason that says more takes nothing back, unless text has come between them: then it is in doubt.
    """
    if first is None:
        return second, False
    before, after = classify_reason(first), classify_reason(second)
    if after <= before:
        return first, after is not before and (text_between or after > FinishClass.STOP)
    return second, before is not after
