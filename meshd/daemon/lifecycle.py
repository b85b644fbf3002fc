"""Runs a mesh: every agent in processes of its own, until it is told to stop.

The daemon reads manifests, owns every listening socket and supervises; it imports no user code and
is on no call's path.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshd.clock import Clock
from meshd.daemon.admin import admin_app
from meshd.daemon.environment import common_environment, environment_of
from meshd.daemon.generations import Generations
from meshd.daemon.linux import become_subreaper
from meshd.daemon.logs import InstanceLogs
from meshd.daemon.messages import Post, RegistryJob
from meshd.daemon.options import Audience, RunOptions
from meshd.daemon.ports import Port, refusal
from meshd.daemon.prepare import link_mesh
from meshd.daemon.reaper import Reaper
from meshd.daemon.registry import default_store
from meshd.daemon.registry_process import RegistryProcess
from meshd.daemon.replica import Replica
from meshd.daemon.signals import signals
from meshd.daemon.source import Reading, Source
from meshd.daemon.spawner import Spawner
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.daemon.stop import Stop
from meshd.daemon.supervisor import Hooks, Supervisor, Terms
from meshd.daemon.view import (
    InstanceView,
    RegistryView,
    mesh_view,
    standing,
    status_view,
    tool_view,
)
from meshd.daemon.watch import Watcher, fingerprint
from meshd.diagnostics.model import has_errors
from meshd.diagnostics.render import as_text, as_values
from meshd.domain.names import agent_key
from meshd.domain.spec import JsonValue, MeshSpec
from meshd.errors import DaemonError, InvalidInput, MeshdError
from meshd.plan.model import Plan
from meshd.runtime.http import serving as http_serving
from meshd.runtime.registry_client import RegistryClient

DEFAULT_REGISTRY_PORT = 8000
ADMIN_GRACE_SECONDS = 1.0
WIRE_SECONDS = 5.0
"""How long the first announcement of the mesh waits for its needs to be resolved."""


class Daemon:
    """A mesh with its supervisor: what the admin API asks."""

    def __init__(
        self,
        source: Source,
        reading: Reading,
        supervisor: Supervisor,
        generations: Generations,
        registry: "RegistryOfMesh",
        audience: Audience,
        watcher: Watcher,
        news: asyncio.Event,
    ) -> None:
        self.phase = "starting"
        self.reading = reading
        self.watcher = watcher
        self.news = news
        """Is set whenever something about an instance changes."""
        self._source = source
        self._supervisor = supervisor
        self._generations = generations
        self._registry = registry
        self._audience = audience

    @property
    def plan(self) -> Plan:
        """The plan of what runs; before the first generation, of what is to run."""
        current = self._generations.current
        if current is not None:
            return current.plan
        mesh = self.reading.manifests.mesh
        return link_mesh(mesh, {}, allow_unresolved=True)[0] if mesh else Plan()

    def view(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        return mesh_view(self.plan, self._instances(), self._registry.view())

    def status(self) -> dict[str, Any]:
        """Return how the mesh fares, as `meshd status --format json` shows it."""
        current, last = self._generations.current, self._generations.last
        found = last.diagnostics if last else ()
        return {
            "phase": self.phase,
            "pid": os.getpid(),
            "generation": current.number if current else 0,
            **status_view(self.plan, self._instances(), self._registry.view()),
            "diagnostics": as_values(found),
            "report": as_text(found, last.sources if last else {}),
        }

    def tool(self, agent: str, tool: str) -> dict[str, JsonValue] | None:
        """Return the schemas and description of a tool, or None if there is none."""
        current = self._generations.current
        return tool_view(current.signatures, agent, tool) if current else None

    async def reload(self) -> dict[str, Any]:
        """Apply what the manifests say now, and return what came of it."""
        if self._generations.current is None:
            return {"result": "starting", "diagnostics": [], "report": "", "changes": {}}
        seen = await asyncio.to_thread(fingerprint, list(self._generations.files()))
        self.reading = await asyncio.to_thread(self._source.read)
        outcome = await self._generations.apply(self.reading)
        self.watch(seen)
        self._audience.applied(outcome)
        return {
            "result": outcome.result,
            "diagnostics": as_values(outcome.diagnostics),
            "report": as_text(outcome.diagnostics, outcome.sources),
            "changes": outcome.changes.as_values() if outcome.changes else {},
        }

    async def restart(self, agent: str) -> list[str] | None:
        """Replace an agent's processes; return the replicas' ids, None if there is no such agent.

        Raises:
            InvalidInput, DaemonError: it cannot be started again; the old one goes on.

        """
        if all(agent != each.key for each in self.plan.agents):
            return None
        return await self._generations.restart([agent])

    def is_wired(self) -> bool:
        """Say whether every need that the plan has a provider for is resolved."""
        planned = {(b.consumer, b.tool, b.parameter) for b in self.plan.bindings if b.providers}
        return all(
            need["status"] == "resolved"
            for agent in self.view()["agents"]
            for need in agent["needs"]
            if (agent_key(agent["name"], agent["namespace"]), need["tool"], need["parameter"])
            in planned
        )

    def watch(self, seen: Mapping[Path, str] | None = None) -> None:
        """Watch the files and folders whose change asks for a reload.

        A change counts from what was read, and for files that were `seen` before they were read
        again from that: what failed with it would fail with it once more.
        """
        known = {**self._generations.files(), **(seen or {}), **self.reading.watched}
        self.watcher.watch(known, known)

    def _instances(self) -> list[InstanceView]:
        return [
            _instance_view(replica, post)
            for listed in self._supervisor.replicas.values()
            for replica in listed
            for post in replica.instances()
        ]


class RegistryOfMesh:
    """The registry that the instances are told of: the mesh's own, or one that was named."""

    def __init__(self, url: str, own: RegistryProcess | None) -> None:
        self.url = url
        self._own = own

    def view(self) -> RegistryView:
        """Return where it is and how it fares."""
        if self._own is None:
            return RegistryView(self.url, "external")
        return RegistryView(self.url, self._own.status, self._own.problem)

    async def forget(self, posts: tuple[Post, ...]) -> None:
        """Tell it that instances have died; where it is away their leases end by themselves."""
        async with RegistryClient(self.url) as registry:
            for post in posts:
                with contextlib.suppress(MeshdError):
                    await registry.leave(post.instance, post.incarnation, "process_died")


