"""MCP Mesh's own agents, unmodified, among themselves and with ours, in either registry."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.e2e.foreground import running_foreground
from tests.e2e.mcp_mesh_agents import healthy, running_agent, text_of
from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.project import call, instance, until
from tests.e2e.registries import running_go_registry, running_registry
from tests.tools import go_registry, mcp_mesh

# The first run installs MCP Mesh.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
WIRED_SECONDS = 40.0
NODE = "here"

BOTH = """\
import mesh
from fastmcp import FastMCP
from mesh.types import McpMeshTool

app = FastMCP("host")


@app.tool()
@mesh.tool(capability="shout", tags=["loud"], version="1.2.0")
def shout(text: str) -> str:
    return text.upper()


@app.tool()
@mesh.tool(capability="welcome", dependencies=[{"capability": "greeting", "tags": ["polite"]}])
async def welcome(name: str, greeting: McpMeshTool = None) -> str:
    if greeting is None:
        return "nobody greets"
    return f"{await greeting(name=name)}, and welcome"


@mesh.agent(name="host", http_port=0, auto_run=True)
class Host:
    pass
"""
GREETER = """\
import mesh
from fastmcp import FastMCP

app = FastMCP("greeter")


@app.tool()
@mesh.tool(capability="greeting", tags=["polite"], version="1.2.0")
def greet(name: str) -> str:
    return f"Good day, {name}"


@mesh.agent(name="greeter", http_port=0, auto_run=True)
class Greeter:
    pass
"""
OURS = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: greeter}
spec:
  python: {path: src}
  heartbeat: {interval: 1s}
  tools:
    - callable: greeting:greet
      capability: greeting
      version: 1.2.0
      tags: [polite]
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: crier}
spec:
  python: {path: src}
  heartbeat: {interval: 1s}
  tools:
    - callable: crying:cry
      capability: cry
      needs: {shout: {capability: shout, version: ">=1.2,<2", tags: [loud]}}
"""
ALONE = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: herald}
spec:
  python: {path: src}
  heartbeat: {interval: 1s}
  tools:
    - callable: crying:cry
      capability: herald
      needs: {shout: {capability: shout}}
"""
GREETING_MODULE = """\
def greet(name: str) -> str:
    return f"Good day, {name}"
"""
CRYING_MODULE = """\
async def cry(text: str, shout=None) -> str:
    return "silence" if shout is None else await shout(text=text)
