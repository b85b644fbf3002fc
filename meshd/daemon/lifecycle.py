"""Runs a prepared mesh in this process: every agent on its own port, until it is told to stop."""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshd.callables.failures import summary, users_traceback
from meshd.daemon.admin import admin_app
from meshd.daemon.prepare import Prepared
from meshd.daemon.signals import signals
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.daemon.view import mesh_view
from meshd.daemon.wiring import build_agents
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec, JsonValue, MeshSpec
from meshd.errors import InvalidInput, LifespanFailed
from meshd.plan.model import Plan
from meshd.runtime.agent import RunningAgent
from meshd.runtime.http import listen, refusal
from meshd.runtime.http import serving as http_serving
from meshd.runtime.workers import Workers

GC_THRESHOLDS = (10_000, 2, 50)
"""Fewer collections than Python's default; with the heap frozen after start, each is short."""


@dataclass(slots=True)
class RunningMesh:
    """A mesh that is up; the admin API asks it."""

    plan: Plan
    agents: Mapping[str, RunningAgent]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stop_signal: int | None = None

    def view(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        return mesh_view(self.plan, self.agents, os.getpid())

    def tool(self, agent: str, tool: str) -> dict[str, JsonValue] | None:
        """Return the schemas and description of a tool, or None if there is none."""
        running = self.agents.get(agent)
        if running is None or tool not in running.tools:
            return None
        signature = running.tools[tool].body.signature
        return {
            "description": signature.description,
            "inputSchema": dict(signature.input_schema),
            "outputSchema": signature.output_schema and dict(signature.output_schema),
        }

    def stop(self, number: int | None = None) -> None:
        """Begin to stop; `number` is the signal that asked for it, if one did."""
        self.stop_signal = self.stop_signal or number
        self.stopping.set()


async def run_mesh(
    prepared: Prepared,
    state: StateDirectory,
    stages: Stages,
    *,
    grace_seconds: float,
    on_ready: Callable[[RunningMesh], None],
) -> int | None:
    """Serve the mesh until a signal or the admin API stops it; return the signal's number.

    Raises:
        InvalidInput: a port is taken, or an agent's lifespan raised.

    """
    workers = Workers()
    listeners = open_sockets(prepared.mesh)
    try:
        with stages.stage("build the FastMCP servers"):
            agents = build_agents(prepared, workers, stages.clock)
        mesh = RunningMesh(prepared.plan, agents)
        async with contextlib.AsyncExitStack() as stack:
            admin = admin_app(mesh, mesh.stop)
            private = state.listen()
            await stack.enter_async_context(
                http_serving(admin, private, stages.clock, grace_seconds=1)
            )
            with stages.stage("start the HTTP servers"):
                for key, agent in agents.items():
                    await stack.enter_async_context(
                        agent.running(listeners[key], stages.clock, grace_seconds=grace_seconds)
                    )
            for agent in agents.values():
                agent.serving.ready = True
            tune_garbage_collection()
            async with signals(mesh.stop):
                on_ready(mesh)
                await mesh.stopping.wait()
            # Together, so that one slow request does not use up the grace time of all agents.
            await asyncio.gather(*(agent.drain() for agent in agents.values()))
    except LifespanFailed as error:
        raise InvalidInput((_lifespan_problem(prepared.mesh, error),)) from error
    finally:
        for listener in listeners.values():
            listener.close()
        workers.close()
    return mesh.stop_signal


def open_sockets(mesh: MeshSpec) -> dict[str, socket.socket]:
    """Return a listening socket for each agent, or raise `InvalidInput` for all that fail."""
    listeners: dict[str, socket.socket] = {}
    problems: list[Diagnostic] = []
    for agent in mesh.agents:
        try:
            listeners[agent.key] = listen(agent.host, agent.port)
        except OSError as error:
            problems.append(_socket_problem(agent, error))
    if problems:
        for listener in listeners.values():
            listener.close()
        raise InvalidInput(tuple(problems))
    return listeners


def _socket_problem(agent: AgentSpec, error: OSError) -> Diagnostic:
    return Diagnostic(
        code="M401",
        message=f"agent `{agent.key}` cannot listen on {agent.host}:{agent.port}: {refusal(error)}",
        span=agent.at("port" if agent.port else "host"),
        hint="choose another `http.port`, or 0 for any free one",
    )


def _lifespan_problem(mesh: MeshSpec, failed: LifespanFailed) -> Diagnostic:
    agent = next(agent for agent in mesh.agents if agent.key == failed.agent)
    error = failed.__cause__ or failed
    return Diagnostic(
        code="M402",
        message=f"{failed} `{type(error).__name__}`",
        span=agent.at("lifespan"),
        label=summary(error),
        hint="correct it, or what it needs; the agent does not start without it",
        detail=users_traceback(error, agent.roots),
    )


def tune_garbage_collection() -> None:
    """Keep what the start made out of every later collection.

    A full collection over FastMCP's import takes some 50 ms, which shows as the slowest calls.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
