"""Regenerate the golden journal and all its outputs: `python tests/golden/regenerate.py`, then read the diff.

The journal contains what outputs must handle: Chinese, several turns, failures, buffered text, a simulated target
among real ones, a warm-up, tool calls, and texts that try to break out of every format.
"""

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from runner.analysis.run_results import Run
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.core.tool_call import ToolCall
from runner.outputs import WRITERS
from runner.outputs.terminal import render_summary
from runner.storage import journal
from runner.storage.journal import Header

GOLDEN = Path(__file__).parent
SECOND = 1_000_000_000
HOSTILE = (
    '=HYPERLINK("http://evil.example","x") | <script>alert(1)</script> <img src=x onerror=alert(1)>\r\n'
    "```\n# not a heading\n````\n![pixel](http://evil.example/p.png) [link](javascript:alert(1)) "
    "www.evil.example @everyone \x1b[31mred\x1b[0m \0 \u202egnp.exe \ud83d </details>"
)

HEADER = Header(
    run_id="20260102-030405-golden",
    suite="golden",
    digest="5f2d9c0a41b7",
    seed=7,
    started_at="2026-01-02T03:04:05+08:00",
    simulated=True,
    repeat=2,
    targets=("deepseek/deepseek-chat", "zhipu/glm-4-plus", "simulator/brisk"),
    cases=("who-are-you", "自我介绍", "hostile", "chat"),
    planned_requests=18,
    concurrency=4,
    path="prompts/golden.yaml",
    clock="transport",
    platform="Linux 6.12, x86_64, 2 CPUs",
    versions={"compare": "0.1.0", "python": "3.11.7", "openai": "3.54.0"},
)

PROMPTS = {"who-are-you": "Who are you?", "自我介绍": "请用一句话介绍你自己。", "hostile": "Break | the `table`"}
CHAT = ("Remember 42.", "Which number?")


def asked(case: str, target: str, repeat: int = 1, turn: int = 1) -> Identity:
    """Return the identity of a request of the golden suite."""
    provider, _, model = target.partition("/")
    return Identity(
        key=f"{case}-{turn}-{provider}",
        case=case,
        turn=turn,
        repeat=repeat,
        block=repeat,
        provider=provider,
        model=model,
        prompt=CHAT[turn - 1] if case == "chat" else PROMPTS[case],
        simulated=provider == "simulator",
    )


def answered(identity: Identity, reply: str, ttft_us: int, step_us: int, size: int = 4) -> Record:
    """Return the record of a reply that arrived in even steps: `size` characters, one token, at each."""
    lengths = tuple(len(reply[start : start + size]) for start in range(0, len(reply), size))
    return Record(
        identity=identity,
        timestamps=Timestamps(
            ready=SECOND,
            slot=SECOND + 2_000_000,
            write_start=2 * SECOND - 250_000,
            sent=2 * SECOND,
            headers=2 * SECOND + ttft_us * 500,
            first_event=2 * SECOND + ttft_us * 900,
            last_event=2 * SECOND + (ttft_us + step_us * len(lengths)) * 1000,
        ),
        outcome=Outcome.OK,
        text_events=TextEvents(
            at_us=tuple(ttft_us + step_us * step for step in range(len(lengths))),
            channels="a" * len(lengths),
            lengths=lengths,
        ),
        reply=reply,
        response_model=identity.model,
        finish_reason="stop",
        http_status=200,
        request_id=f"req-{identity.case}-{identity.provider}-{identity.repeat}",
        input_tokens=12,
        output_tokens=len(lengths),
        reused=True,
        in_flight=1,
        late_ns=150_000,
        clock="transport",
        started_at="2026-01-02T03:04:06+08:00",
    )


def with_calls(record: Record) -> Record:
    """Return a record with two tool calls after its text, one of which has hostile arguments that are not JSON."""
    text, sent_ns = record.text_events, 2 * SECOND
    calls = (ToolCall("get_weather", '{"city": "Köln", "days": 2}', "call_1"), ToolCall("run|`", HOSTILE, "call_2"))
    ends_us = [text.at_us[-1] + 10_000, text.at_us[-1] + 20_000]
    return replace(
        record,
        calls=calls,
        output_tokens=60,
        tool_calls="".join(call.name + call.arguments for call in calls),
        timestamps=replace(
            record.timestamps, first_call=sent_ns + ends_us[0] * 1000, last_event=sent_ns + ends_us[1] * 1000
        ),
        text_events=TextEvents(
            at_us=(*text.at_us, *ends_us),
            channels=f"{text.channels}tt",
            lengths=(*text.lengths, *(len(call.name + call.arguments) for call in calls)),
        ),
    )


