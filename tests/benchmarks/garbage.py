"""What tuning the garbage collector does to the slowest calls: the same server, with and without.

Three agents of one mesh have the same tool; others are told to undo what meshd tunes. They take
turns under the same load, so that all see the same machine. The tool makes objects that know their
parents, which only the collector frees, beside some data that the module has loaded.

Run by hand: PYTHONPATH=. python tests/benchmarks/garbage.py [SECONDS]
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks.raw_load import Load, for_seconds, request
from tests.e2e.mesh import running_mesh
from tests.e2e.project import call, instance
from tests.e2e.wire import call_request

ROUNDS = 5
CONNECTIONS = 4
NAMES = ("tuned", "frozen", "untuned")
"""As meshd leaves it; with Python's thresholds; and as Python leaves it."""
AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: {name}}}
spec:
  python: {{path: src}}
  tools:
    - {{callable: "work:tree"}}
    - {{callable: "work:reset", execution: inline}}
    - {{callable: "work:collections", execution: inline}}
"""
MODULE = """\
import gc
import time

CATALOGUE = [{"id": number, "tags": [str(number)]} for number in range(50_000)]
THRESHOLDS = gc.get_threshold()  # meshd sets its own when it serves
pauses: list[float] = []
began = 0.0


def reset(unfreeze: bool) -> None:
    gc.set_threshold(*THRESHOLDS)
    if unfreeze:
        gc.unfreeze()


def note(phase: str, info: dict) -> None:
    global began
    if phase == "start":
        began = time.perf_counter()
    else:
        pauses.append(time.perf_counter() - began)


def collections() -> list:
    seen = pauses[:]
    pauses.clear()
    if note not in gc.callbacks:
        gc.callbacks.append(note)
    return [len(seen), sum(seen), max(seen, default=0.0)]


class Node:
    def __init__(self, parent: object, depth: int) -> None:
        self.parent = parent
        self.children = [Node(self, depth - 1) for _ in range(3)] if depth else []

    def size(self) -> int:
        return 1 + sum(child.size() for child in self.children)


async def tree(depth: int) -> int:
    return Node(None, depth).size()
"""


def prepared() -> list[bytes]:
    """Return the requests, each of which makes a hundred and twenty objects."""
    headers, body = call_request("modern", "tree", {"depth": 4})
    return [request("POST", "/mcp", json.dumps(body).encode(), **headers)]


def shown(name: str, loads: list[Load], collected: list[list[float]]) -> str:
    took = sorted(each for load in loads for each in load.took)

    def milliseconds(share: float) -> float:
        return took[int(share * (len(took) - 1))] * 1000

    count = sum(each[0] for each in collected)
    spent = sum(each[1] for each in collected)
    longest = max(each[2] for each in collected)
    rate = len(took) / sum(load.seconds for load in loads)
    return (
        f"{name:10} {rate:7,.0f}/s  p50 {milliseconds(0.5):6.2f}  p99 {milliseconds(0.99):6.2f}"
        f"  p99.9 {milliseconds(0.999):6.2f}  worst {took[-1] * 1000:6.2f} ms   "
        f"{count:6,.0f} collections, {spent * 1000:7.1f} ms, longest {longest * 1000:5.2f} ms"
    )


async def measure(endpoints: dict[str, str], seconds: float) -> None:
    loads: dict[str, list[Load]] = {name: [] for name in NAMES}
    collected: dict[str, list[list[float]]] = {name: [] for name in NAMES}
    for _ in range(ROUNDS):
        for name in NAMES:
            port = urlsplit(endpoints[name]).port or 0
            await asyncio.to_thread(call, endpoints[name], "collections")
            loads[name].append(await for_seconds(port, prepared(), CONNECTIONS, seconds / ROUNDS))
            collected[name].append(await asyncio.to_thread(call, endpoints[name], "collections"))
    for name in NAMES:
        assert all(set(load.statuses) == {200} for load in loads[name])
        print(shown(name, loads[name], collected[name]))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        (project / "src").mkdir(parents=True)
        (project / "meshd.toml").write_text("")
        (project / "src" / "work.py").write_text(MODULE)
        for name in NAMES:
            (project / f"{name}.yaml").write_text(AGENT.format(name=name))
        with running_mesh(project, folder=Path(folder)) as mesh:
            here = {name: instance(mesh, f"{name}-1") for name in NAMES}
            cores = sorted(os.sched_getaffinity(0))
            for one in here.values():
                os.sched_setaffinity(one["pid"], {cores[-1]})
            call(here["frozen"]["endpoint"], "reset", unfreeze=False)
            call(here["untuned"]["endpoint"], "reset", unfreeze=True)
            endpoints = {name: one["endpoint"] for name, one in here.items()}
            uvloop.run(measure(endpoints, seconds))


if __name__ == "__main__":
    main()
