"""docs/wire.md: its tables match the code, and what the SDK makes of every sample.

`python -m tests.wire.test_wire_docs --write` rewrites the tables; review the diff.
"""

import re
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from runner.core.events import TIMED
from runner.core.failure_kinds import FAILURE_KINDS
from runner.core.suite import DEFAULT_API, Api
from runner.outputs.text.labels import FLAGS, OUTCOMES
from runner.wire.dialects import DIALECTS
from tests.support.misbehaving_server import GROUPS, Behaviour
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, json_reply, serve
from tests.support.wire_samples import DIALECT_SAMPLES as OF_DIALECTS
from tests.support.wire_samples import SAMPLES, Sample, reply_of

PAGE = Path(__file__).parents[2] / "docs" / "wire.md"
LIMIT_S = 20.0
ENDLESS_LIMIT_S = 2.0
AT_ONCE = 8
LONGEST_TEXT = 40
TLS = ssl.create_default_context()
"""One for all clients: to make it takes longer than a request."""

ELSEWHERE = re.compile(rb"(?<=Location: )https://[^/]+")
"""A sample's redirect, which the SDK would follow to another machine."""


@pytest.fixture
def anyio_backend() -> str:
    """Run on the SDK's own loop."""
    return "asyncio"


class ImpatientOpenAI(AsyncOpenAI):
    """The SDK without waiting between attempts."""

    def _calculate_retry_timeout(self, *_: object, **__: object) -> float:
        return 0.0


@dataclass
class SdkResult:
    """The result of an ordinary loop over the SDK's stream."""

    text: str = ""
    finish_reason: str | None = None
    called_tools: bool = False
    tokens: tuple[Any, Any] | None = None
    ending: str = "no exception"
    attempts: int = 1

    async def read(self, client: AsyncOpenAI, limit_s: float) -> None:
        """Read a reply to its end, or keep how it failed."""
        try:
            with anyio.move_on_after(limit_s) as waiting:
                await self._loop(client)
        except Exception as error:  # noqa: BLE001 -- whatever is raised is the finding
            self.ending = type(error).__name__
        if waiting.cancelled_caught:
            self.ending = "waits for ever"

    async def _loop(self, client: AsyncOpenAI) -> None:
        chunks = await client.chat.completions.create(
            model="m-1", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        async for chunk in chunks:
            if chunk.usage:
                self.tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            if chunk.choices:
                choice = chunk.choices[0]
                self.text += choice.delta.content or ""
                self.called_tools = self.called_tools or bool(choice.delta.tool_calls)
                self.finish_reason = choice.finish_reason or self.finish_reason

    def __str__(self) -> str:
        """Return a description in a few words."""
        reason = None if self.finish_reason in (None, "stop") else f"finish_reason {self.finish_reason}"
        repeated = f"asked {self.attempts} times" if self.attempts > 1 else None
        parts = (show(self.text, self.called_tools), count(self.tokens), reason, self.ending, repeated)
        return ", ".join(filter(None, parts))


def show(text: str, called_tools: bool) -> str:
    """Return a text for a cell of a table."""
    if not text:
        return "a tool call" if called_tools else "nothing"
    plain = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text[:LONGEST_TEXT])
    return f"`{plain}{'…' if len(text) > LONGEST_TEXT else ''}`"


def count(tokens: tuple[Any, Any] | None) -> str | None:
    """Return token counts: input + output."""
    return None if tokens is None else f"{tokens[0]} + {tokens[1]} tokens"


async def ask_sdk(sample: Sample) -> SdkResult:
    """Return the SDK's result for a server that sends a sample."""
    result, reply = SdkResult(), reply_of(sample)
    limit_s = LIMIT_S if len(reply.pieces) == 1 else ENDLESS_LIMIT_S

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        """Send the sample; a followed redirect arrives as a GET, which no provider answers."""
        if asked.method == "GET":
            return json_reply("405 Method Not Allowed", {"error": {"message": "POST, please"}})
        here = f"http://{asked.headers['host']}".encode()
        return replace(reply, pieces=[(pause, ELSEWHERE.sub(here, data)) for pause, data in reply.pieces])

    with serve(answer) as server:
        http = DefaultAsyncHttpxClient(verify=TLS, base_url=server.url)
        async with ImpatientOpenAI(api_key="none", base_url=server.url, http_client=http) as client:
            await result.read(client, limit_s)
        result.attempts = sum(asked.method == "POST" for asked in server.requests)
    return result


def describe_expected(sample: Sample) -> str:
    """Return the expected record in a few words; test_response_decoder.py and test_client.py assert it."""
    expected = sample.expected
    kind = [expected.get("error_type"), f"code {expected['code']}" if "code" in expected else None]
    details = ", ".join(filter(None, kind))
    tokens = (expected.get("input_tokens"), expected.get("output_tokens")) if "output_tokens" in expected else None
    flags = " ".join(f"`{flag}`" for flag in (*expected.get("notes", ()), *expected.get("derived_flags", ())))
    reply = show(expected.get("reply", ""), "tool_calls" in expected)
    reasoning = f"reasoning {show(expected['reasoning'], called_tools=False)}" if "reasoning" in expected else None
    outcome = f"**{expected['outcome']}**{f' ({details})' if details else ''}"
    return ", ".join(filter(None, (reply, reasoning, count(tokens), outcome, flags)))


