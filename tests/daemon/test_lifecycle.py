import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from meshd.daemon.client import AdminClient
from meshd.daemon.lifecycle import RunningMesh
from meshd.domain.spec import (
    AgentSpec,
    ObjectSpec,
    PromptSpec,
    ResourceSpec,
    ToolSpec,
)
from meshd.errors import CallError, InvalidInput, NotReachable, ToolFailed, Unavailable
from meshd.runtime.client import call_tool
from tests.daemon import meshes

pytestmark = pytest.mark.timeout(20)


@pytest.fixture(autouse=True)
def _forget_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test imports the sample from a folder of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sample_of_daemon", raising=False)


@asynccontextmanager
async def running(
    folder: Path, *agents: AgentSpec, allow_unresolved: bool = False
) -> AsyncGenerator[RunningMesh, None]:
    meshes.write_source(folder)
    agents = tuple(replace_roots(agent, folder) for agent in agents)
    mesh = meshes.prepared(folder, *agents, allow_unresolved=allow_unresolved)
    ready: asyncio.Future[RunningMesh] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(meshes.serve(folder, mesh, ready.set_result))
    await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    started = await ready
    try:
        yield started
    finally:
        started.stop()
        await serving


def replace_roots(agent: AgentSpec, folder: Path) -> AgentSpec:
    return replace(agent, roots=(str(folder),))


async def call(mesh: RunningMesh, agent: str, tool: str, **arguments: Any) -> Any:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await call_tool(http, mesh.agents[agent].endpoint, tool, arguments)


