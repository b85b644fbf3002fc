"""A mesh under load for minutes: nothing grows, nothing is lost."""

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest

from meshd.errors import ToolFailed
from meshd.runtime.client import McpClient
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
    turns = asyncio.Semaphore(CLIENTS)
    async with McpClient() as client:

        async def call(number: int) -> None:
            city = "Oslo" if number % 10 else "Nowhere at all"
            async with turns:
                answer = client.call(planner, "plan_trip", {"city": city}, timeout_seconds=60)
                if number % 10:
                    assert cast("dict[str, Any]", await answer)["city"] == city
                else:
                    with pytest.raises(ToolFailed):
                        await answer

        await asyncio.gather(*(call(number) for number in range(CALLS_IN_A_ROUND)))


async def test_memory_threads_and_files_do_not_grow(tmp_path: Path) -> None:
    with running_mesh(ROOT / "manifests", folder=tmp_path) as mesh:
        for _ in range(ROUNDS // 2):
            await one_round(mesh)
        before = {pid: (resident_kilobytes(pid), open_files(pid)) for pid in mesh.processes()}
        for _ in range(ROUNDS // 2):
            await one_round(mesh)
        assert set(mesh.processes()) == set(before)
        for pid, (memory, files) in before.items():
            assert resident_kilobytes(pid) - memory < MOST_GROWTH_KILOBYTES
            assert open_files(pid) <= files + CLIENTS
