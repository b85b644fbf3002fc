"""Large requests and answers, and hundreds of slow clients: what an instance keeps of them."""

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.project import call, instance
from tests.e2e.wire import call_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SLOW = 250
"""Of each kind: who reads its answer slowly, and who sends its request slowly."""
LARGE_BYTES = 30_000_000
"""What may stay after the largest requests and answers, and after the first hundreds of clients."""
GROWTH_BYTES = 3_000_000
"""What may be added by further ones: half of what 500 connections that are kept would take."""
MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: sizes}
spec:
  python: {path: src}
  http: {maxRequest: 16MiB}
  tools:
    - {callable: "sizes:answer"}
    - {callable: "sizes:length"}
    - {callable: "sizes:collect", execution: inline}
"""
MODULE = """\
import ctypes
import gc


async def answer(size: int) -> str:
    return "x" * size


async def length(text: str) -> int:
    return len(text)


def collect() -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
"""


def sizes(folder: Path) -> Path:
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").write_text("")
    (project / "sizes.yaml").write_text(MANIFEST)
    (project / "src" / "sizes.py").write_text(MODULE)
    return project


def resident_bytes(mesh: Mesh) -> int:
    """Return what the instance holds, after it has freed what it can."""
    here = instance(mesh, "sizes-1")
    call(here["endpoint"], "collect")
    text = Path(f"/proc/{here['pid']}/status").read_text()
    [kilobytes] = re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
    return int(kilobytes) * 1024


def request_bytes(endpoint: str, tool: str, arguments: dict[str, Any]) -> bytes:
    """Return a whole request as it is on the wire."""
    address = urlsplit(endpoint)
    headers, body = call_request("modern", tool, arguments)
    content = json.dumps(body).encode()
    lines = {
        "Host": address.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + content


def connected(endpoint: str) -> socket.socket:
    """Return a connection that takes in little at a time."""
    address = urlsplit(endpoint)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((address.hostname, address.port))
    client.setblocking(False)
    return client


async def slow_clients(endpoint: str) -> float:
    """Let slow clients come, make a call beside them, let them go; return the call's seconds."""
    loop = asyncio.get_running_loop()
    asking = request_bytes(endpoint, "answer", {"size": 400_000})
    sending = request_bytes(endpoint, "length", {"text": "x" * 400_000})
    readers = [connected(endpoint) for _ in range(SLOW)]
    senders = [connected(endpoint) for _ in range(SLOW)]
    try:
        for client in readers:
            await loop.sock_sendall(client, asking)
        for begin in range(0, 100_000, 20_000):
            for client in senders:
                await loop.sock_sendall(client, sending[begin : begin + 20_000])
            for client in readers:
                await loop.sock_recv(client, 1000)
        began = loop.time()
        assert await asyncio.to_thread(call, endpoint, "length", text="quick") == 5
        took = loop.time() - began
        # One of each goes on to its end, so that these are slow and not broken.
        await loop.sock_sendall(senders[0], sending[100_000:])
        answer = b""
        while b'"result":400000' not in answer:
            answer += await loop.sock_recv(senders[0], 4096)
        received = 0
        while received < 400_000 - 5000:
            received += len(await loop.sock_recv(readers[0], 100_000))
    finally:
        for client in (*readers, *senders):
            client.close()
    return took


def test_what_is_large_comes_through_up_to_the_limit(tmp_path: Path) -> None:
    with running_mesh(sizes(tmp_path), folder=tmp_path) as mesh:
        endpoint = instance(mesh, "sizes-1")["endpoint"]
        held: list[int] = []
        for _ in range(3):
            assert len(call(endpoint, "answer", size=10_000_000)) == 10_000_000
            assert call(endpoint, "length", text="x" * 10_000_000) == 10_000_000
            held.append(resident_bytes(mesh))
        assert held[-1] - held[0] < LARGE_BYTES

        headers, body = call_request("modern", "length", {"text": "x" * 17_000_000})
        with httpx2.Client() as client:
            refused = client.post(f"{endpoint}/mcp", headers=headers, json=body)
        assert refused.status_code == 413
        assert call(endpoint, "length", text="x") == 1


def test_slow_clients_leave_nothing_behind_and_do_not_hold_up_others(tmp_path: Path) -> None:
    with running_mesh(sizes(tmp_path), folder=tmp_path) as mesh:
        endpoint = instance(mesh, "sizes-1")["endpoint"]
        before = resident_bytes(mesh)
        held: list[int] = []
        for _ in range(3):
            assert asyncio.run(slow_clients(endpoint)) < 2
            held.append(resident_bytes(mesh))
        print(
            f"resident: {before / 1e6:.1f} MB before, then", [f"{each / 1e6:.1f}" for each in held]
        )
        assert held[0] - before < LARGE_BYTES
        assert held[-1] - held[0] < GROWTH_BYTES
