"""Runs a mesh: every agent in processes of its own, until it is told to stop.

The daemon reads manifests, owns every listening socket and supervises; it imports no user code and
is on no call's path.
"""

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from meshd.clock import Clock
from meshd.daemon.admin import Administered, admin_app
from meshd.daemon.daemon import Daemon, RegistryOfMesh
from meshd.daemon.environment import common_environment, environment_of, tokens_of
from meshd.daemon.generations import Generations
from meshd.daemon.linux import become_subreaper
from meshd.daemon.logs import InstanceLogs
from meshd.daemon.messages import RegistryJob
from meshd.daemon.options import Audience, RunOptions
from meshd.daemon.ports import Port, refusal
from meshd.daemon.reaper import Reaper
from meshd.daemon.registry import default_store
from meshd.daemon.registry_process import RegistryProcess
from meshd.daemon.signals import signals
from meshd.daemon.source import Reading, Source
from meshd.daemon.spawner import Spawner
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.daemon.stop import Stop
from meshd.daemon.supervisor import Hooks, Supervisor, Terms
from meshd.daemon.watch import Watcher
from meshd.diagnostics.model import has_errors
from meshd.domain.spec import MeshSpec
from meshd.errors import DaemonError, InvalidInput
from meshd.runtime.http import serving as http_serving

DEFAULT_REGISTRY_PORT = 8000
ADMIN_GRACE_SECONDS = 1.0
WIRE_SECONDS = 5.0
"""How long the first announcement of the mesh waits for its needs to be resolved."""


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
        hung_up = asyncio.Event()
        await stack.enter_async_context(signals(stop, hung_up.set))
        logs = InstanceLogs(state.logs, audience.line)
        stack.callback(logs.close)
        common = common_environment(source.environment, mesh.agents)
        spawner = Spawner(reaper, common, logs.add, audience.note, clock)
        await stack.enter_async_context(spawner.running())
        registry = _registry(mesh, state, options, spawner, audience)
        if registry.own is not None:
            await stack.enter_async_context(registry.own.running(clock))
        is_shared = registry.own is None
        supervisor = Supervisor(
            spawner,
            Terms(
                project=lambda: source.project,
                node=state.node(options.node) if is_shared else "",
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
                tokens=lambda spec: tokens_of(spec.agents, source.environment),
                registry_url=lambda: registry.url,
            ),
            clock,
        )
        generations = Generations(
            supervisor,
            prepare=lambda mesh: spawner.use(common_environment(source.environment, mesh.agents)),
            allow_unresolved=options.allow_unresolved or is_shared,
        )
        daemon = Daemon(
            source=source,
            reading=reading,
            supervisor=supervisor,
            generations=generations,
            registry=registry,
            watcher=Watcher(clock, debounce_seconds=options.debounce_seconds),
            audience=audience,
            news=news,
        )
        await stack.enter_async_context(administered(daemon, stop, state, clock))
        await stack.enter_async_context(supervisor.running())
        audience.begins(daemon)
        await stop.unless(_start(daemon, spawner, stages))
        if not stop.wished.is_set():
            daemon.phase = "running"
            audience.ready()
            await stop.unless(_follow(daemon, hung_up))
        daemon.phase = "stopping"
        audience.changed()
    return stop.number


def administered(
    mesh: Administered, stop: Stop, state: StateDirectory, clock: Clock
) -> AbstractAsyncContextManager[object]:
    """Serve the admin API of a mesh while the block runs."""
    app = admin_app(mesh, stop)
    return http_serving(app, [state.listen()], clock, grace_seconds=ADMIN_GRACE_SECONDS)


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


def _registry(
    mesh: MeshSpec,
    state: StateDirectory,
    options: RunOptions,
    spawner: Spawner,
    audience: Audience,
) -> RegistryOfMesh:
    """Return the registry that is named, or one of the mesh's own, which does not run yet."""
    url = options.registry_of(mesh)
    if url:
        return RegistryOfMesh(url, None)
    port = registry_port(options.registry_port)
    job = RegistryJob(host="127.0.0.1", store=default_store(state.path), verbose=options.verbose)
    own = RegistryProcess(spawner, port, job, audience.note)
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


async def _start(daemon: Daemon, spawner: Spawner, stages: Stages) -> None:
    """Start the first generation, and wait a little until it is wired."""
    with stages.stage("import FastMCP"):
        await spawner.warm()
    outcome = await daemon.generations.start(daemon.reading, stages)
    daemon.audience.warned(outcome.diagnostics)
    with stages.stage("wire"):
        await until_wired(daemon)


class Wired(Protocol):
    """A mesh whose needs are being resolved."""

    @property
    def news(self) -> asyncio.Event:
        """Is set whenever something about an instance changes."""
        ...

    def is_wired(self) -> bool:
        """Say whether every need that the plan has a provider for is resolved."""
        ...


async def until_wired(mesh: Wired) -> None:
    """Wait until the needs of a mesh are resolved, but not for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WIRE_SECONDS):
            while not mesh.is_wired():
                await mesh.news.wait()
                mesh.news.clear()


async def _follow(daemon: Daemon, hung_up: asyncio.Event) -> None:
    """Reload whenever something that was read has changed, and when told by `hung_up`."""
    daemon.watch()

    async def reload_on_changes() -> None:
        async with contextlib.aclosing(daemon.watcher.changes()) as changes:
            async for _ in changes:
                await daemon.reload()

    async def reload_on_signal() -> None:
        while True:
            await hung_up.wait()
            hung_up.clear()
            await daemon.reload()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reload_on_changes())
        tasks.create_task(reload_on_signal())
