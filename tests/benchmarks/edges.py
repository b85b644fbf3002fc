"""How fast an agent calls another one through a proxy, against a raw HTTP client.

    PYTHONPATH=. python tests/benchmarks/edges.py

The consumer's tool makes the calls itself, over its proxy and, taking turns, with an aiohttp
session that posts the same bytes from the same process and reads the answer as JSON. The provider
adds two numbers. `in one process` is an edge between agents that share their process.
"""

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.mesh import running_mesh
from tests.e2e.project import call, instance, until
from tests.e2e.test_supervision import resolved

ROUNDS = 5
CALLS = {1: 500, 32: 1_600}
"""By the number of calls at once."""
MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: adder}}
spec:
  python: {{path: src}}{process}
  tools: [{{callable: "adding:add", capability: sum}}]
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: caller}}
spec:
  python: {{path: src}}{process}
  tools:
    - callable: calling:through_proxy
      needs: {{add: {{capability: sum, required: true}}}}
    - callable: calling:raw
"""
ADDING = """\
async def add(a: int, b: int) -> int:
    return a + b
"""
CALLING = """\
import asyncio
import json
import time

import aiohttp


async def measured(one, calls: int, at_once: int) -> dict[str, float]:
    latencies = []

    async def several() -> None:
        for _ in range(calls // at_once):
            begin = time.perf_counter()
            assert await one() == 3
            latencies.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*(several() for _ in range(at_once)))
    rate = len(latencies) / (time.perf_counter() - begin)
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[-len(latencies) // 100]
    return {"rate": rate, "p50": p50, "p99": p99}


async def through_proxy(calls: int, at_once: int, add) -> dict[str, float]:
    return await measured(lambda: add(a=1, b=2), calls, at_once)


async def raw(
    url: str, headers: dict[str, str], body: str, calls: int, at_once: int
) -> dict[str, float]:
    async with aiohttp.ClientSession(headers=headers) as http:

        async def one() -> int:
            async with http.post(url, data=body) as answer:
                return json.loads(await answer.read())["result"]["structuredContent"]["result"]

        return await measured(one, calls, at_once)
"""
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "add",
}
BODY = (
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2},'
    '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    '"io.modelcontextprotocol/clientCapabilities":{}}}}'
)
Figures = Mapping[str, float]


def write_project(folder: Path, process: str) -> Path:
    """Write the two agents, in processes of their own or in one."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").touch()
    line = f"\n  process: {process}" if process else ""
    (project / "mesh.yaml").write_text(MANIFEST.format(process=line))
    (project / "src" / "adding.py").write_text(ADDING)
    (project / "src" / "calling.py").write_text(CALLING)
    return project


def samples(process: str) -> dict[tuple[str, int], list[Figures]]:
    """Run the mesh and measure; the figures are calls a second, and seconds."""
    found: dict[tuple[str, int], list[Figures]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_mesh(write_project(folder, process), folder=folder) as mesh:
            until(lambda: resolved(mesh))
            caller = instance(mesh, "caller-1")["endpoint"]
            raw = {"url": mesh.mcp("adder"), "headers": HEADERS, "body": BODY}
            kinds: dict[str, dict[str, Any]] = {"through_proxy": {}} | (
                {} if process else {"raw": raw}
            )
            for kind, arguments in kinds.items():
                call(caller, kind, **arguments, calls=200, at_once=1)
            for _ in range(ROUNDS):
                for at_once, calls in CALLS.items():
                    for kind, arguments in kinds.items():
                        taken = call(caller, kind, 60, **arguments, calls=calls, at_once=at_once)
                        found.setdefault((kind, at_once), []).append(taken)
    return found


def median(of: list[Figures], figure: str) -> float:
    """Return the median of one figure."""
    return statistics.median(each[figure] for each in of)


def main() -> None:
    """Measure and print medians."""
    between, within = samples(""), samples("both")
    print(f"{'':26} {'at once':>8} {'calls/s':>9} {'p50 ms':>9} {'p99 ms':>9}")
    rows = [("raw aiohttp", "raw", between), ("proxy", "through_proxy", between)]
    for title, kind, found in [*rows, ("proxy in one process", "through_proxy", within)]:
        for at_once in CALLS:
            taken = found[kind, at_once]
            rate, p50, p99 = (median(taken, figure) for figure in ("rate", "p50", "p99"))
            print(f"{title:26} {at_once:8} {rate:9.0f} {p50 * 1000:9.3f} {p99 * 1000:9.3f}")
    for at_once in CALLS:
        share = median(between["through_proxy", at_once], "rate") / median(
            between["raw", at_once], "rate"
        )
        print(f"proxy against raw, {at_once} at once: {share:.0%}")


if __name__ == "__main__":
    main()