def failed(identity: Identity, outcome: Outcome, error: str | None, **details: object) -> Record:
    """Return the record of a request without a reply."""
    record = Record(identity=identity, timestamps=Timestamps(sent=2 * SECOND), outcome=outcome, error=error)
    return replace(record, **details)  # type: ignore[arg-type]


def records() -> Iterator[Record]:
    """Yield the golden run's records in the order in which they finished."""
    deepseek, zhipu, simulator = HEADER.targets
    yield replace(answered(asked("who-are-you", deepseek), "warm-up", 5_000_000, 1000), warmup=True)
    yield answered(asked("who-are-you", deepseek), "I am DeepSeek, a model that answers.", 300_000, 100_000)
    yield answered(asked("who-are-you", deepseek, 2), "I am a model by DeepSeek.", 500_000, 50_000)
    yield replace(
        answered(asked("who-are-you", zhipu), "我是智谱的模型，很高兴认识你！", 200_000, 300_000),
        text_events=TextEvents((200_000, 400_000, 900_000, 1_000_000), "rraa", (5, 4, 8, 7)),
        reasoning="用户想知道我是谁。",
        output_tokens=11,
        cached_tokens=8,
        reasoning_tokens=4,
    )
    yield failed(
        asked("who-are-you", zhipu, 2),
        Outcome.RATE_LIMITED,
        "Rate limit reached for requests",
        error_type="rate",
        error_code="1302",
        http_status=429,
        attempts=3,
        backoff_ns=4_500_000_000,
    )
    yield answered(asked("who-are-you", simulator), "I am a simulated persona.", 40_000, 100)
    yield answered(asked("who-are-you", simulator, 2), "I am a simulated persona.", 50_000, 10_000)
    yield replace(
        answered(
            asked("自我介绍", deepseek), "我是一个由深度求索训练的语言模型，可以回答问题、写作、", 400_000, 30_000
        ),
        outcome=Outcome.LENGTH,
        finish_reason="length",
    )
    yield failed(
        asked("自我介绍", zhipu),
        Outcome.FILTERED,
        "系统检测到输入或生成内容可能包含敏感内容",
        error_type="content_filter",
        error_code="1301",
        http_status=400,
    )
    yield answered(asked("自我介绍", simulator), "我是模拟的角色。", 45_000, 10_000)
    yield answered(asked("hostile", deepseek), HOSTILE, 350_000, 10_000)
    yield replace(answered(asked("hostile", zhipu), "", 150_000, 1000), output_tokens=0)
    yield with_calls(answered(asked("hostile", simulator), "NA", 42_000, 10_000, size=1))
    yield answered(asked("chat", deepseek), "Noted.", 310_000, 10_000)
    yield failed(
        asked("chat", deepseek, turn=2),
        Outcome.TIMEOUT,
        "no data for 60 s",
        error_type="idle",
        reply="It is",
        text_events=TextEvents((320_000,), "a", (5,)),
    )
    yield failed(
        asked("chat", zhipu),
        Outcome.AUTH,
        "<b>Invalid</b> API key | see `docs`",
        error_type="key",
        http_status=401,
    )
    yield failed(asked("chat", zhipu, turn=2), Outcome.SKIPPED, None, attempts=0)


def write_journal() -> None:
    """Write the golden journal like that of a run that was killed before its end."""
    (GOLDEN / journal.JOURNAL_FILE).unlink(missing_ok=True)
    with journal.JournalWriter(GOLDEN) as log:
        log.append_header(HEADER)
        for record in records():
            log.append_record(record)


def outputs() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every output of the golden journal."""
    run = Run.of_journal(journal.read(GOLDEN))
    for suffix in sorted({*WRITERS} - {".html"}):  # pages are tested in a browser
        yield f"results{suffix}", WRITERS[suffix](run)
    console = Console(file=StringIO(), width=120)
    console.print(render_summary(run))
    yield "terminal.txt", console.file.getvalue()  # type: ignore[attr-defined]


if __name__ == "__main__":
    write_journal()
    for name, text in outputs():
        (GOLDEN / name).write_bytes(text.encode())