async def run_daemon(
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
    become_subreaper()
    mesh, reading = await first_reading(source, stages)
    stop = Stop()
    news = asyncio.Event()

    def changed() -> None:
        news.set()
        audience.changed()

    async with contextlib.AsyncExitStack() as stack:
        reaper = stack.enter_context(Reaper())
        await stack.enter_async_context(signals(stop))
        logs = InstanceLogs(state.logs, audience.line)
        stack.callback(logs.close)
        common = common_environment(source.environment, mesh.agents)
        spawner = Spawner(reaper, common, logs.add, audience.note, clock)
        await stack.enter_async_context(spawner.running())
        registry = await _registry(mesh, state, options, spawner, audience, stack, clock)
        supervisor = Supervisor(
            spawner,
            Terms(
                project=lambda: source.project,
                node=state.node(options.node) if registry.view().status == "external" else "",
                grace_seconds=options.grace_seconds,
                insecure=options.insecure,
                verbose=options.verbose,
            ),
            Hooks(
                note=audience.note,
                changed=changed,
                died=registry.forget,
                environment=lambda spec: environment_of(
                    spec.agents, spawner.environment, source.environment
                ),
                registry_url=lambda: registry.url,
            ),
            clock,
        )
        generations = Generations(
            supervisor,
            prepare=lambda mesh: spawner.use(common_environment(source.environment, mesh.agents)),
            allow_unresolved=options.allow_unresolved or registry.view().status == "external",
        )
        watcher = Watcher(clock, debounce_seconds=options.debounce_seconds)
        daemon = Daemon(source, reading, supervisor, generations, registry, audience, watcher, news)
        private = state.listen()
        await stack.enter_async_context(
            http_serving(
                admin_app(daemon, stop), [private], clock, grace_seconds=ADMIN_GRACE_SECONDS
            )
        )
        await stack.enter_async_context(supervisor.running())
        audience.begins(daemon)
        await stop.unless(_start(daemon, spawner, generations, stages, audience))
        if not stop.wished.is_set():
            daemon.phase = "running"
            audience.ready()
            await stop.unless(_follow(daemon))
        daemon.phase = "stopping"
        audience.changed()
    return stop.number


async def first_reading(source: Source, stages: Stages) -> tuple[MeshSpec, Reading]:
    """Read the manifests.

    Raises:
        InvalidInput: anything is wrong with them.

    """
    with stages.stage("collect"):
        reading = await asyncio.to_thread(source.read)
    mesh = reading.manifests.mesh
    if mesh is None or has_errors(reading.diagnostics):
        raise InvalidInput(reading.diagnostics)
    return mesh, reading


async def _registry(
    mesh: MeshSpec,
    state: StateDirectory,
    options: RunOptions,
    spawner: Spawner,
    audience: Audience,
    stack: contextlib.AsyncExitStack,
    clock: Clock,
) -> RegistryOfMesh:
    """Return the registry that is named, or start the mesh's own."""
    url = options.registry_of(mesh)
    if url:
        return RegistryOfMesh(url, None)
    port = registry_port(options.registry_port)
    job = RegistryJob(host="127.0.0.1", store=default_store(state.path), verbose=options.verbose)
    own = RegistryProcess(spawner, port, job, audience.note)
    await stack.enter_async_context(own.running(clock))
    return RegistryOfMesh(own.url, own)


def registry_port(asked: int | None) -> Port:
    """Bind the registry's port: the one asked for, or 8000 if it is free, or any."""
    try:
        return Port("127.0.0.1", DEFAULT_REGISTRY_PORT if asked is None else asked)
    except (OSError, OverflowError) as error:
        if asked is None:
            return Port("127.0.0.1", 0)
        raise DaemonError(
            f"the registry cannot listen on 127.0.0.1:{asked}: {refusal(error)}",
            "choose another `--registry-port`, or 0 for any free one",
        ) from None


async def _start(
    daemon: Daemon,
    spawner: Spawner,
    generations: Generations,
    stages: Stages,
    audience: Audience,
) -> None:
    """Start the first generation, and wait a little until it is wired."""
    with stages.stage("import FastMCP"):
        await spawner.warm()
    outcome = await generations.start(daemon.reading, stages)
    audience.warned(outcome.diagnostics)
    with stages.stage("wire"), contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WIRE_SECONDS):
            while not daemon.is_wired():
                await daemon.news.wait()
                daemon.news.clear()


async def _follow(daemon: Daemon) -> None:
    """Reload whenever something that was read has changed, and on SIGHUP."""
    daemon.watch()
    loop = asyncio.get_running_loop()
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)

    async def reload_on_changes() -> None:
        async with contextlib.aclosing(daemon.watcher.changes()) as changes:
            async for _ in changes:
                await daemon.reload()

    async def reload_on_signal() -> None:
        while True:
            await hung_up.wait()
            hung_up.clear()
            await daemon.reload()

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reload_on_changes())
            tasks.create_task(reload_on_signal())
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _instance_view(replica: Replica, post: Post) -> InstanceView:
    run = replica.current
    assert run is not None
    registered = run.registered.get(post.instance)
    return InstanceView(
        id=post.instance,
        agent=post.agent.key,
        process=replica.id,
        pid=run.child.process,
        endpoint=post.endpoint,
        status=replica.status,
        reason=replica.reason,
        restarts=replica.restarts,
        registry=standing(registered),
        edges=run.edges.get(post.instance, ()),
        problems=replica.diagnostics,
    )
