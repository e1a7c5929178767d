"""Reasoning that arrives twice: under several names, or in a field and between tags, is taken once.

Each source is compared with the reasoning so far. A source that only repeats it adds nothing, one that runs ahead adds
what is new, and one that says something else adds all of it.
"""

from dataclasses import dataclass, field
from io import StringIO


@dataclass(slots=True)
class ReasoningMerge:
    """Merges the reasoning of several sources of one reply."""

    _pieces: list[str] = field(default_factory=list)
    """What was returned so far, in pieces, while there is one source."""
    _heard: StringIO = field(default_factory=StringIO)
    """The same in one text, without the blanks at its beginning, once there are several. It grows without copies."""
    _only: str | None = None
    """The source, while there is one."""
    _matched: dict[str, int] = field(default_factory=dict)
    """Source -> how many characters of `_heard` it has said, once there are several."""
    _differing: set[str] = field(default_factory=set)
    """Sources that say something else than the first."""

    def add_only(self, source: str, text: str) -> bool:
        """Add text if its source is the only one; return whether it is."""
        if self._only is None and not self._matched:
            self._only = source
        if source != self._only:
            return False
        self._pieces.append(text)
        return True

    def add(self, source: str, text: str) -> str:
        """Return what of a source's text was not heard from another one."""
        if source in self._differing or self.add_only(source, text):
            return text
        if self._only is not None:
            self._matched[self._only] = self._heard.write("".join(self._pieces).lstrip())
            self._only = None
            self._pieces.clear()
        return self._add_compared(source, text)

    def _add_compared(self, source: str, text: str) -> str:
        matched = self._matched.get(source, 0)
        said = text if matched else text.lstrip()
        self._heard.seek(matched)
        expected = self._heard.read(len(said))
        if said == expected:
            self._matched[source] = matched + len(said)
            return ""
        if len(expected) < len(said) and said.startswith(expected):
            new = said[len(expected) :]
            self._heard.write(new)
            self._matched[source] = self._heard.tell()
            return new
        self._differing.add(source)
        self._heard.seek(0)
        return self._heard.read(matched) + text
