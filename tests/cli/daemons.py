"""A daemon that only answers: the admin API of a mesh that was made up, on a real socket."""

import asyncio
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from meshd.clock import SystemClock
from meshd.daemon.admin import admin_app
from meshd.daemon.state import StateDirectory
from meshd.errors import DaemonError
from meshd.runtime.http import serving


def instance(name: str, status: str = "ready", **more: Any) -> dict[str, Any]:
    """Return an instance as `status` tells of it."""
    return {
        "id": name,
        "process": name,
        "pid": 100,
        "endpoint": "http://127.0.0.1:4000",
        "status": status,
        "reason": "",
        "restarts": 0,
        "registry": "",
        "diagnostics": [],
        **more,
    }


def agent(name: str, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an agent as `status` tells of it; ready unless it is said to be something else."""
    return {
        "name": name,
        "namespace": "default",
        "status": "ready",
        "replicas": len(instances),
        "instances": list(instances),
        "waiting_for": [],
        **more,
    }


def status(*agents: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what `meshd status --format json` prints of a mesh of these agents."""
    return {
        "phase": "running",
        "pid": os.getpid(),
        "generation": 1,
        "agents": list(agents),
        "registry": {"url": "http://127.0.0.1:8000", "status": "ready", "reason": ""},
        "diagnostics": [],
        "report": "",
        **more,
    }


class FakeDaemon:
    """Tells what it is given to tell, and notes what it is told to do."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.outcome: dict[str, Any] | DaemonError = {}
        self.restarts: dict[str, list[str] | DaemonError] = {}
        self.delay_seconds = 0.0
        self.is_stopped = False

    def view(self) -> dict[str, Any]:
        """Return the mesh, each agent with one tool called `echo`."""
        listed = deepcopy(self.told["agents"])
        tools: list[dict[str, Any]] = [
            {"name": "echo", "capability": None, "version": "1.0.0", "tags": []}
        ]
        own: dict[str, Any] = {"version": "1.0.0", "tools": tools, "needs": []}
        return {"agents": [{**each, **own} for each in listed], "registry": self.told["registry"]}

    def status(self) -> dict[str, Any]:
        """Return what is told of the mesh now."""
        return deepcopy(self.told)

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        """Return a tool that wants one argument."""
        return {"inputSchema": {"required": ["word"]}} if agent and tool == "echo" else None

    async def reload(self) -> dict[str, Any]:
        """Take its time, and return what came of it."""
        await asyncio.sleep(self.delay_seconds)
        if isinstance(self.outcome, DaemonError):
            raise self.outcome
        return self.outcome

    async def restart(self, agent: str) -> list[str] | None:
        """Return the replicas of an agent that is known."""
        found = self.restarts.get(agent)
        if isinstance(found, DaemonError):
            raise found
        return found

    def stop(self) -> None:
        """Note that it is to stop."""
        self.is_stopped = True


@contextmanager
def answering(state: Path, daemon: FakeDaemon) -> Generator[FakeDaemon, None, None]:
    """Hold the state directory and answer, in a thread, while the block runs."""
    answers, done = threading.Event(), threading.Event()

    async def answer() -> None:
        with StateDirectory(state).held() as held:
            listener = held.listen()
            app = admin_app(daemon, daemon.stop)
            async with serving(app, [listener], SystemClock(), grace_seconds=1):
                answers.set()
                await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(answer()))
    thread.start()
    try:
        assert answers.wait(5)
        yield daemon
    finally:
        done.set()
        thread.join()
