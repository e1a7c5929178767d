"""The client that everybody writes: `async for chunk in` the official SDK's stream, a stamp at each chunk."""

import asyncio
from time import perf_counter_ns

from openai import AsyncOpenAI

from runner.calibration.measure import CalibrationLoad
from tests.benchmarks.measured import Measured, be_client, stamps_since


async def ask(base_url: str, load: CalibrationLoad) -> Measured:
    """Ask from as many tasks as there are streams."""
    measured, left = Measured(), iter(range(load.requests))
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
                measured.replies.append(stamps_since(sent_ns, received_ns, at_ns, origin_ns))

        with measured.timing():
            await asyncio.gather(*(work() for _ in range(load.concurrency)))
    return measured


if __name__ == "__main__":
    be_client(ask)
