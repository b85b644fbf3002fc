"""MCP Mesh's own agents, unmodified, in our registry: they register, are wired, and call."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.registries import RegistryProcess, running_registry
from tests.tools import mcp_mesh

# The first run installs MCP Mesh.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
WIRED_SECONDS = 40.0

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
HOST = """\
import mesh
from fastmcp import FastMCP
from mesh.types import McpMeshTool

app = FastMCP("host")


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


@contextlib.contextmanager
def running_agent(source: str, folder: Path, registry: str) -> Generator[None]:
    """Run an agent of MCP Mesh; at the end ask it to stop, and insist after a while."""
    folder.mkdir()
    (folder / "agent.py").write_text(source)
    environment = {
        **os.environ,
        "MCP_MESH_REGISTRY_URL": registry,
        "MCP_MESH_HTTP_HOST": "127.0.0.1",
    }
    with (folder / "log.txt").open("wb") as output:
        process = subprocess.Popen(
            [str(mcp_mesh.installed()), "agent.py"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def agent(registry: RegistryProcess, capability: str) -> dict[str, Any] | None:
    """Return the healthy agent that offers a capability, if there is one."""
    found = registry.get(f"/agents?status=healthy&capabilities={capability}")["agents"]
    return found[0] if found else None


def welcome(registry: RegistryProcess) -> str:
    """Call the consumer's tool and return its text, or an empty one while nobody offers it."""
    offering = agent(registry, "welcome")
    if offering is None:
        return ""
    call = {"name": "welcome", "arguments": {"name": "Ada"}}
    answer = httpx2.post(
        f"{offering['endpoint']}/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
        headers={"accept": "application/json, text/event-stream"},
        timeout=20,
    )
    return answer.text


def until_welcome_says(registry: RegistryProcess, words: str) -> None:
    deadline = time.monotonic() + WIRED_SECONDS
    heard = ""
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.HTTPError):
            heard = welcome(registry)
        if words in heard:
            return
        time.sleep(0.5)
    raise AssertionError(f"never heard {words!r}, but {heard!r}")


def test_agents_of_mcp_mesh_are_wired_called_and_unwired(tmp_path: Path) -> None:
    mcp_mesh.installed()
    with (
        running_registry(tmp_path, "--store", "memory") as registry,
        running_agent(HOST, tmp_path / "host", registry.url),
    ):
        until_welcome_says(registry, "nobody greets")
        with running_agent(GREETER, tmp_path / "greeter", registry.url):
            until_welcome_says(registry, "Good day, Ada, and welcome")
            greeter = agent(registry, "greeting")
            assert greeter is not None
            consumer = agent(registry, "welcome")
            assert consumer is not None
            [resolution] = consumer["dependency_resolutions"]
            assert resolution == {
                "function_name": "welcome",
                "capability": "greeting",
                "tags": ["polite"],
                "mcp_tool": "greet",
                "provider_agent_id": greeter["id"],
                "endpoint": greeter["endpoint"],
                "status": "available",
            }
        until_welcome_says(registry, "nobody greets")
        [left] = registry.get("/events?type=unregister")["events"]
        assert left["agent_id"] == greeter["id"]
