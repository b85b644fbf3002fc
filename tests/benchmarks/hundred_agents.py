"""How long 100 agents take to start, ten in a process each, and what they cost while idle.

    PYTHONPATH=. python tests/benchmarks/hundred_agents.py

The idle load is the CPU time of all processes of the mesh, daemon and registry included.
"""

import os
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
            percent = {pid: 100 * (cpu_seconds([pid]) - before[pid]) / passed for pid in pids}
            figures["idle load, % of a core"] = sum(percent.values())
            for kind, members in by_name(pids).items():
                figures[f"  of which {kind}, %"] = sum(percent[pid] for pid in members)
            figures["private memory of all, MB"] = sum(map(private_kilobytes, pids)) / 1024
    return figures


def by_name(pids: list[int]) -> dict[str, list[int]]:
    """Return processes by what they are; instances under one name."""
    found = dict[str, list[int]]()
    for pid in pids:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        known = {"registry": "registry", "meshd:fork": "fork server"}
        is_daemon = os.getsid(pid) == pid
        found.setdefault("daemon" if is_daemon else known.get(name, "instances"), []).append(pid)
    return {name: found[name] for name in sorted(found)}


if __name__ == "__main__":
    print_figures(
        f"{AGENTS} agents in {AGENTS // IN_A_PROCESS} processes",
        [sample() for _ in range(ROUNDS)],
    )
