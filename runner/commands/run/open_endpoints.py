"""Open the endpoints of a run: where each provider's requests go, the simulator's own process included."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from threading import Thread

from runner.commands.run.prepared_run import PreparedRun
from runner.providers.endpoint import Endpoint
from runner.simulator.model import PROVIDER as SIMULATOR


@asynccontextmanager
async def open_endpoints(prepared: PreparedRun) -> AsyncIterator[dict[str, Endpoint]]:
    """Yield the endpoint of each provider; the simulator runs in a process of its own while one of them needs it."""
    endpoints, source = dict(prepared.selected.endpoints), prepared.replay_source
    if SIMULATOR not in endpoints and source is None:
        yield endpoints
        return
    from runner.simulator.process import launch  # noqa: PLC0415 -- few runs need it
    from runner.simulator.replay import provider_url  # noqa: PLC0415

    # The simulator takes as long to start as the SDK takes to import.
    Thread(target=import_module, args=("runner.engine.run",), daemon=True).start()
    if source is not None:
        async with launch(replay=source.folder, fast=source.fast) as base_url:
            yield {name: e.moved_to(provider_url(base_url, name)) for name, e in endpoints.items()}
        return
    async with launch() as base_url:
        endpoints[SIMULATOR] = endpoints[SIMULATOR].moved_to(base_url)
        yield endpoints
