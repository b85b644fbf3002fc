"""A whole mesh in this process, from the manifests' spec to the last answer."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from meshd.daemon.client import AdminClient
from meshd.daemon.in_process import run_in_process
from meshd.daemon.options import RunOptions
from meshd.diagnostics.model import Diagnostic, Severity
from meshd.domain.spec import (
    AgentSpec,
    ObjectSpec,
    PromptSpec,
    ResourceSpec,
    SecretSpec,
    ToolSpec,
)
from meshd.errors import (
    ArgumentsRejected,
    CallError,
    DaemonError,
    InvalidInput,
    NotReachable,
    ToolFailed,
    Unavailable,
)
from meshd.runtime.client import McpClient
from tests.daemon import meshes
from tests.daemon.meshes import Running

pytestmark = pytest.mark.timeout(20)


@pytest.fixture(autouse=True)
def _forget_the_sample(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """Each test imports the sample from a folder of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sample_of_daemon", raising=False)
    with meshes.same_process_afterwards():
        yield


@asynccontextmanager
async def running(folder: Path, *agents: AgentSpec, **more: Any) -> AsyncGenerator[Running, None]:
    meshes.write_source(folder)
    source = meshes.FakeSource(meshes.mesh_of(folder, *agents), meshes.this_environment())
    options = RunOptions(grace_seconds=1, registry_port=0, **more)
    async with meshes.running(run_in_process, source, folder, options) as mesh:
        yield mesh


async def test_agents_answer_and_call_each_other(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        assert await mesh.call("weather-1", "forecast", city="Oslo") == "sun in Oslo"
        assert await mesh.call("planner-1", "plan", city="Oslo") == ["sun in Oslo", None]
        assert await mesh.call("planner-1", "sync_plan", city="Rome") == "sun in Rome"


async def test_errors_of_tools_reach_the_client(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        with pytest.raises(ToolFailed, match=r"^LookupError: no such city$"):
            await mesh.call("weather-1", "forecast", city="Nowhere")
        with pytest.raises(ToolFailed, match=r"`weather.forecast` failed: LookupError"):
            await mesh.call("planner-1", "plan", city="Nowhere")
        with pytest.raises(ArgumentsRejected, match=r"`town` is not a parameter"):
            await mesh.call("weather-1", "forecast", town="Oslo")
        with pytest.raises(CallError, match="forecats"):
            await mesh.call("weather-1", "forecats", city="Oslo")


async def test_chunks_come_as_progress_before_the_result(tmp_path: Path) -> None:
    seen: list[str] = []
    async with running(tmp_path, meshes.weather()) as mesh:
        endpoint = mesh.instance("weather-1")["endpoint"]
        result = await mesh.client.call(endpoint, "count", {"to": 3}, on_progress=seen.append)
    assert (result, seen) == ([0, 1, 2], ["0", "1", "2"])


async def test_a_required_need_without_provider_is_answered_with_the_reason(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, meshes.planner(), allow_unresolved=True) as mesh:
        with pytest.raises(
            Unavailable, match=r"needs `weather.forecast`, which nothing in the mesh provides"
        ):
            await mesh.call("planner-1", "plan", city="Oslo")


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
        assert await asyncio.to_thread(admin.mesh) == mesh.daemon.view()
        assert await asyncio.to_thread(admin.status) == mesh.daemon.status()
        tool = await asyncio.to_thread(admin.tool, "weather", "count")
        assert tool is not None
        assert tool["inputSchema"]["properties"] == {"to": {"type": "integer"}}
        assert await asyncio.to_thread(admin.tool, "weather", "gone") is None
        assert (tmp_path / "state" / "admin.sock").stat().st_mode & 0o777 == 0o600
        assert await asyncio.to_thread(admin.stop) == os.getpid()
        assert await asyncio.wait_for(asyncio.shield(mesh.ended), 5) is None


async def test_the_view_has_the_documented_shape(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.planner(), meshes.weather()) as mesh:
        view = mesh.daemon.view()
        url = view["registry"]["url"]
        endpoints = {one["id"][:-2]: one["endpoint"] for one in mesh.instances()}
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
        "registry": {"url": url, "status": "ready"},
    }


async def test_probes_answer_for_the_agent(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.weather()) as mesh, httpx2.AsyncClient() as http:
        endpoint = mesh.instance("weather-1")["endpoint"]
        bodies = {
            path: (await http.get(f"{endpoint}/{path}")).json()
            for path in ("health", "ready", "livez", "startupz", "metadata")
        }
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
        cart = mesh.instance("shop-1")["endpoint"]
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
    async with running(tmp_path, meshes.weather()) as mesh:
        os.kill(os.getpid(), number)
        assert await mesh.ended == number


async def test_nothing_answers_at_an_endpoint_that_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path, meshes.weather()) as mesh:
        endpoint = mesh.instance("weather-1")["endpoint"]
    async with McpClient() as client:
        with pytest.raises(Unavailable, match="nothing answers at"):
            await client.call(endpoint, "forecast", {"city": "Oslo"})