def row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table(*headings: str) -> list[str]:
    """Return the head of a Markdown table."""
    return [row(*headings), row(*("---" for _ in headings))]


async def ask_sdk_all() -> list[SdkResult]:
    """Return the SDK's result for each sample; several are requested at once, since some take long."""
    results, limiter = [SdkResult() for _ in SAMPLES], anyio.CapacityLimiter(AT_ONCE)

    async def ask(at: int, sample: Sample) -> None:
        async with limiter:
            results[at] = await ask_sdk(sample)

    async with anyio.create_task_group() as tasks:
        for at, sample in enumerate(SAMPLES):
            tasks.start_soon(ask, at, sample)
    return results


async def cases() -> list[str]:
    """Return the table of the samples: what is on the wire, our record of it, and the SDK's."""
    rows, silent, failed = [], 0, 0
    results = await ask_sdk_all()
    for sample, result in zip(SAMPLES, results, strict=True):
        about = sample.about
        link = f"[{about['case']}](../tests/samples/wire/{sample.name})"
        rows.append(row(link, about["title"], about["sent_by"], describe_expected(sample), str(result)))
        is_failure = sample.expected["outcome"] not in TIMED
        failed += is_failure
        silent += is_failure and result.ending == "no exception"
    summary = (
        f"Of the {failed} samples that are failures, openai {openai.__version__} ends {silent} without an exception."
    )
    return [summary, "", *table("case", "on the wire", "sent by", "we say", "the SDK says"), *rows]


def cases_of(api: Api) -> list[str]:
    """Return the table of a dialect's samples: what is on the wire, and our record of it."""
    rows = []
    for each in OF_DIALECTS:
        if each.api == api:
            about = each.sample.about
            link = f"[{about['case']}](../tests/samples/{api}/{each.folder.name})"
            rows.append(row(link, about["title"], about["sent_by"], describe_expected(each.sample)))
    return [*table("case", "on the wire", "sent by, or source", "we say"), *rows]


def failures() -> list[str]:
    """Return the table of all kinds of failure."""
    rows = [
        row(f"`{name}`", f"`{kind.outcome}`", kind.what, kind.help.format(provider="NAME"))
        for name, kind in FAILURE_KINDS.items()
    ]
    return [*table("`error_type`", "outcome", "what it means", "what to do"), *rows]


def outcomes() -> list[str]:
    """Return the table of all outcomes."""
    return [*table("outcome", "in words"), *(row(f"`{outcome}`", words) for outcome, words in OUTCOMES.items())]


def flags() -> list[str]:
    """Return the table of all flags."""
    return [*table("flag", "in words"), *(row(f"`{flag}`", words) for flag, words in FLAGS.items())]


def adversary() -> list[str]:
    """Return the table of all misbehaviours of a server."""
    rows = []
    for group, behaviours in GROUPS.items():
        for name, each in behaviours.items():
            kind = f" ({each.error_type})" if each.error_type else ""
            parts = (f"**{each.outcome}**{kind}", _kept_reply(each), " ".join(f"`{flag}`" for flag in each.flags))
            rows.append(row(group, f"`{name}`", each.does, ", ".join(filter(None, parts))))
    return [*table("kind", "name", "what the server does", "what the row says"), *rows]


def _kept_reply(behaviour: Behaviour) -> str:
    """Return what is kept of a reply, in a few words; nothing where it is the whole one."""
    if behaviour.reply is None or (behaviour.outcome in TIMED and behaviour.reply == "Hello"):
        return ""
    return "the text so far" if behaviour.outcome not in TIMED else "the whole text"


TABLES: dict[str, Callable[[], list[str]]] = {
    "outcomes": outcomes,
    "failures": failures,
    "flags": flags,
    "adversary": adversary,
    **{api: partial(cases_of, api) for api in DIALECTS if api != DEFAULT_API},
}


def cut_out(page: str, name: str) -> tuple[str, str, str]:
    """Return the text before a table, the table, and the text behind it."""
    before, mark, rest = page.partition(f"<!-- {name} -->\n")
    content, end, after = rest.partition("<!-- end -->")
    assert mark, f"docs/wire.md has lost its mark for {name}"
    return before + mark, content.strip(), end + after


def written(name: str) -> list[str]:
    """Return the lines of a table in the page."""
    return cut_out(PAGE.read_text(encoding="utf-8"), name)[1].splitlines()


@pytest.mark.parametrize("name", TABLES)
def test_page_lists_all_outcomes_failures_and_flags(name: str) -> None:
    """The page explains outcomes, failures and flags as the source does."""
    assert written(name) == TABLES[name]()


@pytest.mark.anyio
async def test_page_describes_every_sample() -> None:
    """The SDK's column is compared only for the version of the SDK that the page names."""
    ours = written("cases")
    now = await cases()
    if f"openai {openai.__version__} " in ours[0]:
        assert ours == now
    else:
        assert list(without_sdk(ours)) == list(without_sdk(now))


def without_sdk(lines: list[str]) -> Iterator[str]:
    """Yield a table's lines without the last column and the sentence about it."""
    return (line.rpartition(" | ")[0] for line in lines[1:])


def write() -> None:
    """Rewrite all tables."""
    page = PAGE.read_text(encoding="utf-8")
    tables = {name: make() for name, make in TABLES.items()} | {"cases": anyio.run(cases)}
    for name, lines in tables.items():
        before, _, after = cut_out(page, name)
        page = "\n".join([before, *lines, "", after])
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("say --write")
    write()
