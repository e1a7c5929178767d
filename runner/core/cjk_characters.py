"""The characters of Chinese, Japanese and Korean, as ranges for the brackets of a regular expression."""

HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of Chinese, which Japanese and Korean have, too."""

KANA = "\u3040-\u30ff"
HANGUL = "\uac00-\ud7af"

FULL_WIDTH = "\u3000-\u303f\uff00-\uffef"
"""Punctuation, letters and digits that are as wide as a Han character."""

CJK = f"\u2e80-\u33ff{HAN}{HANGUL}{FULL_WIDTH}"
"""All of these, with radicals, phonetic signs and enclosed characters."""
