"""Think tags: reasoning that a model writes into its answer, between tags at the very beginning, gets its channel."""

from runner.core.events import Channel, Text

OPENING_TAGS = ("<think>", "<thinking>", "<thought>")

LONGEST_BLANK = 64
"""Characters of white space that may precede the tag."""


class ThinkTags:
    """Takes the answer's texts, and returns them on the channels they belong to, without the tags."""

    def __init__(self) -> None:
        self.settled = False
        """Whether no tag can come any more: further texts need not be fed."""
        self._undecided: list[Text] = []
        self._closing_tag: str | None = None
        self._partial: Text | None = None

    def feed(self, text: Text) -> list[Text]:
        """Return the texts that are decided; the others follow with a later text, or with `flush`."""
        if self.settled:
            return [text]
        if self._closing_tag is not None:
            return self._split_at_closing(text, self._closing_tag)
        self._undecided.append(text)
        return self._find_opening(text)

    def flush(self) -> list[Text]:
        """Return the texts that are held back: another event has shown that they are no tag."""
        if self._closing_tag is None:
            return self._release()
        partial, self._partial = self._partial, None
        return [partial] if partial is not None else []

    def _find_opening(self, text: Text) -> list[Text]:
        joined = "".join(held.text for held in self._undecided)
        prefix = joined.lstrip()
        if len(joined) - len(prefix) > LONGEST_BLANK:
            return self._release()
        tag = next((tag for tag in OPENING_TAGS if prefix.startswith(tag)), None)
        if tag is not None:
            self._undecided.clear()
            self._closing_tag = "</" + tag[1:]
            return self._split_at_closing(text._replace(text=prefix[len(tag) :]), self._closing_tag)
        return [] if any(tag.startswith(prefix) for tag in OPENING_TAGS) else self._release()

    def _release(self) -> list[Text]:
        self.settled = True
        released, self._undecided = self._undecided, []
        return released

    def _split_at_closing(self, text: Text, closing_tag: str) -> list[Text]:
        joined = (self._partial.text if self._partial else "") + text.text
        self._partial = None
        reasoning, tag, answer = joined.partition(closing_tag)
        if tag:
            self.settled = True
        else:
            kept = _length_of_partial(reasoning, closing_tag)
            if kept:
                self._partial = text._replace(channel=Channel.REASONING, text=reasoning[-kept:])
                reasoning = reasoning[:-kept]
        split = ((Channel.REASONING, reasoning), (Channel.ANSWER, answer))
        return [text._replace(channel=channel, text=part) for channel, part in split if part]


def _length_of_partial(text: str, tag: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a tag."""
    return next((size for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), 0)
