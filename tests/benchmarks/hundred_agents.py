"""How long 100 agents take to start, ten in a process each, and what they cost while idle.

    PYTHONPATH=. python tests/benchmarks/hundred_agents.py

The idle load is the CPU time of all processes of the mesh, daemon and registry included.
"""

import tempfile
import time
from pathlib import Path

from tests.benchmarks.measured import (
    cpu_seconds,
    measured_mesh,
    print_figures,
    private_kilobytes,
    write_agents,
)

ROUNDS = 3
AGENTS = 100
IN_A_PROCESS = 10
SETTLE_SECONDS = 10.0
IDLE_SECONDS = 20.0


def sample() -> dict[str, float]:
    """Start the mesh once; return its figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = write_agents(folder, AGENTS, IN_A_PROCESS)
        with measured_mesh(project, folder) as (mesh, figures):
            time.sleep(SETTLE_SECONDS)
            pids = mesh.processes()
            before = {pid: cpu_seconds([pid]) for pid in pids}
            begin = time.perf_counter()
            time.sleep(IDLE_SECONDS)
            passed = time.perf_counter() - begin
            percent = {
                Path(f"/proc/{pid}/comm").read_text().strip(): 100
                * (cpu_seconds([pid]) - before[pid])
                / passed
                for pid in pids
            }
            figures["idle load, % of a core"] = sum(percent.values())
            shared = [each for name, each in percent.items() if name.startswith("shared")]
            figures["  of which instances, %"] = sum(shared)
            figures["  of which registry, %"] = percent.get("registry", 0.0)
            figures["private memory of all, MB"] = sum(map(private_kilobytes, pids)) / 1024
    return figures


if __name__ == "__main__":
    print_figures(
        f"{AGENTS} agents in {AGENTS // IN_A_PROCESS} processes",
        [sample() for _ in range(ROUNDS)],
    )
