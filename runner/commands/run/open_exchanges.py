"""Open the exchanges that send the requests of a prepared run, and the simulator if it is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

from runner.commands.run.prepared_run import PreparedRun
from runner.core.target_name import SIMULATOR
from runner.engine.run_observers import Observer
from runner.providers.endpoint import Endpoint

if TYPE_CHECKING:
    from runner.engine.attempt_runners import OpenAttemptRunners
    from runner.engine.byte_recorder import ByteRecorder
    from runner.engine.probe_and_warm_requests import InputProbes
    from runner.engine.send_requests import RequestExchange
    from runner.storage.journal.writer import RecordLog


@asynccontextmanager
async def open_exchanges(
    prepared: PreparedRun,
    journal: "RecordLog",
    observer: Observer,
    *,
    recorder: "ByteRecorder | None" = None,
    runners: "OpenAttemptRunners | None" = None,
) -> AsyncIterator[dict[str, "RequestExchange"]]:
    """Open an exchange for each provider of a run; see `engine.run.open_exchanges`.

    Args:
        prepared: the run.
        journal: log to which records are written.
        observer: notified of the run's progress.
        recorder: stores the bytes of every attempt; None if the run is not recorded.
        runners: opens the attempt runners; by default those of this process.

    Raises:
        CompareError: this process cannot open that many connections.

    """
    resumed = prepared.resumed
    async with _open_endpoints(prepared) as endpoints:
        from runner.engine import run as engine_run  # brings the SDK
        from runner.engine.attempt_runners import open_local_runners

        async with engine_run.open_exchanges(
            endpoints,
            limits=prepared.limits,
            connect_s=max(target.parameters.timeouts.connect for target in prepared.plan.targets),
            journal=journal,
            observer=observer,
            redactor=prepared.redactor,
            salt=prepared.salt,
            elapsed_ns=0 if resumed is None else resumed.elapsed_ns(prepared.started),
            probes=_known_probes(prepared),
            recorder=recorder,
            open_runners=runners or open_local_runners,
        ) as exchanges:
            yield exchanges


def _known_probes(prepared: PreparedRun) -> "InputProbes":
    """Return the input probes that the earlier part of a resumed run recorded."""
    from runner.core.sized_input import InputProbe
    from runner.engine.probe_and_warm_requests import InputProbes

    lines = () if prepared.resumed is None else prepared.resumed.journal.lines("input_probe")
    return InputProbes(
        {(line["target"], line["text"]): InputProbe(line["characters"], line["tokens"]) for line in lines}
    )


@asynccontextmanager
async def _open_endpoints(prepared: PreparedRun) -> AsyncIterator[dict[str, Endpoint]]:
    """Yield the endpoint of each provider; the simulator runs in another process meanwhile if an endpoint needs it."""
    endpoints, source = dict(prepared.selected.endpoints), prepared.replay_source
    if SIMULATOR not in endpoints and source is None:
        yield endpoints
        return
    from runner.simulator.child_process import launch  # few runs need it

    # Import the SDK while the simulator starts, which takes about as long.
    Thread(target=import_module, args=("runner.engine.run",), daemon=True).start()
    if source is not None:
        from runner.simulator.replay import provider_url  # brings all that answers

        async with launch(replay=source.folder, fast=source.fast) as base_url:
            yield {name: e.moved_to(provider_url(base_url, name)) for name, e in endpoints.items()}
        return
    async with launch() as base_url:
        endpoints[SIMULATOR] = endpoints[SIMULATOR].moved_to(base_url)
        yield endpoints
