"""Calls between agents while providers are killed: none is lost needlessly, none runs twice."""

import asyncio
import contextlib
import itertools
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.mesh import Mesh, running_mesh
from tests.e2e.project import instance, until
from tests.e2e.wire import call_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CALLERS = 16
MANIFESTS = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: front}}
spec:
  python: {{path: src}}
  heartbeat: {{interval: 1s}}
  tools:
    - callable: front:read
      needs: {{store: {{capability: store.read, required: true}}}}
    - callable: front:write
      needs: {{store: {{capability: store.write, required: true}}}}
    - callable: front:impatient
      needs:
        store:
          capability: store.slow
          required: true
          call: {{timeout: 300ms, retries: {{max: 3}}}}
---
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: store}}
spec:
  python: {{path: src}}
  heartbeat: {{interval: 1s}}
  replicas: {replicas}
  env: {{LEDGER: "{ledger}"}}
  tools:
    - {{callable: "store:read", capability: store.read, hints: {{idempotent: true}}}}
    - {{callable: "store:write", capability: store.write}}
    - {{callable: "store:slow", capability: store.slow}}
"""
FRONT = """\
async def read(key: str, store) -> str:
    return await store(key=key)


async def write(key: str, store) -> str:
    return await store(key=key)


async def impatient(key: str, store) -> str:
    return await store(key=key)
"""
STORE = """\
import asyncio
import os


def _note(key: str) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(key + "\\n")


async def read(key: str) -> str:
    await asyncio.sleep(0.01)
    return key


async def write(key: str) -> str:
    _note(key)
    await asyncio.sleep(0.01)
    return key


async def slow(key: str) -> str:
    _note(key)
    await asyncio.sleep(2)
    return key
"""


def project(folder: Path, replicas: int) -> tuple[Path, Path]:
    """Write the project; return its folder, and the file where writes are noted."""
    place, ledger = folder / "project", folder / "ledger.txt"
    (place / "src").mkdir(parents=True)
    ledger.touch()
    (place / "meshd.toml").write_text("")
    (place / "mesh.yaml").write_text(MANIFESTS.format(replicas=replicas, ledger=ledger))
    (place / "src" / "front.py").write_text(FRONT)
    (place / "src" / "store.py").write_text(STORE)
    return place, ledger


@dataclass
class Load:
    """Callers that call one tool without a pause, each with keys of its own."""

    endpoint: str
    tool: str
    answered: list[str] = field(default_factory=list[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    _keys: Any = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Call while the block runs, and let the last calls finish."""
        stop = asyncio.Event()
        async with aiohttp.ClientSession() as http:
            callers = [asyncio.ensure_future(self._caller(http, stop)) for _ in range(CALLERS)]
            try:
                yield
            finally:
                stop.set()
                await asyncio.gather(*callers)

    async def _caller(self, http: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        while not stop.is_set():
            key = f"{self.tool}-{next(self._keys)}"
            error = await ask(http, self.endpoint, self.tool, key)
            if error:
                self.failed[key] = error
            else:
                self.answered.append(key)


async def ask(http: aiohttp.ClientSession, endpoint: str, tool: str, key: str) -> str:
    """Call a tool that answers with its key; return the error, or nothing."""
    headers, body = call_request("modern", tool, {"key": key})
    async with http.post(f"{endpoint}/mcp", headers=headers, json=body) as answer:
        result = (await answer.json()).get("result", {})
    if result.get("isError") is not False:
        return str(result)
    assert result["structuredContent"] == {"result": key}
    return ""


def wired(mesh: Mesh, providers: int) -> bool:
    """Whether every need knows of so many providers."""
    needs = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
    return bool(needs) and all(len(need["providers"]) == providers for need in needs)


def endpoint_of(mesh: Mesh) -> str:
    return str(instance(mesh, "front-1")["endpoint"])


def test_a_provider_that_is_killed_loses_only_what_it_was_doing(tmp_path: Path) -> None:
    place, ledger = project(tmp_path, replicas=3)
    with running_mesh(place, folder=tmp_path) as mesh:
        until(lambda: wired(mesh, 3))
        reads, writes = (Load(endpoint_of(mesh), tool) for tool in ("read", "write"))

        async def killed_under_load() -> None:
            async with reads.running(), writes.running():
                await asyncio.sleep(0.5)
                for _ in range(2):
                    victim = await asyncio.to_thread(instance, mesh, "store-2")
                    os.kill(victim["pid"], signal.SIGKILL)
                    await asyncio.sleep(1)

        asyncio.run(killed_under_load())

        assert reads.failed == {}
        assert len(reads.answered) > 200
        assert len(writes.failed) <= 2 * CALLERS
        noted = Counter(ledger.read_text().split())
        assert {key: noted[key] for key in writes.answered} == dict.fromkeys(writes.answered, 1)
        assert [key for key, times in noted.items() if times > 1] == []


def test_calls_wait_for_the_only_provider_to_come_back(tmp_path: Path) -> None:
    place, ledger = project(tmp_path, replicas=1)
    with running_mesh(place, folder=tmp_path) as mesh:
        until(lambda: wired(mesh, 1))
        reads = Load(endpoint_of(mesh), "read")

        async def killed_under_load() -> None:
            async with reads.running():
                await asyncio.sleep(0.5)
                victim = await asyncio.to_thread(instance, mesh, "store-1")
                os.kill(victim["pid"], signal.SIGKILL)
                await asyncio.sleep(2)

        asyncio.run(killed_under_load())

        assert reads.failed == {}
        assert len(reads.answered) > 200
        assert ledger.read_text() == ""


def test_a_call_that_timed_out_is_not_made_again_unless_it_may_be(tmp_path: Path) -> None:
    place, ledger = project(tmp_path, replicas=3)
    with running_mesh(place, folder=tmp_path) as mesh:
        until(lambda: wired(mesh, 3))

        async def one_call() -> str:
            async with aiohttp.ClientSession() as http:
                return await ask(http, endpoint_of(mesh), "impatient", "once")

        error = asyncio.run(one_call())

        assert "did not answer within 0.3 s" in error
        assert ledger.read_text().split() == ["once"]
