"""Runs a whole mesh in this process, for a debugger and for tests: `meshd run --in-process`.

The agents are wired and registered as they are in processes of their own; what is left out is
supervision and reload.
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from meshd.clock import Clock
from meshd.daemon.addresses import Addresses, in_order
from meshd.daemon.environment import environment_of, tokens_of
from meshd.daemon.instances import Instances
from meshd.daemon.lifecycle import (
    administered,
    first_reading,
    registry_port,
    until_wired,
)
from meshd.daemon.link import link_mesh, require
from meshd.daemon.messages import EdgeView, Post, Registered, Report, Wired
from meshd.daemon.options import Audience, RunOptions
from meshd.daemon.ports import Port
from meshd.daemon.prepare import Loading, load
from meshd.daemon.registry import default_store, open_store, serving_registry
from meshd.daemon.signals import signals
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.daemon.stop import Stop
from meshd.daemon.view import (
    InstanceView,
    RegistryView,
    is_wired,
    mesh_view,
    standing,
    status_view,
    tool_view,
)
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec, MeshSpec
from meshd.domain.tokens import Tokens
from meshd.errors import DaemonError, InvalidInput
from meshd.plan.model import Plan
from meshd.plan.processes import processes
from meshd.settings import enter_environment


class MeshInProcess:
    """A mesh in this process: what the admin API asks."""

    def __init__(
        self, plan: Plan, loading: Loading, posts: Sequence[Post], registry: RegistryView
    ) -> None:
        self.phase = "starting"
        self.news = asyncio.Event()
        """Is set whenever an instance says something of itself."""
        self._plan = plan
        self._loading = loading
        self._posts = posts
        self._registry = registry
        self._edges: dict[str, Sequence[EdgeView]] = {}
        self._registered: dict[str, Registered] = {}

    def take(self, report: Report) -> None:
        """Note what an instance says of itself."""
        if isinstance(report, Wired):
            self._edges[report.instance] = report.edges
        elif isinstance(report, Registered):
            self._registered[report.instance] = report
        self.news.set()

    def is_wired(self) -> bool:
        """Say whether every need that the plan has a provider for is resolved."""
        return is_wired(self._plan, self.view())

    def view(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        return mesh_view(self._plan, self._instances(), self._registry)

    def status(self) -> dict[str, Any]:
        """Return how the mesh fares, as `meshd status --format json` shows it."""
        shown = status_view(self._plan, self._instances(), self._registry)
        own = {"phase": self.phase, "pid": os.getpid(), "generation": 1}
        return {**own, **shown, "diagnostics": [], "report": ""}

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        """Return the schemas and description of a tool, or None if there is none."""
        return tool_view(self._loading.signatures, agent, tool)

    async def reload(self) -> dict[str, Any]:
        """Refuse: what is imported in this process stays."""
        raise DaemonError("a mesh that runs in one process is not reloaded", "start it again")

    async def restart(self, agent: str) -> list[str] | None:
        """Refuse: there is no process to replace."""
        raise DaemonError(f"`{agent}` has no process of its own", "start the mesh again")

    def _instances(self) -> list[InstanceView]:
        status = "ready" if self.phase == "running" else self.phase
        return [
            InstanceView(
                id=post.instance,
                agent=post.agent.key,
                pid=os.getpid(),
                endpoint=post.endpoint,
                status=status,
                registry=standing(self._registered.get(post.instance)),
                edges=self._edges.get(post.instance, ()),
            )
            for post in self._posts
        ]


async def run_in_process(
    source: Source,
    state: StateDirectory,
    options: RunOptions,
    audience: Audience,
    stages: Stages,
) -> int | None:
    """Run the mesh until a signal or the admin API stops it; return the signal's number.

    Raises:
        InvalidInput: the mesh cannot start as its manifests are.
        DaemonError: it cannot start for another reason.

    """
    clock = stages.clock
    mesh, reading = await first_reading(source, stages)
    tokens = tokens_of(mesh.agents, source.environment)
    enter_environment(_environment(mesh, source))
    with stages.stage("configure"):
        loading = load(mesh.agents, reading.project)
        warnings = require((*reading.diagnostics, *loading.diagnostics))
        named = options.registry_of(mesh)
        lenient = options.allow_unresolved or bool(named)
        plan, found = link_mesh(mesh, loading.signatures, allow_unresolved=lenient)
        warnings += require(found)
    audience.warned(warnings)
    stop = Stop()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(signals(stop))
        url = named or await _own_registry(options, state, clock, stack)
        node = state.node(options.node) if named else ""
        addresses = Addresses(clock, node=node, insecure=options.insecure)
        posts, listeners = _posts(mesh, addresses, tokens, stack)
        registry = RegistryView(url, "external" if named else "ready")
        running = MeshInProcess(plan, loading, posts, registry)
        instances = Instances(
            posts,
            loading,
            registry_url=url,
            grace_seconds=options.grace_seconds,
            report=running.take,
            clock=clock,
        )
        await stack.enter_async_context(administered(running, stop, state, clock))
        audience.begins(running)
        sockets = {name: [port.duplicate() for port in own] for name, own in listeners.items()}
        for port in (port for own in listeners.values() for port in own):
            # Who serves has the only handle, so that callers are refused when it is closed.
            port.close()
        with stages.stage("serve"):
            await stack.enter_async_context(instances.running(sockets))
        with stages.stage("wire"):
            await until_wired(running)
        running.phase = "running"
        audience.ready()
        await stop.wished.wait()
        running.phase = "stopping"
        await instances.drain("the mesh stops")
    return stop.number


async def _own_registry(
    options: RunOptions, state: StateDirectory, clock: Clock, stack: contextlib.AsyncExitStack
) -> str:
    """Serve the mesh's own registry until the stack ends; return its URL."""
    port = registry_port(options.registry_port)
    port.open()
    stack.callback(port.close)
    store = open_store(default_store(state.path))
    await stack.enter_async_context(
        serving_registry(store, port.duplicate(), "127.0.0.1", clock, any_host=False)
    )
    return port.endpoint.url


