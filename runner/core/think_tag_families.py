"""Think tags, between which models write their reasoning. docs/wire.md lists them with their sources."""

from dataclasses import dataclass

QUOTES = "`'\"“‘«「\\"
"""Characters before a tag that show that it is quoted: the answer is about the tag."""


@dataclass(frozen=True, slots=True)
class TagFamily:
    """The tags of one vendor or template, without optional blanks."""

    name: str
    opening: str
    closings: tuple[str, ...]
    wrappers: tuple[str, ...] = ()
    """Tags around the answer itself, which are dropped if they come before it."""
    trailers: tuple[str, ...] = ()
    """Tags after the answer, which are dropped anywhere in it."""


def _named(name: str) -> TagFamily:
    return TagFamily(name, f"<{name}>", (f"</{name}>",))


NAMES = (
    *("think", "thinking", "thought", "reasoning", "seed:think", "mm:think", "longcat_think"),
    *("ifm|think", "ifm|think_fast", "ifm|think_faster"),
)

HARMONY = TagFamily(
    "harmony",
    "<|channel|>analysis<|message|>",
    (
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|start|>assistant<|channel|>final<|message|>",
        "<|channel|>final<|message|>",
        "<|end|>",
    ),
    ("<|start|>assistant", "<|channel|>final<|message|>"),
    ("<|return|>", "<|end|>"),
)

FAMILIES: tuple[TagFamily, ...] = (
    *map(_named, NAMES),
    TagFamily("[THINK]", "[THINK]", ("[/THINK]",)),
    TagFamily("◁think▷", "◁think▷", ("◁/think▷",)),
    TagFamily(
        "muse",
        "to=self<|message|>",
        ("<|eom|>",),
        ("<|start|>assistant", "to=user<|message|>"),
        ("<|eom|>", "<|eot|>"),
    ),
    HARMONY,
    TagFamily("gemma", "<|channel>thought", ("<channel|>",)),
    TagFamily(
        "cohere",
        "<|START_THINKING|>",
        ("<|END_THINKING|>",),
        ("<|START_RESPONSE|>", "<|START_TEXT|>"),
        ("<|END_RESPONSE|>", "<|END_TEXT|>"),
    ),
    TagFamily("apertus", "<|inner_prefix|>", ("<|inner_suffix|>",)),
    TagFamily(
        "kimi",
        "<|open|>think<|sep|>",
        ("<|close|>think<|sep|>",),
        ("<|open|>response<|sep|>",),
        ("<|close|>response<|sep|>", "<|close|>message<|sep|>", "<|end_of_msg|>"),
    ),
    TagFamily(
        "sky",
        "<|begin_of_thought|>",
        ("<|end_of_thought|>",),
        ("<|begin_of_solution|>",),
        ("<|end_of_solution|>",),
    ),
    TagFamily("solar", "<|think|>", ("<|end|>", "<|/think|>"), ("<|begin|>assistant", "<|content|>")),
    TagFamily("solar 2", "<|think:start|>", ("<|think:end|>",)),
    TagFamily("preflexor", "<|thinking|>", ("<|/thinking|>",)),
    TagFamily("plamo", "<|plamo:begin_think:plamo|>", ("<|plamo:end_think:plamo|>",), (), ("<|plamo:tag|>",)),
    TagFamily("pangu", "[unused16]", ("[unused17]",)),
    TagFamily(
        "inkling",
        "<|content_thinking|>",
        ("<|end_message|>",),
        ("<|message_model|>", "<|content_text|>"),
        ("<|end_message|>", "<|content_model_end_sampling|>"),
    ),
)

AMBIGUOUS = ("<|end|>", "<|eom|>", "<|end_message|>")
"""Closing tags that also close other things, so that they alone are no evidence of reasoning."""

EVERY_TAG = tuple(
    {tag.lower() for f in FAMILIES for tag in (f.opening, *f.closings, *f.wrappers, *f.trailers)},
)
