"""What calls see of a provider that is killed with `kill -9` under load.

    python -m tests.benchmarks.kills [--seconds 40]

Once one of three providers is killed, once the only one. Calls of a tool that is idempotent and of
one that is not are made at the same time, by the same consumer. Each failed call is counted, and
the longest of all calls is shown beside the longest while nobody is killed.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.project import instance, until
from tests.e2e.wire import call_request

CALLERS = 16
CALM_SECONDS, AFTER_SECONDS = 1.0, 2.0
GOALS = {"idempotent": "0", "other": f"at most {CALLERS} a kill, with other providers"}
MANIFESTS = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: front}}
spec:
  python: {{path: src}}
  tools:
    - {{callable: "front:called", name: idempotent, needs: {{it: {{capability: idempotent}}}}}}
    - {{callable: "front:called", name: other, needs: {{it: {{capability: other}}}}}}
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: back}}
spec:
  python: {{path: src}}
  replicas: {replicas}
  tools:
    - callable: back:work
      name: idempotent
      capability: idempotent
      hints: {{idempotent: true}}
    - {{callable: "back:work", name: other, capability: other}}
"""
FRONT = """\
async def called(it) -> str:
    if it is None:
        raise LookupError("there is no provider")
    return await it()
"""
BACK = """\
import asyncio


async def work() -> str:
    await asyncio.sleep(0.01)
    return "done"
"""


@dataclass
class Calls:
    """What became of calls of one tool."""

    tool: str
    answered: int = 0
    failed: list[str] = field(default_factory=list[str])
    took: list[float] = field(default_factory=list[float])

    @property
    def longest(self) -> float:
        return max(self.took, default=0.0)


@dataclass
class Round:
    """One kill: what became of the calls before it and from it on."""

    calm: dict[str, Calls]
    killed: dict[str, Calls]


def write_project(folder: Path, replicas: int) -> Path:
    """Write a consumer and its provider."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").touch()
    (project / "mesh.yaml").write_text(MANIFESTS.format(replicas=replicas))
    (project / "src" / "front.py").write_text(FRONT)
    (project / "src" / "back.py").write_text(BACK)
    return project


@contextlib.asynccontextmanager
async def calling(http: aiohttp.ClientSession, url: str) -> AsyncGenerator[dict[str, Calls]]:
    """Call both tools without a pause while the block runs, and let the last calls finish."""
    calls = {tool: Calls(tool) for tool in GOALS}
    stop = asyncio.Event()

    async def caller(of: Calls) -> None:
        headers, body = call_request("modern", of.tool, {})
        while not stop.is_set():
            begin = time.perf_counter()
            async with http.post(url, headers=headers, json=body) as answer:
                result = (await answer.json())["result"]
            of.took.append(time.perf_counter() - begin)
            if result["isError"]:
                of.failed.append(result["content"][0]["text"])
            else:
                of.answered += 1

    async with asyncio.TaskGroup() as group:
        for of in calls.values():
            for _ in range(CALLERS):
                group.create_task(caller(of))
        try:
            yield calls
        finally:
            stop.set()


async def one_round(mesh: Mesh, victim: str) -> Round:
    """Call for a while, kill, and call on; the calls under way at the kill count as after it."""
    url = mesh.mcp("front")
    process = (await asyncio.to_thread(instance, mesh, victim))["pid"]
    async with aiohttp.ClientSession() as http:
        async with calling(http, url) as calm:
            await asyncio.sleep(CALM_SECONDS)
        async with calling(http, url) as killed:
            await asyncio.sleep(CALM_SECONDS / 2)
            os.kill(process, signal.SIGKILL)
            await asyncio.sleep(AFTER_SECONDS)
    return Round(calm, killed)


def rounds_of(replicas: int, rounds: int) -> list[Round]:
    """Kill the same replica of a mesh some times; each time it is back before."""

    def is_wired(mesh: Mesh) -> bool:
        needs = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
        return bool(needs) and all(len(need["providers"]) == replicas for need in needs)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: list[Round] = []
        with running_mesh(write_project(folder, replicas), folder=folder) as mesh:
            for _ in range(rounds):
                until(lambda: is_wired(mesh), seconds=30)
                found.append(asyncio.run(one_round(mesh, "back-1")))
        return found


def print_rounds(title: str, rounds: list[Round]) -> None:
    """Print what became of the calls."""
    print(f"{title}, {len(rounds)} kills, {CALLERS} callers of each tool")
    for tool, goal in GOALS.items():
        after = [each.killed[tool] for each in rounds]
        failed = [len(each.failed) for each in after]
        longest = [each.longest * 1000 for each in after]
        calm = statistics.median(each.calm[tool].longest for each in rounds) * 1000
        print(
            f"  {tool:10} {sum(each.answered for each in after):6,} answered, failed per kill"
            f" {', '.join(map(str, failed))} (goal: {goal}); longest call"
            f" {statistics.median(longest):.0f} ms, at worst {max(longest):.0f} ms"
            f" ({calm:.0f} ms while nobody is killed)"
        )
        for text in sorted({text for each in after for text in each.failed})[:3]:
            print(f"             {text}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what calls see of a provider that is killed")
    parser.add_argument("--seconds", type=int, default=40, help="about how long calls are made")
    rounds = max(1, parser.parse_args().seconds // 8)
    print_rounds("one of three providers", rounds_of(3, rounds))
    print_rounds("the only provider", rounds_of(1, rounds))


if __name__ == "__main__":
    main()