def _posts(
    mesh: MeshSpec,
    addresses: Addresses,
    tokens: Mapping[str, Tokens],
    stack: contextlib.ExitStack | contextlib.AsyncExitStack,
) -> tuple[list[Post], dict[str, list[Port]]]:
    """Return every instance of the mesh with its ports, which the stack closes."""
    posts: list[Post] = []
    listeners: dict[str, list[Port]] = {}
    for spec in processes(mesh):
        shared = addresses.shared(spec)
        for number in range(1, spec.replicas + 1):
            own = addresses.own(spec, None, {})
            made = addresses.posts(spec, number, own, shared, tokens)
            ports = iter(in_order(spec, own, shared))
            for post in made:
                listeners[post.instance] = [next(ports) for _ in range(post.sockets)]
                for port in listeners[post.instance]:
                    port.open()
                    stack.callback(port.close)
            posts.extend(made)
    return posts, listeners


def _environment(mesh: MeshSpec, source: Source) -> dict[str, str]:
    """Return one environment for all agents, which must not contradict each other."""
    seen: dict[str, tuple[AgentSpec, object]] = {}
    problems: list[Diagnostic] = []
    for agent in mesh.agents:
        for name, value in agent.env.items():
            first, known = seen.setdefault(name, (agent, value))
            if known != value:
                problems.append(_contradiction(name, first, agent))
    if problems:
        raise InvalidInput(tuple(problems))
    return environment_of(mesh.agents, source.environment, source.environment)


def _contradiction(name: str, first: AgentSpec, second: AgentSpec) -> Diagnostic:
    return Diagnostic(
        code="M406",
        message=f"agents `{first.key}` and `{second.key}` want different values of `{name}`",
        span=second.at(f"env.{name}"),
        label="in one process there is only one",
        hint="run without `--in-process`",
    )
