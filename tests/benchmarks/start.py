"""How long a mesh takes to start, and what a further agent in the process costs.

    python tests/benchmarks/start.py

Each mesh runs in a fresh interpreter. A mesh of 10 agents is timed from the end of FastMCP's
import until every agent has answered a `tools/call` over HTTP; the cost of a further agent is the
difference between meshes of 110 and 10 agents, in time and in resident memory.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
SMALL, LARGE = 10, 110
MODULE = "def add(a: int, b: int) -> int:\n    return a + b\n"
AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: agent-{number}}}
spec:
  python: {{path: src}}
  tools:
    - callable: numbers_of_agents:add
      capability: sum.of-{number}
"""


def write_mesh(folder: Path, agents: int) -> None:
    """Write manifests for a number of agents, one tool each."""
    (folder / "src").mkdir()
    (folder / "src" / "numbers_of_agents.py").write_text(MODULE, encoding="utf-8")
    text = "---\n".join(AGENT.format(number=number) for number in range(agents))
    (folder / "mesh.yaml").write_text(text, encoding="utf-8")


def measure(folder: Path) -> dict[str, float]:
    """Start the mesh in this process; return seconds and kilobytes. Runs in its own interpreter."""
    from meshd.settings import prepare_fastmcp

    prepare_fastmcp()
    start = time.perf_counter()
    from fastmcp import FastMCP

    imported = time.perf_counter()
    assert FastMCP
    import httpx2
    import uvloop

    from meshd.cli.run import Options, prepare
    from meshd.clock import SystemClock
    from meshd.daemon.lifecycle import RunningMesh, run_mesh
    from meshd.daemon.stages import Stages
    from meshd.daemon.state import StateDirectory
    from meshd.runtime.client import call_tool

    before_kilobytes = resident_kilobytes()
    begin = time.perf_counter()
    stages = Stages(SystemClock())
    options = Options(
        state_dir=folder / "state", allow=(), grace="1s", allow_unresolved=False, verbose=False
    )
    prepared = prepare([folder], options, stages, {})
    results: dict[str, float] = {"import FastMCP": imported - start}
    tasks: list[asyncio.Task[None]] = []

    async def call_all(mesh: RunningMesh) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            for agent in mesh.agents.values():
                answer = await call_tool(http, agent.endpoint, "add", {"a": 1, "b": 2})
                assert answer == 3, answer
        results["all have answered"] = time.perf_counter() - begin
        mesh.stop()

    def ready(mesh: RunningMesh) -> None:
        results["serving"] = time.perf_counter() - begin
        results["kilobytes"] = resident_kilobytes() - before_kilobytes
        tasks.append(asyncio.ensure_future(call_all(mesh)))

    with StateDirectory(options.state_dir).held() as state:
        uvloop.run(run_mesh(prepared, state, stages, grace_seconds=1, on_ready=ready))
    return results


def resident_kilobytes() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024


def sample(agents: int) -> dict[str, float]:
    """Measure one mesh in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as name:
        write_mesh(Path(name), agents)
        command = [sys.executable, __file__, name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print medians."""
    samples: dict[int, list[dict[str, float]]] = {SMALL: [], LARGE: []}
    for _ in range(ROUNDS):
        for agents, taken in samples.items():
            taken.append(sample(agents))
    median = {
        agents: {key: statistics.median(s[key] for s in taken) for key in taken[0]}
        for agents, taken in samples.items()
    }
    small, large = median[SMALL], median[LARGE]
    further = LARGE - SMALL
    print(f"import FastMCP                {small['import FastMCP'] * 1000:6.0f} ms")
    print(f"until {SMALL} agents serve         {small['serving'] * 1000:6.0f} ms after that")
    answered = small["all have answered"] * 1000
    print(f"until {SMALL} agents have answered {answered:6.0f} ms after that")
    each_ms = (large["serving"] - small["serving"]) / further * 1000
    each_kilobytes = (large["kilobytes"] - small["kilobytes"]) / further
    print(f"a further agent in the process {each_ms:5.1f} ms, {each_kilobytes:.0f} KB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        main()
