"""Think tags: reasoning that a model writes into its answer, between tags, is moved to the reasoning channel.

Reasoning is at the beginning of an answer. Its opening tag may be missing, because some chat templates write it into
the prompt. Then only the closing tag shows that everything before it was reasoning. `core/think_tag_families.py` lists
the tags.
"""

import re
from enum import Enum, auto

from runner.core.events import AnswerWasReasoning, Channel, Event, Flagged, Text
from runner.core.think_tag_families import AMBIGUOUS, EVERY_TAG, FAMILIES, QUOTES, TagFamily

LONGEST_BLANK = 64
"""Maximum number of white-space characters that may precede a tag."""

LONGEST_TAG = 64
"""Maximum number of characters that are held back because they may be the beginning of a tag."""

TAG_BEGINNINGS = frozenset(tag[:length] for tag in EVERY_TAG for length in range(len(tag) + 1))

STARTS = "<[◁"
"""Characters with which tags begin."""

HEADINGS = (
    (
        ("Here is my thought process:", "Here's my thought process:"),
        ("Here is my response:", "Here's my response:"),
    ),
    (("analysis",), ("assistantfinal",)),
)
"""Words used as opening and closing tags: Granite 3.2's, and harmony's after a server has stripped its marks. Opening
words count only at the beginning of the answer, and only if closing words follow: until then all text is answer."""


def _pattern(tag: str) -> str:
    """Return the pattern of a tag, which allows one blank on either side of its name."""
    if tag[0] in "<[◁" and "|" not in tag:
        slash = " ?/" if tag[1] == "/" else ""
        return f"{re.escape(tag[0])}{slash} ?{re.escape(tag[1 + bool(slash) : -1])} ?{re.escape(tag[-1])}"
    return re.escape(tag)


