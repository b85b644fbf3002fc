"""How fast an agent calls another one, against a raw HTTP client and MCP Mesh's agents, in turn.

    python -m tests.benchmarks.agent_to_agent [--seconds 60]

The consumer's tool makes the calls itself: over its proxy and, taking turns, with an aiohttp
session that posts the same call from the same process and reads the answer as JSON. MCP Mesh's
agents do the same work with the same code, over MCP Mesh's proxy; they find each other in the same
registry. Providers share one core, consumers the other. `in one process` is an edge between agents
that share their process.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.load import LOAD_CORE, SERVER_CORE, pin
from tests.e2e.mcp_mesh_agents import healthy, running_agent, text_of
from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.project import call, instance, until
from tests.e2e.test_supervision import resolved
from tests.e2e.wire import call_request
from tests.tools import mcp_mesh

RAW, PROXY, THEIRS, WITHIN = "raw aiohttp", "proxy", "MCP Mesh", "proxy in one process"
AT_ONCE = (1, 32)
CALLS = {1: 500, 32: 3_200}
"""In one turn, by the number of calls at once."""
SHARE_OF_THEIRS = 0.03
"""They take longer for each."""
ROUND_SECONDS = 6
WIRED_SECONDS = 40
WITHIN_GOAL_MICROSECONDS = 50
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
MEASURED = """\
import asyncio
import json
import time