async def test_a_mesh_in_one_process_is_neither_reloaded_nor_restarted(tmp_path: Path) -> None:
    admin = AdminClient(tmp_path / "state")
    async with running(tmp_path, meshes.weather()):
        with pytest.raises(DaemonError, match="is not reloaded") as reload:
            await asyncio.to_thread(admin.reload)
        with pytest.raises(DaemonError, match="`weather` has no process of its own") as restart:
            await asyncio.to_thread(admin.restart, "weather")
    assert (reload.value.hint, restart.value.hint) == ("start it again", "start the mesh again")


async def test_replicas_share_a_fixed_port_and_processes_are_one(tmp_path: Path) -> None:
    port = free_port()
    shared = meshes.weather(port=port, replicas=2)
    async with running(tmp_path, shared) as mesh:
        front = await mesh.client.call(f"http://127.0.0.1:{port}", "forecast", {"city": "Oslo"})
        own = [await mesh.call(f"weather-{n}", "forecast", city="Rome") for n in (1, 2)]
        endpoints = {one["endpoint"] for one in mesh.instances()}
        assert set(mesh.pids().values()) == {os.getpid()}
    assert (front, own) == ("sun in Oslo", ["sun in Rome"] * 2)
    assert len(endpoints) == 2
    assert f"http://127.0.0.1:{port}" not in endpoints


async def test_the_environment_is_that_of_all_agents(tmp_path: Path) -> None:
    agent = AgentSpec(
        name="env",
        env={"MODE": "prod", "TOKEN": SecretSpec(env="SECRET_OF_DAEMON")},
        tools=(ToolSpec(callable="sample_of_daemon:variable", name="variable"),),
    )
    meshes.write_source(tmp_path)
    source = meshes.FakeSource(
        meshes.mesh_of(tmp_path, agent), {**meshes.this_environment(), "SECRET_OF_DAEMON": "xyzzy"}
    )
    async with meshes.running(run_in_process, source, tmp_path) as mesh:
        assert await mesh.call("env-1", "variable", name="MODE") == "prod"
        assert await mesh.call("env-1", "variable", name="TOKEN") == "xyzzy"


async def test_agents_that_contradict_each_other_need_processes(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        async with running(
            tmp_path, meshes.weather(env={"MODE": "a"}), meshes.planner(env={"MODE": "b"})
        ):
            pytest.fail("it started")
    assert [(one.code, one.message) for one in caught.value.diagnostics] == [
        ("M406", "agents `weather` and `planner` want different values of `MODE`")
    ]


async def test_manifests_with_errors_start_nothing(tmp_path: Path) -> None:
    wrong = Diagnostic(code="M102", message="something is wrong")
    source = meshes.FakeSource(meshes.mesh_of(tmp_path), diagnostics=(wrong,))
    with pytest.raises(InvalidInput) as caught:
        async with meshes.running(run_in_process, source, tmp_path):
            pytest.fail("it started")
    assert caught.value.diagnostics == (wrong,)


async def test_warnings_are_told_and_do_not_stop_it(tmp_path: Path) -> None:
    odd = Diagnostic(code="M102", message="something is odd", severity=Severity.WARNING)
    source = meshes.FakeSource(
        meshes.mesh_of(tmp_path), environment=meshes.this_environment(), diagnostics=(odd,)
    )
    async with meshes.running(run_in_process, source, tmp_path) as mesh:
        assert mesh.audience.warnings == [odd]
        assert mesh.daemon.view()["agents"] == []


async def test_a_registry_that_is_named_is_joined_and_its_absence_is_told(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with running(tmp_path, meshes.weather(), registry_url=url, node="here") as mesh:
        assert mesh.daemon.view()["registry"] == {"url": url, "status": "external"}
        [one] = mesh.instances()
        assert one["id"] == "weather-here-1"
        assert await mesh.call(one["id"], "forecast", city="Oslo") == "sun in Oslo"
        await mesh.audience.until(lambda: "not registered" not in mesh.instances()[0]["registry"])
        assert "connection attempts failed" in mesh.instances()[0]["registry"]


async def test_the_port_of_the_registry_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        source = meshes.FakeSource(meshes.mesh_of(tmp_path), meshes.this_environment())
        options = RunOptions(registry_port=port)
        with pytest.raises(DaemonError, match=f"cannot listen on 127.0.0.1:{port}: it is in use"):
            async with meshes.running(run_in_process, source, tmp_path, options):
                pytest.fail("it started")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
