"""The language of a text from outside, for its `lang` attribute, as far as its letters tell."""

import re
from collections import Counter

MOST_CHARACTERS = 2_000
"""The characters of a long text that are looked at."""

_LETTERS = re.compile(
    "(?P<han>[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])|(?P<kana>[\u3040-\u30ff])|(?P<hangul>[\uac00-\ud7af])"
    r"|(?P<word>[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)"
)
_MANY_KANA = 0.1
"""The share of kana among Han and kana from which a text is Japanese; Chinese texts quote a word of it."""


def language_of_text(text: str | None) -> str:
    """Return `zh`, `ja` or `ko`; empty, which is HTML's word for unknown, where many languages have these letters."""
    counts = Counter(found.lastgroup for found in _LETTERS.finditer((text or "")[:MOST_CHARACTERS]))
    han, kana, hangul = counts["han"], counts["kana"], counts["hangul"]
    if hangul > max(han + kana, counts["word"]):
        return "ko"
    if han + kana <= counts["word"]:
        return ""
    return "ja" if kana >= _MANY_KANA * (han + kana) else "zh"
