"""What benchmarks of registries share: servers on one core, the load on the other, and agents.

Run as a script it does nothing.
"""

import contextlib
import os
import socket
from collections.abc import Coroutine, Generator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from tests.benchmarks.measured import cpu_seconds
from tests.benchmarks.raw_load import Load, request
from tests.e2e.registries import RegistryProcess, running_go_registry, running_registry

SERVER_CORE = 0
LOAD_CORE = 1
_TOOL = {
    "version": "1.2.0",
    "description": "Tell what the weather will be like at a place.",
    "tags": ["weather", "offline"],
    "inputSchema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 3}},
        "required": ["city"],
    },
    "kwargs": {"timeout": 20, "retry_count": 2},
}


def measured(process: int, work: Coroutine[Any, Any, Load]) -> Load:
    """Do the work, and note what the server's process used for it."""
    before = cpu_seconds([process])
    load = uvloop.run(work)
    load.cpu_seconds = cpu_seconds([process]) - before
    return load


@contextlib.contextmanager
def on_server_core() -> Generator[None]:
    """Start what is started in the block on the servers' core; afterwards this is on the load's."""
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})


@contextlib.contextmanager
def ours(folder: Path) -> Generator[RegistryProcess]:
    """Run our registry on its SQLite."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        with on_server_core():
            store = f"sqlite:///{folder / 'registry.sqlite'}"
            registry = stack.enter_context(running_registry(folder, "--store", store))
        yield registry


@contextlib.contextmanager
def theirs(folder: Path) -> Generator[RegistryProcess]:
    """Run MCP Mesh's registry on its SQLite; it gives nobody up meanwhile."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        with on_server_core():
            registry = stack.enter_context(running_go_registry(folder, timeout_seconds=3600))
        yield registry


def registration(number: int, tools: int = 10) -> bytes:
    """Return an agent's body; each of its capabilities is offered by ten agents."""
    group = number // 10
    listed = [
        {"function_name": f"tool_{index}", "capability": f"weather.n{group}.t{index}", **_TOOL}
        for index in range(tools)
    ]
    body = {
        "agent_id": f"agent-{number}",
        "name": f"agent-{number}",
        "agent_type": "mcp_agent",
        "http_host": "127.0.0.1",
        "http_port": 9000 + number,
        "namespace": "default",
        "status": "healthy",
        "runtime": "python",
        "tools": listed,
    }
    return orjson.dumps(body)


def posts(agents: int, tools: int = 10) -> list[bytes]:
    """Return the full heartbeats of agents."""
    return [request("POST", "/heartbeat", registration(each, tools)) for each in range(agents)]


def heads(agents: int) -> list[bytes]:
    """Return the quick heartbeats of agents."""
    return [request("HEAD", f"/heartbeat/agent-{each}") for each in range(agents)]


async def _bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with as little as can be: nothing, or to what has a body a fixed envelope."""
    if scope["method"] == "HEAD":
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})
        return
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    answer = orjson.dumps({"status": "success", "agent_id": orjson.loads(body)["agent_id"]})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _serve_bare(listener: socket.socket) -> None:
    config = uvicorn.Config(
        _bare,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    uvloop.run(uvicorn.Server(config).serve([listener]))


@contextlib.contextmanager
def bare_echo() -> Generator[tuple[int, int]]:
    """Serve it while the block runs; yield its port and its process."""
    # Named as TCP, or each answer waits for a delayed acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        with on_server_core():
            server = get_context("fork").Process(target=_serve_bare, args=(listener,))
            server.start()
        try:
            yield int(listener.getsockname()[1]), int(server.pid or 0)
        finally:
            server.kill()
            server.join()
