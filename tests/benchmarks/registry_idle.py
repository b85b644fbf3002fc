"""What 1,000 agents with ten capabilities each cost our registry while they beat: CPU and memory.

Each agent has a connection and beats every 5 seconds. Run with
`python -m tests.benchmarks.registry_idle`, and another number of agents if you like.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tests.benchmarks.measured import cpu_seconds, private_kilobytes
from tests.benchmarks.raw_load import once
from tests.benchmarks.registries import heads, ours, posts

INTERVAL_SECONDS = 5.0
SECONDS = 15.0
OK = b"HTTP/1.1 200 "


async def beat(port: int, head: bytes, delay: float, end: float) -> list[float]:
    """Beat until the time is up, and return how long each answer took."""
    took: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(delay)
    while time.perf_counter() < end:
        began = time.perf_counter()
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        took.append(time.perf_counter() - began)
        assert answer.startswith(OK), answer
        await asyncio.sleep(began + INTERVAL_SECONDS - time.perf_counter())
    writer.close()
    return took


async def beats(port: int, agents: int, end: float) -> list[float]:
    spread = [INTERVAL_SECONDS * number / agents for number in range(agents)]
    found = await asyncio.gather(
        *(beat(port, head, delay, end) for head, delay in zip(heads(agents), spread, strict=True))
    )
    return sorted(each for took in found for each in took)


def main() -> None:
    agents = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder) / "ours") as registry:
        process = registry.process.pid
        empty = private_kilobytes(process) / 1024
        uvloop.run(once(registry.port, posts(agents), 16))
        began, before = time.perf_counter(), cpu_seconds([process])
        took = uvloop.run(beats(registry.port, agents, began + SECONDS))
        share = (cpu_seconds([process]) - before) / (time.perf_counter() - began)
        memory = private_kilobytes(process) / 1024
    print(f"{agents:,} agents with 10 capabilities each, beating every {INTERVAL_SECONDS:.0f} s")
    print(f"CPU share of one core    {share:8.1%}   (goal: under 15% for 1,000 agents)")
    print(f"private memory           {memory:6.0f} MB  (goal: under 200; {empty:.0f} when empty)")
    print(f"heartbeat answered       p50 {took[len(took) // 2] * 1000:.2f} ms, ", end="")
    print(f"p99 {took[int(len(took) * 0.99)] * 1000:.2f} ms")


if __name__ == "__main__":
    main()
