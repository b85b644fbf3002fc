"""MCP Mesh's own agents, unmodified, as real processes; and their tools called over HTTP."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2

from tests.tools import mcp_mesh

STOP_SECONDS = 10.0


@contextlib.contextmanager
def running_agent(source: str, folder: Path, registry: str) -> Generator[subprocess.Popen[bytes]]:
    """Run an agent of MCP Mesh; at the end ask it to stop, and insist after a while."""
    folder.mkdir(exist_ok=True)
    (folder / "agent.py").write_text(source)
    environment = {
        **os.environ,
        "MCP_MESH_REGISTRY_URL": registry,
        "MCP_MESH_HTTP_HOST": "127.0.0.1",
    }
    with (folder / "log.txt").open("ab") as output:
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
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def healthy(registry: str, capability: str = "") -> dict[str, dict[str, Any]]:
    """Return the healthy agents of a registry, by id; with a capability, those that offer it."""
    query = {"status": "healthy"} | ({"capabilities": capability} if capability else {})
    answer = httpx2.get(f"{registry}/agents", params=query).raise_for_status().json()
    return {agent["id"]: agent for agent in answer["agents"] or ()}


def text_of(registry: str, capability: str, tool: str, **arguments: Any) -> str:
    """Call a tool of whoever offers a capability; return its text, empty while nobody does."""
    for offering in healthy(registry, capability).values():
        answer = httpx2.post(
            f"{offering['endpoint']}/mcp",
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": tool, "arguments": arguments},
            },
            headers={"accept": "application/json, text/event-stream"},
            timeout=20,
        )
        return _first_text(answer.text)
    return ""


def _first_text(answer: str) -> str:
    """Return the first text of a result, which may come as an event."""
    data = [line.partition("data:")[2] for line in answer.splitlines() if line.startswith("data:")]
    result = json.loads(data[-1] if data else answer).get("result", {})
    return next((block["text"] for block in result.get("content", ()) if "text" in block), "")
