"""Where callables run, how many calls of them at a time, and what is counted: seen from outside."""

import asyncio
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest

from meshd.daemon.linux import children, is_alive
from tests.e2e.mesh import Mesh, kill, running_mesh, start, wait_until_ready
from tests.e2e.project import call, instance, until
from tests.e2e.wire import call_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: places}
spec:
  python: {path: src}
  tools:
    - {callable: "places:where", name: usual}
    - {callable: "places:where", name: inline, execution: inline}
    - callable: places:where
      name: process
      execution: process
      concurrency: {max: 2, queue: 100}
    - {callable: "places:spawn", execution: process, concurrency: {max: 1}}
    - {callable: "places:crash", execution: process}
    - {callable: "places:hold", concurrency: {max: 2, queue: 1}}
"""
MODULE = """\
import asyncio
import os
import subprocess
import threading
import time


def where() -> list:
    time.sleep(0.01)
    return [os.getpid(), threading.current_thread().name]


def spawn(seconds: float) -> list:
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(os.path.join(os.path.dirname(__file__), "pids"), "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    time.sleep(seconds)


def crash() -> None:
    os.kill(os.getpid(), 11)


async def hold(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "held"
"""


def places(folder: Path) -> Path:
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").write_text("")
    (project / "places.yaml").write_text(MANIFEST)
    (project / "src" / "places.py").write_text(MODULE)
    return project


def tool_processes(mesh: Mesh) -> set[int]:
    return children(instance(mesh, "places-1")["pid"])


async def answers(
    endpoint: str, tool: str, arguments: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Make all calls at the same time and return their results."""
    async with aiohttp.ClientSession() as session:

        async def one(number: int, given: dict[str, Any]) -> dict[str, Any]:
            headers, body = call_request("modern", tool, given, number)
            async with session.post(f"{endpoint}/mcp", headers=headers, json=body) as answer:
                return (await answer.json())["result"]

        return await asyncio.gather(*(one(n, given) for n, given in enumerate(arguments)))


def test_each_tool_runs_where_its_manifest_says(tmp_path: Path) -> None:
    with running_mesh(places(tmp_path), folder=tmp_path) as mesh:
        here = instance(mesh, "places-1")
        endpoint = here["endpoint"]
        pid, thread = call(endpoint, "usual")
        assert (pid, thread.startswith("meshd-worker")) == (here["pid"], True)
        assert call(endpoint, "inline") == [here["pid"], "MainThread"]
        results = asyncio.run(answers(endpoint, "process", [{}] * 40))
        seen = {tuple(result["structuredContent"]["result"]) for result in results}
        assert {thread for _, thread in seen} == {"MainThread"}
        assert len(seen) == 2
        assert {pid for pid, _ in seen} < tool_processes(mesh)

        with pytest.raises(AssertionError, match="its process was killed by SIGSEGV"):
            call(endpoint, "crash")
        assert call(endpoint, "process")[0] in {pid for pid, _ in seen}
        with pytest.raises(AssertionError, match="its process was killed by SIGSEGV"):
            call(endpoint, "crash")
        seen_pids = tool_processes(mesh)
    assert not any(map(is_alive, seen_pids))


@pytest.mark.parametrize("whom", ["instance", "daemon"])
def test_no_process_outlives_what_is_killed(tmp_path: Path, whom: str) -> None:
    project = places(tmp_path)
    notes = project / "src" / "pids"
    mesh = start((project,), tmp_path, "--registry-port", "0")
    try:
        wait_until_ready(mesh)
        here = instance(mesh, "places-1")
        calling = threading.Thread(target=_ignored, args=(here["endpoint"], "spawn"))
        calling.start()
        until(lambda: notes.exists() and len(notes.read_text().split()) == 2)
        doomed = {*tool_processes(mesh), *map(int, notes.read_text().split())}
        assert len(doomed) >= 4
        os.kill(here["pid"] if whom == "instance" else mesh.process.pid, signal.SIGKILL)
        until(lambda: not any(map(is_alive, doomed)), 5, str(doomed))
        calling.join(10)
        if whom == "instance":
            until(lambda: instance(mesh, "places-1")["status"] == "ready")
            assert call(instance(mesh, "places-1")["endpoint"], "process")
    finally:
        kill(mesh)


def _ignored(endpoint: str, tool: str) -> None:
    """Make a call that will not be answered."""
    headers, body = call_request("modern", tool, {"seconds": 100})
    with httpx2.Client() as client:
        try:
            client.post(f"{endpoint}/mcp", headers=headers, json=body, timeout=30)
        except httpx2.HTTPError:
            return


def test_a_client_that_goes_away_ends_the_process_of_its_call(tmp_path: Path) -> None:
    project = places(tmp_path)
    notes = project / "src" / "pids"
    with running_mesh(project, folder=tmp_path) as mesh:
        endpoint = instance(mesh, "places-1")["endpoint"]
        headers, body = call_request("modern", "spawn", {"seconds": 100})
        with httpx2.Client() as client, pytest.raises(httpx2.TimeoutException):
            client.post(f"{endpoint}/mcp", headers=headers, json=body, timeout=6)
        doomed = [*map(int, notes.read_text().split())]
        until(lambda: not any(map(is_alive, doomed)), 5)
        assert asyncio.run(answers(endpoint, "spawn", [{"seconds": 0}]))


def test_what_is_too_much_is_busy_and_all_is_counted(tmp_path: Path) -> None:
    with running_mesh(places(tmp_path), folder=tmp_path) as mesh:
        endpoint = instance(mesh, "places-1")["endpoint"]
        results = asyncio.run(answers(endpoint, "hold", [{"seconds": 0.5}] * 5))
        held = [result for result in results if not result["isError"]]
        refused = [result for result in results if result["isError"]]
        assert (len(held), len(refused)) == (3, 2)
        for result in refused:
            assert "`places.hold` is busy: its `concurrency` allows 2" in str(result["content"])
            error = result["_meta"]["meshd.dev/error"]
            assert (error["code"], error["retriable"], error["executed"]) == ("busy", True, False)
        text = httpx2.get(f"{endpoint}/metrics").text
        counted = dict(
            re.findall(
                r'^meshd_tool_calls_total{agent="places",outcome="(\w+)",tool="hold"} (\S+)$',
                text,
                re.M,
            )
        )
        assert {name: float(value) for name, value in counted.items()} == {"ok": 3, "busy": 2}
