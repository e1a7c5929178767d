"""Pages of crafted runs in many shapes (targets, cases, rounds, failures, prices, checks), made without a request."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile, level_of
from runner.core.record import Record
from runner.core.record_fields import TextEvents, Timestamps
from tests.support.crafted_runs import SECOND, answered, failed, header

TARGETS = (
    "dashscope/qwen3.8-flash",
    "zhipu/glm-5.3",
    "deepseek/deepseek-chat-v4-20260101",
    "moonshot/kimi-k3-0905-preview",
    "minimax/MiniMax-M3",
    "openai/gpt-6-mini",
    "anthropic/claude-haiku-5",
    "google/gemini-4-flash-lite",
    "mistral/mistral-medium-4",
    "xai/grok-5-fast",
    "siliconflow/Qwen/Qwen4-72B-Instruct",
    "groq/llama-5-70b-versatile",
)

CODE = """Here is code:

```python
def total(values):
    result = 0
    for each in values:
        if each is not None and each > 0 and each < 1_000_000_000_000_000 and each not in result_of_before:
            result += each
    return result
```

It adds **positive** values."""

WORDS = ("alpha", "beta", "gamma", "delta", "中文")


@dataclass(frozen=True)
class Shape:
    """The shape of a run; `down` is the index of a target that always fails, and with it others fail sometimes.

    With `levels` it is a sweep, and `rounds` are those of each level.
    """

    targets: int = 2
    cases: int = 13
    rounds: int = 3
    down: int | None = None
    run_id: str = "20260102-030405"
    seed: int = 1
    levels: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The targets."""
        return TARGETS[: self.targets]

    @property
    def case_names(self) -> tuple[str, ...]:
        """The cases; replies to the third are code, those to the fourth are the same for all targets."""
        return ("capital-of-france", *(f"case-{at:02}" for at in range(1, self.cases)))

    @cached_property
    def run(self) -> Run:
        """The run."""
        records = list(self._records())
        tags = {case: ["short" if at % 2 else "long"] for at, case in enumerate(self.case_names)}
        checks = {
            case: {"checks": {"contains": "alpha" if at % 3 else "Paris"}, "pass": "all", "turns": 1, "line": at + 3}
            for at, case in enumerate(self.case_names[:8])
        }
        prices = {
            name: {
                "currency": "CNY",
                "source": "list",
                "date": None,
                "rates": [{"input": f"{1 + at}", "output": f"{2 + 3 * at}"}],
            }
            for at, name in enumerate(self.names)
        }
        return Run.of(
            header(
                self.run_id,
                self.names,
                cases=self.case_names,
                repeat=self.rounds,
                planned_requests=len(records),
                path="prompts/basic.yaml",
                suite="basic",
                tags=tags,
                checks=checks,
                prices=prices,
                load=LoadProfile(levels=self.levels).to_plain(),
                release="free" if self.levels else "together",
            ),
            records,
        )

    def _records(self) -> Iterator[Record]:
        random, sent_ns = Random(self.seed), SECOND
        for block in range(1, self.rounds * max(len(self.levels), 1) + 1):
            level = level_of(block, self.levels, self.rounds) if self.levels else 1
            for number, case in enumerate(self.case_names):
                for place, target in enumerate(self.names):
                    is_lost = self.down is not None and (place == self.down or random.random() < 0.04)
                    record = (
                        failed(target, case, block)
                        if is_lost
                        else _reply(random, target, place, number, case, block, slower=level**0.7)
                    )
                    yield _sent_at(record, sent_ns)
                sent_ns += SECOND // level


def _reply(  # noqa: PLR0917
    random: Random, target: str, place: int, number: int, case: str, block: int, *, slower: float
) -> Record:
    tokens = random.randint(4, 300) if number % 2 else 12
    text = " ".join(random.choice(WORDS) for _ in range(tokens))
    text = {2: CODE, 3: "Paris."}.get(number, text)
    ttft_s = 0.15 * (1 + 0.7 * place) * (1 + number % 4 * 4) * slower * random.lognormvariate(0, 0.12)
    at_us = tuple(round((ttft_s + at * 0.01 * (1 + 0.3 * place)) * 1e6) for at in range(tokens))
    lengths = [len(text) // tokens] * tokens
    lengths[-1] += len(text) - sum(lengths)
    return replace(
        answered(target, case, block, ttft_s, reply=text),
        text_events=TextEvents(at_us, "a" * tokens, tuple(lengths)),
        output_tokens=tokens,
        input_tokens=random.randint(10, 200),
    )


def _sent_at(record: Record, sent_ns: int) -> Record:
    """Return the record as if the request had been sent at this time of the run."""
    at_us = record.text_events.at_us
    first_ns, last_ns = (sent_ns + (at_us[at] * 1000 if at_us else SECOND) for at in (0, -1))
    stamps = Timestamps(sent=sent_ns, slot=sent_ns, headers=first_ns, first_event=first_ns, last_event=last_ns)
    return replace(record, timestamps=stamps)
