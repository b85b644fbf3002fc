"""Instances are replaced under load: callers that keep their connections lose no call."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.mesh import Mesh, meshd, running_mesh
from tests.e2e.project import instance, until
from tests.e2e.wire import call_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CLIENTS = 32
MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: ledger}
spec:
  python: {path: src}
  tools: [{callable: "ledger:write"}]
"""
MODULE = """\
import asyncio

VERSION = 1


async def write(key: str) -> int:
    with open({file!r}, "a") as ledger:
        ledger.write(key + "\\n")
    await asyncio.sleep(0.002)
    return VERSION
"""


class Clients:
    """Clients with one kept-alive connection each, which call one after the other until stopped."""

    def __init__(self, endpoint: str) -> None:
        self.url = f"{endpoint}/mcp"
        self.failures: list[str] = []
        self.versions: Counter[int] = Counter()
        self.done: list[str] = []
        self.connections = 0
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self, number: int) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._connected)
        connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, trace_configs=[tracing]) as session:
            count = 0
            while not self._stopped.is_set():
                key = f"{number}-{(count := count + 1)}"
                headers, body = call_request("modern", "write", {"key": key})
                try:
                    async with session.post(self.url, headers=headers, json=body) as answer:
                        result = (await answer.json())["result"]
                        self.versions[result["structuredContent"]["result"]] += 1
                        self.done.append(key)
                except (aiohttp.ClientError, KeyError) as error:
                    self.failures.append(f"{key}: {error!r}")
                # Idle for a moment now and then, as real callers are.
                await asyncio.sleep(0.02 * (count % 5))

    async def _connected(self, *_: object) -> None:
        self.connections += 1


def replace(mesh: Mesh, module: Path, endpoint: str) -> None:
    """Replace the instance three times: by an edit, a restart, and another edit."""
    assert instance(mesh, "ledger-1")["endpoint"] == endpoint
    for version in (2, 0, 3):
        before = instance(mesh, "ledger-1")["pid"]
        if version:
            text = module.read_text()
            module.write_text(text.replace(f"VERSION = {version - 1}", f"VERSION = {version}"))
            done = meshd("reload", "--state-dir", mesh.state)
        else:
            done = meshd("restart", "ledger", "--state-dir", mesh.state)
        assert done.returncode == 0, done.stderr
        until(lambda before=before: instance(mesh, "ledger-1")["pid"] != before)
        time.sleep(1.5)


def test_no_call_is_lost_or_run_twice_while_its_instance_is_replaced(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").write_text("")
    (project / "ledger.yaml").write_text(MANIFEST)
    file = tmp_path / "ledger.txt"
    module = project / "src" / "ledger.py"
    module.write_text(MODULE.format(file=str(file)))

    async def loaded(mesh: Mesh) -> Clients:
        endpoint = instance(mesh, "ledger-1")["endpoint"]
        clients = Clients(endpoint)
        running = [asyncio.ensure_future(clients.run(number)) for number in range(CLIENTS)]
        try:
            await asyncio.to_thread(replace, mesh, module, endpoint)
        finally:
            clients.stop()
            await asyncio.gather(*running)
        return clients

    environment = {"MCP_MESH_DEBOUNCE_DELAY": "60"}
    with running_mesh(project, folder=tmp_path, environment=environment) as mesh:
        clients = asyncio.run(loaded(mesh))
        assert clients.failures == []
        assert set(clients.versions) == {1, 2, 3}
        # Each client once at first, and once for each replacement: kept in between.
        assert clients.connections == CLIENTS * 4
        assert sorted(file.read_text().split()) == sorted(clients.done)
        assert len(clients.done) > 1000
        assert "Traceback" not in mesh.output
