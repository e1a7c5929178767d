"""The check `language`: detect the language of an answer by a heuristic that does not decide about short texts.

The script decides if it can: Han characters with a tenth or more of kana are Japanese, with fewer Chinese, and Hangul
is Korean. Among languages of one script py3langid's model decides, limited to these languages: with all of its 142 it
mistakes short Chinese for Wu and short English for Afrikaans. Below 20 letters the model guesses, so the check does not
decide.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from runner.checks.check_finding import PASSED, CheckFinding, failed, undecided
from runner.checks.regex import named_matches

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

SHARED_SCRIPTS = MappingProxyType(
    {
        "Latin": ("en", "fr", "de", "es", "it", "pt", "nl", "sv", "pl", "tr", "vi", "id"),
        "Cyrillic": ("ru", "uk", "bg"),
    }
)
MIN_LETTERS = 20
"""Number of letters that the model needs to distinguish languages of one script."""

MANY_KANA = 0.1
"""Share of kana among Han and kana characters from which a text is Japanese."""

MAX_LETTERS = 2_000
"""Number of letters of a long answer that the model reads."""

MAX_CHARACTERS = 100_000
"""Number of characters of a long answer whose script is examined."""

Word = tuple[str, str]
"""The script and the letters of a word."""

_CODE = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)", re.DOTALL | re.MULTILINE)
_WORDS = (
    r"(?P<Kana>[\p{Hiragana}\p{Katakana}])|(?P<Han>\p{Han})|(?P<Hangul>\p{Hangul}+)"
    r"|(?P<Latin>\p{Latin}[\p{Latin}\p{M}'’]*)|(?P<Cyrillic>\p{Cyrillic}+)"
)


def language(answer: str, wanted: object) -> CheckFinding:
    """Pass if most words are in the language; code blocks do not count, and each Chinese character is a word."""
    words = list(named_matches(_WORDS, _CODE.sub("", answer[:MAX_CHARACTERS])))
    if not words:
        return undecided("there are no words in it")
    script = _leading_script(words)
    found = _language_of(words, script)
    if found is not None:
        return PASSED if found == wanted else failed(f"most of it is {found}, not {wanted}")
    if wanted in SHARED_SCRIPTS[script]:
        return undecided(f"fewer than {MIN_LETTERS} letters, too few to tell the language")
    return failed(f"it is written in {script} letters, not in {wanted}")


def _leading_script(words: Sequence[Word]) -> str:
    return Counter("Han" if script == "Kana" else script for script, _ in words).most_common(1)[0][0]


def is_japanese(*, han: int, kana: int) -> bool:
    """Return whether a text of so many Han and kana characters is Japanese; a Chinese text may quote a few kana."""
    return kana > 0 and kana >= MANY_KANA * (han + kana)


def _language_of(words: Sequence[Word], script: str) -> str | None:
    """Return the language of most words; None if there are too few letters."""
    if script == "Han":
        counts = Counter(script for script, _ in words)
        return "ja" if is_japanese(han=counts["Han"], kana=counts["Kana"]) else "zh"
    if script == "Hangul":
        return "ko"
    text = " ".join(word for of, word in words if of == script)[:MAX_LETTERS]
    letters = sum(map(str.isalpha, text))
    return _classify(text, script) if letters >= MIN_LETTERS else None


@lru_cache(maxsize=1024)
def _classify(text: str, script: str) -> str:
    return str(_identifier(script).classify(text)[0])


@cache
def _identifier(script: str) -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 -- loads for most of a second

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(SHARED_SCRIPTS[script]))
    return identifier
