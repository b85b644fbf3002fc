"""What happens while a call is under way: progress reaches the client, and it can give up."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from tests.e2e.mesh import Mesh
from tests.e2e.test_clients import MODES, Mode
from tests.e2e.wire import call_request

pytestmark = pytest.mark.e2e
WAITING = ["wait_for_ever", "wait_for_ever_in_chunks"]


async def appears(path: Path) -> None:
    for _ in range(1000):
        if await asyncio.to_thread(path.exists):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path.name} did not appear")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("tool", "chunks", "messages"),
    [
        ("count", [1, 2, 3, 4, 5], ["1", "2", "3", "4", "5"]),
        ("count_in_a_thread", ["number 1", "number 2"], ["number 1", "number 2"]),
        ("count", [], []),
    ],
)
async def test_each_chunk_of_a_generator_is_progress(
    probe_mesh: Mesh, mode: Mode, tool: str, chunks: list[Any], messages: list[str]
) -> None:
    received: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        received.append((progress, message))

    async with Client(probe_mesh.mcp("probe"), mode=mode) as client:
        answer = await client.call_tool(tool, {"to": len(chunks)}, progress_handler=on_progress)

    assert answer.structured_content == {"result": chunks}
    assert received == list(enumerate(messages, start=1))


async def cancel_when_started(client: Client[Any], tool: str, folder: Path) -> None:
    call = asyncio.ensure_future(client.call_tool(tool, {"folder": str(folder)}))
    await appears(folder / "started")
    assert not (folder / "cancelled").exists()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("mode", ["auto", "2026-07-28"])
@pytest.mark.parametrize("tool", WAITING)
async def test_a_cancelled_call_stops_the_callable(
    probe_mesh: Mesh, mode: Mode, tool: str, tmp_path: Path
) -> None:
    async with Client(probe_mesh.mcp("probe"), mode=mode) as client:
        await cancel_when_started(client, tool, tmp_path)
        await appears(tmp_path / "cancelled")
        assert (await client.call_tool("add", {"a": 1, "b": 1})).data == 2


@pytest.mark.parametrize("tool", WAITING)
async def test_a_legacy_client_that_leaves_stops_the_callable(
    probe_mesh: Mesh, tool: str, tmp_path: Path
) -> None:
    """Its `notifications/cancelled` cannot do so: without sessions, it names no request."""
    async with Client(probe_mesh.mcp("probe"), mode="legacy") as client:
        await cancel_when_started(client, tool, tmp_path)
        assert (await client.call_tool("add", {"a": 1, "b": 1})).data == 2
    await appears(tmp_path / "cancelled")


@pytest.mark.parametrize("tool", WAITING)
async def test_a_closed_connection_stops_the_callable(
    probe_mesh: Mesh, tool: str, tmp_path: Path
) -> None:
    headers, body = call_request("modern", tool, {"folder": str(tmp_path)})
    async with httpx2.AsyncClient() as client:
        call = asyncio.ensure_future(
            client.post(probe_mesh.mcp("probe"), headers=headers, json=body)
        )
        await appears(tmp_path / "started")
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    await appears(tmp_path / "cancelled")