async def test_agents_answer_and_call_each_other(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        assert await call(mesh, "weather", "forecast", city="Oslo") == "sun in Oslo"
        assert await call(mesh, "planner", "plan", city="Oslo") == ["sun in Oslo", None]
        assert await call(mesh, "planner", "sync_plan", city="Rome") == "sun in Rome"


async def test_errors_of_tools_reach_the_client(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        with pytest.raises(ToolFailed, match=r"^LookupError: no such city$"):
            await call(mesh, "weather", "forecast", city="Nowhere")
        with pytest.raises(ToolFailed, match=r"`weather.forecast` failed: LookupError"):
            await call(mesh, "planner", "plan", city="Nowhere")
        with pytest.raises(ToolFailed, match=r"`town` is not a parameter"):
            await call(mesh, "weather", "forecast", town="Oslo")
        with pytest.raises(CallError, match="forecats"):
            await call(mesh, "weather", "forecats", city="Oslo")


async def test_chunks_come_as_progress_before_the_result(tmp_path: Path) -> None:
    seen: list[str] = []
    async with running(tmp_path, meshes.weather()) as mesh, httpx2.AsyncClient() as http:
        endpoint = mesh.agents["weather"].endpoint
        result = await call_tool(http, endpoint, "count", {"to": 3}, seen.append)
    assert (result, seen) == ([0, 1, 2], ["0", "1", "2"])


async def test_a_required_need_without_provider_is_answered_with_the_reason(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, meshes.planner(), allow_unresolved=True) as mesh:
        with pytest.raises(ToolFailed, match=r"needs `weather.forecast`, which nothing provides"):
            await call(mesh, "planner", "plan", city="Oslo")


async def test_a_required_need_without_provider_keeps_the_mesh_from_starting(
    tmp_path: Path,
) -> None:
    with pytest.raises(InvalidInput) as caught:
        async with running(tmp_path, meshes.planner()):
            pytest.fail("it started")
    assert {d.code for d in caught.value.diagnostics if d.severity == "error"} == {"M301"}


async def test_the_admin_api_shows_the_mesh_and_stops_it(tmp_path: Path) -> None:
    admin = AdminClient(tmp_path / "state")
    with pytest.raises(NotReachable, match="no daemon runs"):
        admin.mesh()
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        assert await asyncio.to_thread(admin.mesh) == mesh.view()
        tool = await asyncio.to_thread(admin.tool, "weather", "count")
        assert tool is not None
        assert tool["inputSchema"]["properties"] == {"to": {"type": "integer"}}
        assert await asyncio.to_thread(admin.tool, "weather", "gone") is None
        assert (tmp_path / "state" / "admin.sock").stat().st_mode & 0o777 == 0o600
        assert await asyncio.to_thread(admin.stop) == os.getpid()
        await asyncio.wait_for(mesh.stopping.wait(), 5)


async def test_the_view_has_the_documented_shape(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        view = mesh.view()
        endpoints = {key: agent.endpoint for key, agent in mesh.agents.items()}
    forecast = {
        "agent": "weather",
        "instance": "weather-1",
        "endpoint": endpoints["weather"],
        "tool": "forecast",
    }
    assert view == {
        "agents": [
            {
                "name": "planner",
                "namespace": "default",
                "version": "1.0.0",
                "status": "ready",
                "instances": [
                    {
                        "id": "planner-1",
                        "pid": os.getpid(),
                        "endpoint": endpoints["planner"],
                        "status": "ready",
                    }
                ],
                "tools": [
                    {"name": "plan", "capability": None, "version": "1.0.0", "tags": []},
                    {"name": "sync_plan", "capability": None, "version": "1.0.0", "tags": []},
                ],
                "needs": [
                    {
                        "tool": "plan",
                        "parameter": "tickets",
                        "capability": "tickets",
                        "status": "unresolved",
                        "providers": [],
                    },
                    {
                        "tool": "plan",
                        "parameter": "weather",
                        "capability": "weather.forecast",
                        "status": "resolved",
                        "providers": [forecast],
                    },
                    {
                        "tool": "sync_plan",
                        "parameter": "weather",
                        "capability": "weather.forecast",
                        "status": "resolved",
                        "providers": [forecast],
                    },
                ],
            },
            {
                "name": "weather",
                "namespace": "default",
                "version": "1.2.0",
                "status": "ready",
                "instances": [
                    {
                        "id": "weather-1",
                        "pid": os.getpid(),
                        "endpoint": endpoints["weather"],
                        "status": "ready",
                    }
                ],
                "tools": [
                    {
                        "name": "forecast",
                        "capability": "weather.forecast",
                        "version": "1.0.0",
                        "tags": ["fast"],
                    },
                    {"name": "count", "capability": None, "version": "1.0.0", "tags": []},
                ],
                "needs": [],
            },
        ],
        "registry": {"url": "", "status": "none"},
    }


async def test_probes_answer_for_the_agent(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.weather()) as mesh, httpx2.AsyncClient() as http:
        endpoint = mesh.agents["weather"].endpoint
        bodies = {
            path: (await http.get(f"{endpoint}/{path}")).json()
            for path in ("health", "ready", "livez", "startupz", "metadata")
        }
        mesh.agents["weather"].serving.ready = False
        not_ready = await http.get(f"{endpoint}/ready")
        mesh.agents["weather"].serving.ready = True
    assert all(body.pop("timestamp") for body in bodies.values())
    assert bodies["health"] == {"status": "healthy", "agent": "weather"}
    assert bodies["ready"] == {
        "ready": True,
        "agent": "weather",
        "runtime": "up",
        "mcp_wrappers": 2,
    }
    assert bodies["livez"] == {"alive": True, "agent": "weather"}
    assert bodies["startupz"] == {"started": True, "agent": "weather"}
    assert bodies["metadata"]["capabilities"] == {
        "weather.forecast": {
            "function_name": "forecast",
            "version": "1.0.0",
            "tags": ["fast"],
            "dependencies": [],
        }
    }
    assert (not_ready.status_code, not_ready.json()["ready"]) == (503, False)


async def test_resources_prompts_objects_and_lifespan(tmp_path: Path) -> None:
    shop = AgentSpec(
        name="shop",
        lifespan="sample_of_daemon:shop",
        objects=(
            ObjectSpec(
                name="cart", class_reference="sample_of_daemon:Cart", arguments={"limit": 3}
            ),
        ),
        tools=(ToolSpec(callable="cart.add", name="add"),),
        resources=(
            ResourceSpec(uri="shop://cities", callable="sample_of_daemon:cities", name="cities"),
            ResourceSpec(uri="shop://city/{name}", callable="sample_of_daemon:city", name="city"),
            ResourceSpec(
                uri="shop://picture",
                callable="sample_of_daemon:picture",
                name="picture",
                mime_type="image/png",
            ),
        ),
        prompts=(PromptSpec(name="brief", callable="sample_of_daemon:brief"),),
    )
    async with running(tmp_path, shop) as mesh:
        cart = mesh.agents["shop"].endpoint
        async with Client(f"{cart}/mcp") as client:
            assert (await client.call_tool("add", {"item": "tea"})).data == 1
            assert (await client.call_tool("add", {"item": "rice"})).data == 2
            read = [
                (await client.read_resource(uri))[0].model_dump(exclude={"meta"})
                for uri in ("shop://cities", "shop://city/Oslo", "shop://picture")
            ]
            prompt = await client.get_prompt("brief", {"city": "Oslo", "days": "3"})
    assert read == [
        {"uri": "shop://cities", "mime_type": "text/plain", "text": '["Oslo","Rome"]'},
        {"uri": "shop://city/Oslo", "mime_type": "text/plain", "text": "about Oslo"},
        {"uri": "shop://picture", "mime_type": "image/png", "blob": "iVBORw=="},
    ]
    assert [message.content.model_dump()["text"] for message in prompt.messages] == [
        "plan 3 days in Oslo"
    ]


async def test_a_lifespan_that_raises_keeps_the_mesh_from_starting(tmp_path: Path) -> None:
    agent = AgentSpec(name="broken", lifespan="sample_of_daemon:broken")
    with pytest.raises(InvalidInput, match="lifespan of agent `broken` raised"):
        async with running(tmp_path, agent):
            pytest.fail("it started")


async def test_a_port_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput) as caught:
            async with running(tmp_path, meshes.weather(port=port)):
                pytest.fail("it started")
    assert [(d.code, d.message, d.hint) for d in caught.value.diagnostics] == [
        (
            "M401",
            f"agent `weather` cannot listen on 127.0.0.1:{port}: it is in use",
            "choose another `http.port`, or 0 for any free one",
        )
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_the_mesh(tmp_path: Path, number: signal.Signals) -> None:
    meshes.write_source(tmp_path)
    mesh = meshes.prepared(tmp_path, replace_roots(meshes.weather(), tmp_path))
    kill: Callable[[RunningMesh], None] = lambda _: os.kill(os.getpid(), number)  # noqa: E731
    serving: Coroutine[Any, Any, int | None] = meshes.serve(tmp_path, mesh, kill)
    assert await serving == number


async def test_nothing_answers_at_an_endpoint_that_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.weather()) as mesh:
        endpoint = mesh.agents["weather"].endpoint
    async with httpx2.AsyncClient() as http:
        with pytest.raises(Unavailable, match="nothing answers at"):
            await call_tool(http, endpoint, "forecast", {"city": "Oslo"})