"""


@dataclass(slots=True)
class Place:
    """A registry with our mesh and one agent of MCP Mesh in it."""

    registry: str
    mesh: Mesh
    project: Path
    node: str
    """What stands before the number in the ids of our instances."""
    agents: contextlib.ExitStack
    host: subprocess.Popen[bytes]

    def ours(self, agent: str) -> str:
        """Return the id of our instance."""
        return "-".join(filter(None, (agent, self.node, "1")))

    def welcome(self) -> str:
        """Let their agent call ours."""
        try:
            return text_of(self.registry, "welcome", "welcome", name="Ada")
        except httpx2.HTTPError:
            return ""

    def cry(self) -> str:
        """Let our agent call theirs; return what it says, or its error."""
        try:
            return call(instance(self.mesh, self.ours("crier"))["endpoint"], "cry", text="land")
        except AssertionError as error:
            return str(error)

    def start_host(self) -> None:
        self.host = self.agents.enter_context(
            running_agent(BOTH, self.project / "host", self.registry)
        )

    def until_wired(self, greeting: str = "Good day") -> None:
        said: list[str] = []

        def both() -> bool:
            said[:] = [self.welcome(), self.cry()]
            return said == [f"{greeting}, Ada, and welcome", "LAND"]

        with contextlib.suppress(AssertionError):
            until(both, WIRED_SECONDS)
        assert said == [f"{greeting}, Ada, and welcome", "LAND"], self.mesh.output


def project(folder: Path) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "meshd.toml").touch()
    (folder / "ours.yaml").write_text(OURS)
    (folder / "alone").mkdir()
    (folder / "alone" / "herald.yaml").write_text(ALONE.replace("path: src", "path: ../src"))
    (folder / "src" / "greeting.py").write_text(GREETING_MODULE)
    (folder / "src" / "crying.py").write_text(CRYING_MODULE)
    return folder


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Generator[Place]:
    """Run a mesh of ours with its own registry, or in the one of MCP Mesh, and an agent of theirs.

    At the end ours has left the registry.
    """
    ours = project(folder / "project")
    environment = {"MCP_MESH_DEBOUNCE_DELAY": "0.2"}
    options: tuple[str, ...] = ("--allow-unresolved",)
    with contextlib.ExitStack() as stack:
        joined = ""
        if kind == "theirs":
            joined = stack.enter_context(running_go_registry(folder)).url
            environment |= {"MCP_MESH_REGISTRY_URL": joined, "MESHD_NODE": NODE}
            options = ()
        mesh = stack.enter_context(
            running_mesh(
                ours / "ours.yaml", folder=folder, options=options, environment=environment
            )
        )
        agents = stack.enter_context(contextlib.ExitStack())
        registry = joined or mesh.view()["registry"]["url"]
        host = agents.enter_context(running_agent(BOTH, ours / "host", registry))
        yield Place(registry, mesh, ours, NODE if joined else "", agents, host)


IN_BOTH = [
    "ours",
    pytest.param(
        "theirs",
        marks=pytest.mark.skipif(
            not go_registry.IS_MADE_FOR_THIS_MACHINE, reason="it is made for Linux on x86-64"
        ),
    ),
]


@pytest.fixture(scope="module", params=IN_BOTH)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    mcp_mesh.installed()
    with place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def test_each_is_wired_to_the_other_and_calls_it(shared: Place) -> None:
    shared.until_wired()
    listed = healthy(shared.registry)
    [provider] = healthy(shared.registry, "shout").values()
    assert {shared.ours("greeter"), shared.ours("crier"), provider["id"]} == set(listed)
    [resolution] = provider["dependency_resolutions"]
    assert resolution == {
        "function_name": "welcome",
        "capability": "greeting",
        "tags": ["polite"],
        "mcp_tool": "greet",
        "provider_agent_id": shared.ours("greeter"),
        "endpoint": instance(shared.mesh, shared.ours("greeter"))["endpoint"],
        "status": "available",
    }
    [need] = [need for agent in shared.mesh.view()["agents"] for need in agent["needs"]]
    assert (need["status"], need["providers"]) == (
        "resolved",
        [
            {
                "agent": "host",
                "instance": provider["id"],
                "endpoint": provider["endpoint"],
                "tool": "shout",
            }
        ],
    )


def test_ours_is_found_after_it_was_killed_and_replaced(shared: Place) -> None:
    shared.until_wired()
    before = instance(shared.mesh, shared.ours("greeter"))
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: instance(shared.mesh, before["id"])["pid"] != before["pid"])
    shared.until_wired()
    again = instance(shared.mesh, before["id"])
    assert again["endpoint"] == before["endpoint"]

    module = shared.project / "src" / "greeting.py"
    module.write_text(GREETING_MODULE.replace("Good day", "Welcome"))
    try:
        until(lambda: instance(shared.mesh, before["id"])["pid"] != again["pid"])
        shared.until_wired("Welcome")
        until(lambda: before["id"] in healthy(shared.registry))
    finally:
        module.write_text(GREETING_MODULE)


def test_theirs_is_lost_when_it_stops_and_found_when_it_starts_again(shared: Place) -> None:
    shared.until_wired()
    shared.agents.close()
    until(lambda: shared.cry() == "silence", WIRED_SECONDS)
    shared.start_host()
    shared.until_wired()


def test_one_agent_in_the_foreground_joins_and_leaves(shared: Place, tmp_path: Path) -> None:
    shared.until_wired()
    manifest = shared.project / "alone" / "herald.yaml"
    joining = {"MCP_MESH_REGISTRY_URL": shared.registry, "MESHD_NODE": "there"}
    with running_foreground("herald", manifest, folder=tmp_path, environment=joining) as herald:
        until(lambda: call(herald.endpoint, "cry", text="land") == "LAND", WIRED_SECONDS)
        assert healthy(shared.registry, "herald")["herald-there-1"]["endpoint"] == herald.endpoint
        herald.process.send_signal(signal.SIGTERM)
        assert herald.process.wait(10) == 0, herald.output
    assert healthy(shared.registry, "herald") == {}


@pytest.mark.skipif(
    not go_registry.IS_MADE_FOR_THIS_MACHINE, reason="it is made for Linux on x86-64"
)
def test_a_mesh_that_stops_leaves_their_registry(tmp_path: Path) -> None:
    with running_go_registry(tmp_path) as registry:
        ours = project(tmp_path / "project")
        joining = {"MCP_MESH_REGISTRY_URL": registry.url, "MESHD_NODE": NODE}
        with running_mesh(ours / "ours.yaml", folder=tmp_path, environment=joining):
            until(lambda: set(healthy(registry.url)) == {"crier-here-1", "greeter-here-1"})
        assert healthy(registry.url) == {}


def test_agents_of_mcp_mesh_are_wired_called_and_unwired(tmp_path: Path) -> None:
    mcp_mesh.installed()
    with (
        running_registry(tmp_path, "--store", "memory") as registry,
        running_agent(BOTH, tmp_path / "host", registry.url),
    ):

        def says(words: str) -> bool:
            with contextlib.suppress(httpx2.HTTPError):
                return text_of(registry.url, "welcome", "welcome", name="Ada") == words
            return False

        until(lambda: says("nobody greets"), WIRED_SECONDS)
        with running_agent(GREETER, tmp_path / "greeter", registry.url):
            until(lambda: says("Good day, Ada, and welcome"), WIRED_SECONDS)
            [greeter] = healthy(registry.url, "greeting")
        until(lambda: says("nobody greets"), WIRED_SECONDS)
        [left] = registry.get("/events?type=unregister")["events"]
        assert left["agent_id"] == greeter
