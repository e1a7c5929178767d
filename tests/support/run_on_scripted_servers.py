"""Run a plan on scripted servers, and return the lines of its journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.retry import RetryPolicy
from runner.engine.run import open_senders, send_plan
from runner.engine.run_observers import Observer
from runner.engine.send_requests import SendContext
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.providers.endpoint import Endpoint
from runner.providers.provider_row import ProviderRow
from runner.providers.redaction import Redactor
from runner.storage import journal
from tests.support.scripted_server import (
    PATIENCE_S,
    ScriptedServer,
)

QUICK_RETRIES = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=2.0)


@dataclass(frozen=True)
class WrittenRun:
    """The lines of a run's journal."""

    records: list[Record]
    limits: list[dict[str, Any]]
    end: Mapping[str, Any] | None


async def run(
    folder: Path,
    servers: Mapping[str, ScriptedServer],
    plan: Plan,
    load: LoadProfile | None = None,
    *,
    limit: int = 4,
    observer: Observer | None = None,
    first_missing: Callable[[Request], Request | None] | None = None,
    stop: Callable[[], str | None] | None = None,
    **row: Any,
) -> WrittenRun:
    """Run a plan with short waits; return the lines of its journal."""
    header = journal.Header("run", "suite", "0", 1, "2026-01-01", simulated=False, repeat=plan.repeat, targets=(),
                            cases=(), planned_requests=plan.requests)  # fmt: skip
    provider = ProviderRow.model_validate({"keyless": True, **row})
    with journal.JournalWriter(folder) as writer:
        writer.append_header(header)
        async with open_senders(
            {name: Endpoint(name, server.url, None, provider) for name, server in servers.items()},
            dict.fromkeys(servers, limit),
            SendContext(writer, observer or Observer(), Redactor(), "salt"),
            connect_s=5,
        ) as senders:
            for sender in senders.values():
                sender.retry = QUICK_RETRIES
            with anyio.fail_after(PATIENCE_S):
                await send_plan(plan, senders, writer, load=load, first_missing=first_missing, stop=stop)
    written = journal.read(folder)
    return WrittenRun(list(written.records), list(written.lines("limit")), written.end)


def plan_of(*targets: str, cases: int = 1, repeat: int | None = 1, turns: int = 1) -> Plan:
    """Return a plan for targets, given as provider/model."""
    pairs = [name.split("/", 1) for name in targets]
    asked = tuple(Target(provider, model, Parameters()) for provider, model in pairs)
    return Plan(tuple(Case(f"case-{n}", (f"Question {n}",) * turns) for n in range(cases)), asked, repeat, seed=1)