async def measured(one, calls: int, at_once: int) -> dict[str, float]:
    latencies = []

    async def several() -> None:
        for _ in range(calls // at_once):
            begin = time.perf_counter()
            assert await one() == 3
            latencies.append(time.perf_counter() - begin)

    begin, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(several() for _ in range(at_once)))
    rate = len(latencies) / (time.perf_counter() - begin)
    cpu = (time.process_time() - spent) / len(latencies)
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[-len(latencies) // 100]
    return {"rate": rate, "p50": p50, "p99": p99, "cpu": cpu}
"""
CALLING = """\
import json

import aiohttp
from measuring import measured


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
THEIR_ADDER = """\
import mesh
from fastmcp import FastMCP

app = FastMCP("their-adder")


@app.tool()
@mesh.tool(capability="their.sum")
async def add(a: int, b: int) -> int:
    return a + b


@mesh.agent(name="their-adder", http_port=0, auto_run=True)
class Adder:
    pass
"""
THEIR_CALLER = """\
import json

import mesh
from fastmcp import FastMCP
from mesh.types import McpMeshTool

from measuring import measured

app = FastMCP("their-caller")


@app.tool()
@mesh.tool(capability="their.calls", dependencies=["their.sum"])
async def through_proxy(calls: int, at_once: int, add: McpMeshTool = None) -> str:
    if add is None:
        return ""

    async def one() -> int:
        return int(await add(a=1, b=2))

    return json.dumps(await measured(one, calls, at_once))


@mesh.agent(name="their-caller", http_port=0, auto_run=True)
class Caller:
    pass
"""
Figures = Mapping[str, float]


@dataclass
class Kind:
    """A way to call: what makes so many calls, so many at once, and the figures so far."""

    name: str
    turn: Callable[[int, int], Figures]
    figures: dict[int, list[Figures]]

    def median(self, at_once: int, figure: str) -> float:
        """Return the median of one figure."""
        return statistics.median(each[figure] for each in self.figures[at_once])


def write_project(folder: Path, process: str) -> Path:
    """Write the two agents, in processes of their own or in one."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").touch()
    line = f"\n  process: {process}" if process else ""
    (project / "mesh.yaml").write_text(MANIFEST.format(process=line))
    (project / "src" / "adding.py").write_text(ADDING)
    (project / "src" / "measuring.py").write_text(MEASURED)
    (project / "src" / "calling.py").write_text(CALLING)
    return project


@contextlib.contextmanager
def our_mesh(folder: Path, process: str) -> Generator[Mesh]:
    """Run both agents, wired, each on its core."""
    with running_mesh(write_project(folder, process), folder=folder) as mesh:
        until(lambda: resolved(mesh))
        pin(instance(mesh, "adder-1")["pid"], SERVER_CORE)
        pin(instance(mesh, "caller-1")["pid"], LOAD_CORE)
        yield mesh


def our_kinds(mesh: Mesh) -> tuple[Kind, Kind]:
    """Return the ways in which our consumer calls."""
    caller = instance(mesh, "caller-1")["endpoint"]
    headers, body = call_request("modern", "add", {"a": 1, "b": 2})
    headers["Content-Type"] = "application/json"
    text = json.dumps(body, separators=(",", ":"))

    def proxy(calls: int, at_once: int) -> Figures:
        return call(caller, "through_proxy", 60, calls=calls, at_once=at_once)

    def raw(calls: int, at_once: int) -> Figures:
        given: dict[str, Any] = {"url": mesh.mcp("adder"), "headers": headers, "body": text}
        return call(caller, "raw", 60, **given, calls=calls, at_once=at_once)

    return Kind(RAW, raw, {}), Kind(PROXY, proxy, {})


@contextlib.contextmanager
def their_kind(folder: Path, registry: str) -> Generator[Kind]:
    """Run MCP Mesh's agents in a registry, each on its core."""
    mcp_mesh.installed()
    for name in ("their-adder", "their-caller"):
        (folder / name).mkdir()
        (folder / name / "measuring.py").write_text(MEASURED)

    def turn(calls: int, at_once: int) -> Figures:
        calls = max(at_once * 2, int(calls * SHARE_OF_THEIRS))
        text = text_of(registry, "their.calls", "through_proxy", calls=calls, at_once=at_once)
        return json.loads(text)

    with (
        running_agent(THEIR_ADDER, folder / "their-adder", registry) as adder,
        running_agent(THEIR_CALLER, folder / "their-caller", registry) as caller,
    ):
        until(lambda: healthy(registry, "their.calls"), WIRED_SECONDS)
        until(lambda: text_of(registry, "their.calls", "through_proxy", calls=1, at_once=1), 40)
        pin(adder.pid, SERVER_CORE)
        pin(caller.pid, LOAD_CORE)
        yield Kind(THEIRS, turn, {})


def measure(kinds: list[Kind], rounds: int) -> None:
    """Let all kinds take turns, after one to warm up."""
    for kind in kinds:
        kind.turn(200, 1)
        for at_once in AT_ONCE:
            kind.figures[at_once] = []
    for _ in range(rounds):
        for at_once in AT_ONCE:
            for kind in kinds:
                kind.figures[at_once].append(kind.turn(CALLS[at_once], at_once))


def between(rounds: int, *, theirs: bool) -> list[Kind]:
    """Measure calls between processes."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mesh = stack.enter_context(our_mesh(folder, ""))
        kinds = list(our_kinds(mesh))
        if theirs:
            registry = str(mesh.view()["registry"]["url"])
            kinds.append(stack.enter_context(their_kind(folder, registry)))
        measure(kinds, rounds)
    return kinds


def within(rounds: int) -> Kind:
    """Measure calls in one process."""
    with tempfile.TemporaryDirectory() as name, our_mesh(Path(name), "both") as mesh:
        _, kind = our_kinds(mesh)
        kind.name = WITHIN
        measure([kind], rounds)
    return kind


def print_ratio(ours: Kind, other: Kind, at_once: int, goal: str) -> None:
    """Print how many times as fast one kind is: the median of the rounds."""
    pairs = zip(ours.figures[at_once], other.figures[at_once], strict=True)
    ratio = statistics.median(mine["rate"] / others["rate"] for mine, others in pairs)
    print(f"{ours.name} / {other.name}, {at_once} at once: {ratio:.2f} x (goal: {goal})")


def main() -> None:
    """Measure and print medians."""
    parser = argparse.ArgumentParser(description="how fast agents call each other")
    parser.add_argument("--seconds", type=int, default=40, help="about how long calls are made")
    parser.add_argument("--without-mcp-mesh", action="store_true", help="measure ours alone")
    given = parser.parse_args()
    rounds = max(1, given.seconds // ROUND_SECONDS)
    kinds = between(rounds, theirs=not given.without_mcp_mesh)
    inside = within(rounds)
    print(f"{'':22} {'at once':>8} {'calls/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'CPU µs':>9}")
    for kind in [*kinds, inside]:
        for at_once in AT_ONCE:
            figures = (kind.median(at_once, figure) for figure in ("rate", "p50", "p99", "cpu"))
            rate, p50, p99, cpu = figures
            print(
                f"{kind.name:22} {at_once:8} {rate:9,.0f} {p50 * 1e3:9.3f} {p99 * 1e3:9.3f}"
                f" {cpu * 1e6:9.1f}"
            )
    print("(CPU: of the consumer's process, for one call)")
    raw, proxy, *rest = kinds
    print_ratio(proxy, raw, 32, "0.7")
    print_ratio(proxy, raw, 1, "none")
    for kind in rest:
        print_ratio(proxy, kind, 32, "20")
        print_ratio(proxy, kind, 1, "none")
    median = inside.median(1, "p50") * 1e6
    print(f"{WITHIN}, median: {median:.0f} µs (goal: under {WITHIN_GOAL_MICROSECONDS})")


if __name__ == "__main__":
    main()
