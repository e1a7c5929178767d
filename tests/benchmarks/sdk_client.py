"""The client `sdk`: `async for chunk in` the SDK's stream, with a timestamp at each chunk, as most scripts do."""

import asyncio
from time import perf_counter_ns

from openai import AsyncOpenAI

from runner.calibration.measure import CalibrationLoad
from tests.benchmarks.client import Measurement, run_client, timestamps_since


async def ask(base_url: str, load: CalibrationLoad) -> Measurement:
    """Send the requests from as many tasks as there are streams."""
    measurement, left = Measurement(), iter(range(load.requests))
    async with AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0) as client:

        async def work() -> None:
            for _ in left:
                sent_ns = perf_counter_ns()
                at_ns, origin_ns = [], []
                stream = await client.chat.completions.create(
                    model=load.model, messages=[{"role": "user", "content": "Count."}], stream=True
                )
                async for chunk in stream:
                    now_ns = perf_counter_ns()
                    if chunk.choices and chunk.choices[0].delta.content:
                        at_ns.append(now_ns)
                        origin_ns.append((chunk.model_extra or {})["sent_ns"])
                received_ns = int(stream.response.headers["x-received-ns"])
                measurement.replies.append(timestamps_since(sent_ns, received_ns, at_ns, origin_ns))

        with measurement.timing():
            await asyncio.gather(*(work() for _ in range(load.concurrency)))
    return measurement


if __name__ == "__main__":
    run_client(ask)
