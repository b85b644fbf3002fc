"""A mesh under load for minutes: nothing grows, nothing is lost."""

import asyncio
import os
from pathlib import Path

import httpx2
import pytest

from meshd.errors import ToolFailed
from meshd.runtime.client import call_tool
from tests.e2e.mesh import ROOT, Mesh, running_mesh

pytestmark = pytest.mark.soak

ROUNDS = 20
CALLS_IN_A_ROUND = 500
CLIENTS = 16
MOST_GROWTH_KILOBYTES = 10_000
"""What caches and the allocator may still take after the first rounds; a leak takes far more."""


def resident_kilobytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  (names are enough)


async def one_round(mesh: Mesh) -> None:
    """Plan trips over three agents, and make every tenth call fail."""
    planner = mesh.endpoint("planner")
    limits = httpx2.Limits(max_connections=CLIENTS)
    async with httpx2.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:

        async def call(number: int) -> None:
            if number % 10:
                plan = await call_tool(http, planner, "plan_trip", {"city": "Oslo"})
                assert plan["city"] == "Oslo"
            else:
                with pytest.raises(ToolFailed):
                    await call_tool(http, planner, "plan_trip", {"city": "Nowhere at all"})

        await asyncio.gather(*(call(number) for number in range(CALLS_IN_A_ROUND)))


async def test_memory_threads_and_files_do_not_grow(tmp_path: Path) -> None:
    with running_mesh(ROOT / "manifests", folder=tmp_path) as mesh:
        pid = mesh.process.pid
        for _ in range(ROUNDS // 2):
            await one_round(mesh)
        memory, files = resident_kilobytes(pid), open_files(pid)
        for _ in range(ROUNDS // 2):
            await one_round(mesh)
        grown = resident_kilobytes(pid) - memory
        assert grown < MOST_GROWTH_KILOBYTES
        assert open_files(pid) <= files + CLIENTS
