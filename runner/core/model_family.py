"""Model families: whether the model named in a reply is the requested one. Pure.

Names are compared word by word, without dates, snapshot versions, weight formats and the path before the name. A more
precise name is the same model; another size, another version or another vendor's model is not.
"""

import re
from functools import lru_cache

from runner.core.target_name import SIMULATOR

ANY_MODEL = re.compile(
    r"(auto|default|model|router|model-router|gpt|local|local-model|test|latest|ep-.*|ft:.*|.*/auto|switchpoint/.*|"
    r"custom|deployment|assistant|(my|our)[-_ ].*)",
    re.IGNORECASE,
)
"""Names that do not denote a certain model: those of routers, which choose one, of endpoints and of fine-tunes."""

USER_NAMED = re.compile(rf"(?:azure|{SIMULATOR}|local|ollama|llamacpp|llama\.cpp|lmstudio)(?![a-z])", re.IGNORECASE)
"""Matches the ids of providers whose users choose the names of models and deployments, such as `azure-eu`."""

DATE = re.compile(
    r"[-_@:.](\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4}|\d{2}-\d{4}|\d{2}-\d{2}|00\d)(?=$|[-_@:./])", re.IGNORECASE
)
NOISE = frozenset(
    """
    latest preview exp experimental beta alpha stable release ga it instruct chat base hf fp8 fp4 nvfp4 mxfp4
    bf16 fp16 int4 int8 awq gptq gguf exl2 4bit 8bit quantized free paid online nitro floor exacto extended
    instant high low reasoner tee fast maas public api us eu global apac version model v1 v2 0
    """.split()  # noqa: SIM905 -- a list would have one word a line
)
"""Words that do not distinguish a model from another."""

TIERS = frozenset(
    """
    mini nano micro small tiny lite light flash haiku sonnet opus air pro max plus ultra turbo large medium big
    distill codex coder code vision vl audio image embed thinking omni guard safeguard scout maverick
    """.split()  # noqa: SIM905 -- a list would have one word a line
)
"""Words that name a model of its own in a family."""

EFFORT = "medium"
"""A reasoning effort in OpenAI's names, as in `o3-mini-medium`; a tier in other vendors' names."""

SIZE = re.compile(r"(a?\d+(\.\d+)?[bmt]|\d+x\d+(\.\d+)?b)")
VERSION = re.compile(r"[vrkmo]?\d+(\.\d+)*[a-z]?")


def is_other_model(provider: str, asked: str, answered: str | None) -> bool:
    """Return whether a reply names a model outside the family of the requested one; False if that is unknown."""
    if not answered or ANY_MODEL.fullmatch(asked) or USER_NAMED.match(provider):
        return False
    return _differs(asked, answered)


@lru_cache(maxsize=1024)
def _differs(asked: str, answered: str) -> bool:
    if asked.lower() == answered.lower():
        return False
    wanted, got = _words(asked), _words(answered)
    if not wanted or not got or wanted == got:
        return False
    if not wanted & got:
        return not _contains(asked, answered)
    missing, extra = wanted - got, got - wanted
    if (missing | extra) & TIERS:
        return True
    both_have_size = all(any(map(SIZE.fullmatch, words)) for words in (missing, extra))
    return both_have_size or all(any(map(_is_version, words)) for words in (missing, extra))


def _is_version(word: str) -> bool:
    return VERSION.fullmatch(word) is not None and SIZE.fullmatch(word) is None


def _contains(asked: str, answered: str) -> bool:
    """Return whether one name contains the other, ignoring punctuation: `gpt4o` and `gpt-4o`."""
    one, other = (re.sub(r"[\W_]", "", name.rpartition("/")[2]).lower() for name in (asked, answered))
    return bool(one and other) and (one in other or other in one)


def _words(name: str) -> frozenset[str]:
    """Return the words of a model's name that distinguish it from other models."""
    bare = name.strip().lower().rstrip("/").rpartition("/")[2].removesuffix(".gguf")
    bare = re.sub(r"(?<![\d.])(\d)[-p_](\d)(?![\d.]|-?\d{3})", r"\1.\2", DATE.sub("", DATE.sub("", bare)))
    bare = re.sub(r"^chatgpt", "gpt", bare)
    bare = re.sub(r"[-_.]q\d(_[a-z0-9]+)*", "", bare)
    noise = NOISE | {EFFORT} if family_of(name) == "gpt" else NOISE
    words = (word for word in re.split(r"[-_:@\s()+,]+", bare) if word not in noise)
    parts = (part for word in words for part in re.split(r"(?<=[a-z]{3})(?=\d)", word))
    return frozenset(part for part in parts if part and part not in noise)


_VENDOR_PATH = re.compile(r"^(?:[a-z]+\.)+(?=[a-z])")
_OTHER_NAMES = {
    **dict.fromkeys(("chatgpt", "o", "codex", "davinci"), "gpt"),
    **dict.fromkeys(("qwq", "qvq", "codeqwen"), "qwen"),
    **dict.fromkeys(("mixtral", "ministral", "magistral", "codestral", "devstral", "pixtral", "open"), "mistral"),
    **dict.fromkeys(("chatglm", "codegeex"), "glm"),
    **dict.fromkeys(("meta", "codellama"), "llama"),
    **dict.fromkeys(("gemma", "palm", "bison"), "gemini"),
    "moonshot": "kimi",
    "abab": "minimax",
}
"""First word of a model's name -> the first word of the vendor's other models."""


def family_of(model: str) -> str | None:
    """Return the family of a model by its name: `gpt` for gpt-5.2 and o4-mini; None if it has none."""
    bare = _VENDOR_PATH.sub("", model.strip().lower().rstrip("/").rpartition("/")[2])
    first = re.match(r"[a-z]+", bare)
    return None if first is None or ANY_MODEL.fullmatch(model) else _OTHER_NAMES.get(first[0], first[0])
