"""One agent in the foreground, with and without a registry."""

import asyncio
import os
import signal
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from meshd.clock import SystemClock
from meshd.daemon.foreground import run_agent
from meshd.daemon.options import RunOptions
from meshd.daemon.ports import Port
from meshd.daemon.registry import serving_registry
from meshd.daemon.source import Source
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec, SecretSpec, ToolSpec
from meshd.errors import DaemonError, InvalidInput
from meshd.registry.stores.memory import MemoryStore
from meshd.runtime.client import McpClient
from tests.daemon import meshes

pytestmark = pytest.mark.timeout(20)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sample_of_daemon", raising=False)
    with meshes.same_process_afterwards():
        yield


class Foreground:
    """An agent that runs, until it is told to end."""

    def __init__(self, folder: Path, *agents: AgentSpec, **more: Any) -> None:
        meshes.write_source(folder)
        environment = {**meshes.this_environment(), "HIDDEN": "xyzzy", "OTHER": "hush"}
        self._source = cast(
            "Source", meshes.FakeSource(meshes.mesh_of(folder, *agents), environment)
        )
        self._options = RunOptions(grace_seconds=1, node="here", **more)
        self.ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def run(self, name: str) -> int | None:
        return await run_agent(self._source, name, self._options, self._told, SystemClock())

    def _told(self, views: Sequence[dict[str, Any]], warnings: tuple[Diagnostic, ...]) -> None:
        assert warnings == ()
        [view] = views
        self.ready.set_result(view)

    async def call(self, tool: str, **arguments: Any) -> Any:
        async with McpClient() as client:
            return await client.call((await self.ready)["endpoint"], tool, arguments)


VAULT = AgentSpec(
    name="vault",
    env={"TOKEN": SecretSpec(env="HIDDEN")},
    tools=(ToolSpec(callable="sample_of_daemon:variable", name="variable"),),
)
OTHER = AgentSpec(name="other", namespace="lab", env={"TOKEN": SecretSpec(env="OTHER")})


async def test_an_agent_serves_alone_without_a_registry(tmp_path: Path) -> None:
    one = Foreground(tmp_path, VAULT, OTHER)

    async def visit() -> list[Any]:
        seen = [await one.call("variable", name=name) for name in ("TOKEN", "HIDDEN", "OTHER")]
        os.kill(os.getpid(), signal.SIGTERM)
        return seen

    number, seen = await asyncio.gather(one.run("default/vault"), visit())
    assert (number, seen) == (signal.SIGTERM, ["xyzzy", None, None])
    view = await one.ready
    assert (view["id"], view["status"]) == ("vault-here-1", "ready")


async def test_an_agent_joins_the_registry_and_leaves_it(tmp_path: Path) -> None:
    port = Port("127.0.0.1", 0)
    port.open()
    url = port.endpoint.url
    one = Foreground(tmp_path, meshes.weather(), registry_url=url)
    listed: list[list[str]] = []

    async def agents() -> list[str]:
        async with httpx2.AsyncClient() as http:
            found = (await http.get(f"{url}/agents?status=healthy")).json()["agents"]
        return [agent["id"] for agent in found]

    async def visit() -> None:
        await one.ready
        async with asyncio.timeout(5):
            while not (found := await agents()):
                await SystemClock().sleep(0.02)
        listed.append(found)
        os.kill(os.getpid(), signal.SIGINT)

    async with serving_registry(
        MemoryStore(), port.duplicate(), "127.0.0.1", SystemClock(), any_host=False
    ):
        number, _ = await asyncio.gather(one.run("weather"), visit())
        listed.append(await agents())
    port.close()
    assert (number, listed) == (signal.SIGINT, [["weather-here-1"], []])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("valt", "did you mean `vault`?"),
        ("xyz", "there are: vault, lab/other"),
        ("other", "did you mean `lab/other`?"),
    ],
)
async def test_an_agent_that_is_not_described(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(DaemonError, match=f"no manifest describes an agent `{name}`") as caught:
        await Foreground(tmp_path, VAULT, OTHER).run(name)
    assert caught.value.hint == hint


async def test_code_that_is_not_in_order(tmp_path: Path) -> None:
    agent = AgentSpec(name="a", tools=(ToolSpec(callable="sample_of_daemon:none", name="none"),))
    with pytest.raises(InvalidInput) as caught:
        await Foreground(tmp_path, agent).run("a")
    assert [one.code for one in caught.value.diagnostics] == ["M223"]


async def test_a_lifespan_that_raises(tmp_path: Path) -> None:
    agent = AgentSpec(name="a", lifespan="sample_of_daemon:broken")
    with pytest.raises(InvalidInput, match="lifespan of agent `a` raised"):
        await Foreground(tmp_path, agent).run("a")