def _any_of(tags: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted(set(tags), key=len, reverse=True)
    return re.compile("|".join(map(_pattern, ordered)) or r"(?!)", re.IGNORECASE)


OPENINGS = {family.opening.lower(): family for family in FAMILIES}
OPENING = _any_of(tuple(family.opening for family in FAMILIES))
MENTION = _any_of(tuple(family.opening for family in FAMILIES if family.opening[0] in STARTS))
WRAPPERS = {wrapper.lower(): family for family in FAMILIES for wrapper in family.wrappers}
WRAPPER = _any_of(tuple(WRAPPERS))
LONE = tuple(closing for family in FAMILIES for closing in family.closings if closing not in AMBIGUOUS)
LONE_CLOSING = _any_of(LONE)
LONE_FAMILIES = {closing.lower(): family for family in reversed(FAMILIES) for closing in family.closings}
CLOSINGS = {family.name: _any_of(family.closings) for family in FAMILIES}
TRAILERS = {family.name: _any_of(family.trailers) for family in FAMILIES}


def _may_be_heading(text: str, spellings: tuple[str, ...]) -> bool:
    return any(spelling.startswith(text) for spelling in spellings)


def _bare(tag: str) -> str:
    return tag.replace(" ", "").lower()


def _may_be_tag(text: str) -> bool:
    """Return whether a text may be the beginning of a tag."""
    return len(text) < LONGEST_TAG and _bare(text) in TAG_BEGINNINGS


def _undecided_from(text: str) -> int:
    """Return the position from which the rest of a text may be the beginning of a tag; its length if none is."""
    start = max(0, len(text) - LONGEST_TAG)
    places = (place for place in range(start, len(text)) if text[place] in STARTS)
    return next((place for place in places if _may_be_tag(text[place:])), len(text))


class _State(Enum):
    START = auto()
    INSIDE = auto()
    BEHIND = auto()
    ANSWER = auto()


class ThinkTags:
    """Takes the answer's texts and returns them on their proper channels, without the tags."""

    def __init__(self) -> None:
        self._state = _State.START
        self._held: list[Text] = []
        self._opened: TagFamily | None = None
        """Family of the tag that opened the reasoning."""
        self._family: TagFamily | None = None
        """Family whose trailers are dropped from the answer."""
        self._may_be_unopened = True
        """Whether a closing tag without an opening one may still follow."""
        self._beginning: str | None = ""
        """Beginning of the answer, while it may become opening words of `HEADINGS`; None afterwards."""
        self._headings: tuple[str, ...] = ()
        """Words that would end the reasoning, if the answer begins with words that may have opened it."""
        self._last_character = ""
        self._had_answer = False

    @property
    def settled(self) -> bool:
        """Whether the answer has begun and no text is held back: text without `<`, `[` or `◁` needs no parsing."""
        return self._state is _State.ANSWER and not self._held

    def accept_plain(self, text: str) -> bool:
        """Accept a text that is certainly part of the answer, unchanged; return False if `feed` must read it."""
        if self._state is not _State.ANSWER or self._held or self._headings or self._beginning is not None:
            return False
        if (self._may_be_unopened or self._family) and ("<" in text or "[" in text or "◁" in text):
            return False
        self._last_character = text[-1]
        return True

    def feed(self, text: Text) -> list[Event]:
        """Return the texts whose channel is certain; the others follow with a later text, or with `flush`."""
        if self.accept_plain(text.text):
            self._had_answer = True
            return [text]
        self._held.append(text)
        decided: list[Event] = []
        while self._held and self._step(decided):
            pass
        return decided

    def flush(self) -> list[Event]:
        """Return the texts that are held back: another event has shown that they are not a tag."""
        channel = Channel.REASONING if self._state is _State.INSIDE else Channel.ANSWER
        if self._state is not _State.INSIDE:
            self._state = _State.ANSWER
        released: list[Event] = [*self._take(len(self._joined), channel)]
        self._had_answer = self._had_answer or (bool(released) and channel is Channel.ANSWER)
        return released

    @property
    def _joined(self) -> str:
        return "".join(text.text for text in self._held)

    def _step(self, decided: list[Event]) -> bool:
        """Classify as much held text as possible in one state; return whether the state has changed."""
        match self._state:
            case _State.START | _State.BEHIND:
                return self._find_opening()
            case _State.INSIDE:
                return self._find_closing(decided)
            case _:
                return self._scan_answer(decided)

    def _find_opening(self) -> bool:
        joined = self._joined
        if self._state is _State.BEHIND:
            self._take(len(joined) - len(joined.lstrip()), None)
            joined = joined.lstrip()
        begin = len(joined) - len(joined.lstrip())
        if not joined[begin:] and begin <= LONGEST_BLANK:
            return False
        found = OPENING.match(joined, begin) or WRAPPER.match(joined, begin)
        lone = LONE_CLOSING.match(joined, begin) if self._state is _State.START else None
        if begin <= LONGEST_BLANK and (found or lone):
            return self._enter(found or lone)
        if begin <= LONGEST_BLANK and _may_be_tag(joined[begin:]):
            return False
        self._state = _State.ANSWER
        return True

    def _note_heading(self, joined: str) -> None:
        """Record whether the answer begins with words that may have opened reasoning, once that is certain."""
        if self._beginning is None:
            return
        beginning = (self._beginning + joined).lstrip()
        for openings, closings in HEADINGS:
            if any(beginning.startswith(opening) and beginning != opening for opening in openings):
                is_word = openings[0].isalpha() and not beginning[len(openings[0])].isalnum()
                self._headings, self._beginning = () if is_word else closings, None
                return
        if not any(_may_be_heading(beginning, openings) for openings, _ in HEADINGS):
            self._beginning = None

    def _enter(self, found: re.Match[str] | None) -> bool:
        """Continue after an opening tag, a wrapper of the answer, or a closing tag with nothing before it."""
        assert found is not None
        tag = _bare(found.group())
        family = OPENINGS.get(tag) or WRAPPERS.get(tag) or LONE_FAMILIES[tag]
        self._take(found.end(), None)
        self._may_be_unopened, self._beginning = False, None
        self._family = family if family.trailers else None
        self._state = _State.INSIDE if tag in OPENINGS else _State.BEHIND
        self._opened = family
        return True

    def _find_closing(self, decided: list[Event]) -> bool:
        assert self._opened is not None
        joined = self._joined
        found = CLOSINGS[self._opened.name].search(joined)
        if found is None:
            decided += self._take(_undecided_from(joined), Channel.REASONING)
            return False
        decided += self._take(found.start(), Channel.REASONING)
        self._take(len(found.group()), None)
        self._state = _State.BEHIND
        return True

    def _scan_answer(self, decided: list[Event]) -> bool:
        joined = self._joined
        self._note_heading(joined)
        if self._family is not None and (found := TRAILERS[self._family.name].search(joined)):
            self._answer(decided, found.start())
            self._take(len(found.group()), None)
            return True
        ending = next(((joined.index(words), words) for words in self._headings if words in joined), None)
        if ending is not None:
            self._end_headed(decided, *ending)
            return True
        mention = MENTION.search(joined) if self._may_be_unopened else None
        closing = self._find_unopened(joined)
        if closing is not None and (mention is None or mention.start() > closing.start()):
            self._end_unopened(decided, closing)
            return True
        self._may_be_unopened = self._may_be_unopened and mention is None
        watching = self._may_be_unopened or self._family is not None
        until = _undecided_from(joined) if watching else len(joined)
        if self._headings:
            tails = range(max(0, until - LONGEST_TAG), until)
            until = next((at for at in tails if _may_be_heading(joined[at:], self._headings)), until)
        self._answer(decided, until)
        return False

    def _end_headed(self, decided: list[Event], place: int, words: str) -> None:
        """Turn all text before the words that end the reasoning into reasoning, and drop the words."""
        at_ns = self._held[-1].at_ns
        self._answer(decided, place)
        self._take(len(words), None)
        decided += [AnswerWasReasoning(at_ns), Flagged(at_ns, "headed_thinking")]
        self._headings, self._may_be_unopened, self._state = (), False, _State.BEHIND

    def _find_unopened(self, joined: str) -> re.Match[str] | None:
        """Return the first closing tag that is not quoted."""
        if not self._may_be_unopened:
            return None
        for found in LONE_CLOSING.finditer(joined):
            before = joined[found.start() - 1] if found.start() else self._last_character
            if not before or before not in QUOTES:
                return found
        return None

    def _end_unopened(self, decided: list[Event], closing: re.Match[str]) -> None:
        at_ns = self._held[-1].at_ns
        self._answer(decided, closing.start())
        self._take(len(closing.group()), None)
        if self._had_answer:
            decided += [AnswerWasReasoning(at_ns), Flagged(at_ns, "unopened_thinking")]
        family = LONE_FAMILIES[_bare(closing.group())]
        self._family = family if family.trailers else None
        self._may_be_unopened, self._state = False, _State.BEHIND

    def _answer(self, decided: list[Event], count: int) -> None:
        texts = self._take(count, Channel.ANSWER)
        if self._beginning is not None:
            self._beginning += "".join(text.text for text in texts)
        if texts:
            self._last_character, self._had_answer = texts[-1].text[-1], True
            decided += texts

    def _take(self, count: int, channel: Channel | None) -> list[Text]:
        """Remove `count` characters from the held texts; return them on a channel, or nothing if `channel` is None."""
        taken: list[Text] = []
        while count > 0:
            text = self._held[0]
            part, rest = text.text[:count], text.text[count:]
            count -= len(part)
            if rest:
                self._held[0] = text._replace(text=rest)
            else:
                self._held.pop(0)
            if channel is not None:
                same = not rest and channel is text.channel and part == text.text
                taken.append(text if same else text._replace(channel=channel, text=part))
        return taken
