"""The name of an environment variable, told from a key that was written in its place."""

import re

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
KEY_PREFIX = re.compile(r"(?:sk|pk|gsk|hf|r8)_|AIza|eyJ")


def check_variable(name: str) -> str:
    """Return a variable's name; refuse what may be a key, without repeating it."""
    if not VARIABLE.fullmatch(name) or _may_be_key(name):
        raise ValueError(
            "this looks like a key where the name of an environment variable belongs. "
            "Put the key into a variable, not into a file, and write the variable's name here"
        )
    return name


def _may_be_key(name: str) -> bool:
    """Judge a word that could be either by how people name variables: words in capitals, with underscores."""
    digits = sum(character.isdigit() for character in name)
    in_one_word = "_" not in name and len(name) >= (20 if digits else 32)
    jumbled = not name.isupper() and digits >= 4 and len(name) >= 20
    return bool(KEY_PREFIX.match(name)) or in_one_word or jumbled
