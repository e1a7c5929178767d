"""The size of requests: texts and files that count as input tokens, and upper bounds of each turn's tokens. Pure."""

import json
from collections.abc import Iterable, Iterator

from runner.core.attachment_parts import attachments_of
from runner.core.suite import Case, Message, Parameters
from runner.core.token_estimate import MIN_TOKENS_OF_CALL, UPPER_BOUND, likely_attachment_tokens
from runner.providers.tool_fields import tool_text


def counted_texts(messages: Iterable[Message], parameters: Parameters) -> Iterator[str]:
    """Yield the texts of messages and of the tool calls in them, the tools, and the form of the response."""
    for message in messages:
        yield message.content
        yield from (call.name + call.arguments for call in message.calls)
    yield from map(tool_text, parameters.tools)
    if parameters.response_format is not None:
        yield json.dumps(dict(parameters.response_format), default=str)


def likely_file_tokens(messages: Iterable[Message]) -> int:
    """Return an estimate of the tokens of the attachments in messages."""
    return sum(likely_attachment_tokens(each) for message in messages for each in attachments_of(message.parts))


def input_sizes(case: Case, defaults: Parameters, reply: int | None) -> Iterator[int | None]:
    """Yield the highest number of input tokens of each turn and step, with all earlier messages, sent again in each.

    Args:
        case: the conversation.
        defaults: the parameters of its target, which the case may override.
        reply: the limit on the tokens of one reply; without one, all but the first have no bound and are None.

    """
    parameters = case.parameters(defaults)
    texts = [
        *counted_texts(case.messages_before(defaults), parameters),
        json.dumps(dict(parameters.extra_body), default=str),
    ]
    tokens = UPPER_BOUND.of_messages(texts)
    tokens += case.input.most_bytes if case.input else 0
    if case.idle_s:
        tokens += UPPER_BOUND.of_messages((defaults.wrap(case.turns[0]),)) + UPPER_BOUND.per_request
        yield from (tokens for _ in case.turns)
        return
    for turn, prompt in enumerate(case.turns):
        for step in range(case.steps.max_steps):
            if (turn or step) and reply is None:
                yield None
                continue
            tokens += _size_of_results(case, reply) if step else UPPER_BOUND.of_messages((parameters.wrap(prompt),))
            yield tokens + UPPER_BOUND.per_request
            tokens += (reply or 0) + UPPER_BOUND.per_message


def _size_of_results(case: Case, reply: int | None) -> int:
    """Return the highest number of tokens of a step's results, if a reply up to its limit consists of calls."""
    calls = (reply or 0) // MIN_TOKENS_OF_CALL + 1
    longest = max((UPPER_BOUND.of_messages((text,)) for text in case.tool_results.values()), default=0)
    return calls * (longest + UPPER_BOUND.per_message)
