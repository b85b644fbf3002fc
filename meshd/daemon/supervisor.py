"""Keeps the processes of the mesh running: loads, serves, replaces, drains, and starts again.

A start has two halves, so that a mesh is checked whole before any of it serves: `load` forks a
process that imports the user's code and reports, `serve` lets it answer. A replacement shares the
sockets of the run that it replaces, and takes over before that one drains.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshd.callables.project import Project
from meshd.clock import Clock
from meshd.daemon.channel import Closed
from meshd.daemon.messages import Drain, InstanceJob, Job, Post, Serve
from meshd.daemon.ports import Port, outgoing_host, refusal
from meshd.daemon.reaper import in_words
from meshd.daemon.replica import DiedAtStart, RefusedStart, Replica, Run
from meshd.daemon.spawner import Spawner
from meshd.diagnostics.model import Diagnostic
from meshd.domain.endpoint import WILDCARDS, is_loopback
from meshd.domain.names import instance_id
from meshd.domain.spec import AgentSpec
from meshd.errors import DaemonError, InvalidInput
from meshd.plan.processes import ProcessSpec

STABLE_SECONDS = 10.0
"""A run that lived so long was no failed start."""
LONGEST_PAUSE_SECONDS = 30.0
CRASH_LOOP = 3
_LOADS_AT_ONCE = 8
_KILL_AFTER_SECONDS = 2.0


class RefusedByProcess(InvalidInput):
    """A process found something wrong with what it was to serve, or with the files it names."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], files: tuple[str, ...]) -> None:
        super().__init__(diagnostics)
        self.files = files


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all processes."""

    project: Project
    node: str = ""
    grace_seconds: float = 10.0
    insecure: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the supervisor tells others, and asks of them."""

    note: Callable[[str], None]
    changed: Callable[[], None]
    died: Callable[[tuple[Post, ...]], Awaitable[None]]
    """Called with the instances that a dead process served, so that the registry hears of it."""
    environment: Callable[[ProcessSpec], Mapping[str, str]]
    """Returns what a process finds in its environment, or raises `InvalidInput`."""
    registry_url: Callable[[], str]


class Supervisor:
    """All replicas by the name of their process; belongs to one event loop."""

    def __init__(self, spawner: Spawner, terms: Terms, hooks: Hooks, clock: Clock) -> None:
        self.replicas: dict[str, list[Replica]] = {}
        self._spawner = spawner
        self._terms = terms
        self._hooks = hooks
        self._clock = clock
        self._loads = asyncio.Semaphore(_LOADS_AT_ONCE)
        self._fixed: dict[tuple[str, int], Port] = {}
        self._incarnation = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Own the tasks that watch processes; at the end everything is drained and gone."""
        try:
            yield
        finally:
            await self.stop_all("the mesh stops")
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.close_unused_ports()

    async def load(self, spec: ProcessSpec, replica: Replica) -> Run:
        """Fork a process that imports the user's code, and wait until it has.

        Raises:
            InvalidInput: something is wrong with the code, a port or a secret.
            DaemonError: no process could be forked, or it died without a word.

        """
        environment = self._hooks.environment(spec)
        ports = self._ports(spec, replica.current)
        try:
            fronts = self._fronts(spec)
            posts = self._posts(spec, replica, ports)
            job = InstanceJob(
                name=replica.id,
                project=self._terms.project,
                posts=posts,
                environment=environment,
                grace_seconds=self._terms.grace_seconds,
                any_host=self._terms.insecure,
                verbose=self._terms.verbose,
            )
            sockets = self._descriptors(spec, ports, fronts)
            async with self._loads:
                run = await self._spawn(spec, replica, job, sockets, posts, ports, fronts)
                await self._reached(run, run.loaded)
        except BaseException:
            self._give_up(ports, replica.current)
            raise
        return run

    async def serve(self, run: Run) -> None:
        """Let a loaded process serve, and wait until it does; raises as `load` does."""
        run.open_ports()
        with contextlib.suppress(Closed):
            await run.child.channel.order(Serve(registry_url=self._hooks.registry_url()))
        await self._reached(run, run.ready)
        run.ready_at = self._clock.monotonic()

    async def adopt(self, replica: Replica, run: Run) -> None:
        """Make a serving run the current one, and let the one before it finish and end."""
        before, replica.current = replica.current, run
        replica.spec = run.spec
        replica.status, replica.reason, replica.diagnostics = "ready", "", ()
        replica.poked.set()
        listed = self.replicas.setdefault(run.spec.name, [])
        if replica not in listed:
            listed.append(replica)
        self._own(self._watch(replica, run))
        self._hooks.changed()
        if before is not None:
            await self._retire(before, "replaced")
            self._give_up(before.ports, run)

    async def replace(self, spec: ProcessSpec, replica: Replica, run: Run | None = None) -> None:
        """Start a replica as the spec says, from a loaded run or a new one; raises as `load`."""
        async with replica.lock:
            run = run or await self.load(spec, replica)
            try:
                await self.serve(run)
            except BaseException:
                await self.discard(replica, run)
                raise
            await self.adopt(replica, run)

    async def discard(self, replica: Replica, run: Run) -> None:
        """End a run that was not adopted; what the current run uses stays."""
        run.child.kill()
        await run.child.ended
        self._give_up(run.ports, replica.current)

    async def stop(self, replica: Replica, reason: str) -> None:
        """Let a replica finish, and end it."""
        run, replica.current = replica.current, None
        replica.status = "stopped"
        replica.poked.set()
        self.replicas[replica.spec.name].remove(replica)
        if not self.replicas[replica.spec.name]:
            del self.replicas[replica.spec.name]
        if run is not None:
            await self._retire(run, reason)
            self._give_up(run.ports, None)
        self._hooks.changed()

    async def stop_all(self, reason: str) -> None:
        """Stop every replica at the same time."""
        every = [replica for listed in self.replicas.values() for replica in listed]
        await asyncio.gather(*(self.stop(replica, reason) for replica in every))

    def close_unused_ports(self) -> None:
        """Give up the ports with a number of the user's that no run uses any more."""
        used = {port for run in self._runs() for port in run.all_ports()}
        for address, port in list(self._fixed.items()):
            if port not in used:
                port.close()
                del self._fixed[address]

    async def _spawn(
        self,
        spec: ProcessSpec,
        replica: Replica,
        job: Job,
        sockets: list[int],
        posts: tuple[Post, ...],
        ports: Mapping[str, Port],
        fronts: tuple[Port, ...],
    ) -> Run:
        child = await self._spawner.spawn(replica.id, job, sockets)
        loop = asyncio.get_running_loop()
        run = Run(
            spec=spec,
            posts=posts,
            ports=ports,
            fronts=fronts,
            child=child,
            loaded=loop.create_future(),
            ready=loop.create_future(),
        )
        self._own(self._listen(run))
        return run

    async def _listen(self, run: Run) -> None:
        """Take what a process says until it says no more."""
        try:
            while True:
                run.take(await run.child.channel.report())
                self._hooks.changed()
        except Closed:
            status = await run.child.ended
            run.fail(DiedAtStart(in_words(status)))
        finally:
            run.child.channel.close()

    async def _reached(self, run: Run, point: "asyncio.Future[object]") -> None:
        try:
            await asyncio.shield(point)
        except RefusedStart as error:
            await run.child.ended
            raise RefusedByProcess(error.diagnostics, error.files) from None
        except DiedAtStart as error:
            names = ", ".join(f"`{post.instance}`" for post in run.posts)
            raise DaemonError(f"{names} {error} before it was ready", "see its log") from None
        except asyncio.CancelledError:
            run.child.kill()
            raise

    async def _watch(self, replica: Replica, run: Run) -> None:
        """Start a replica again when its current run ends by itself."""
        status = await asyncio.shield(run.child.ended)
        if replica.current is not run or replica.status == "draining":
            return
        for port in self._deserted(run):
            port.shut()
        now = self._clock.monotonic()
        replica.failures = 0 if now - run.ready_at >= STABLE_SECONDS else replica.failures + 1
        self._fell(replica, in_words(status))
        await self._spawner.sweep()
        await self._hooks.died(run.posts)
        while replica.current is run:
            await self._pause(replica)
            if replica.current is not run:
                return
            try:
                await self._again(replica, run)
            except InvalidInput as error:
                replica.failures += 1
                replica.diagnostics = error.diagnostics
                self._fell(replica, str(error))
            except DaemonError as error:
                replica.failures += 1
                self._fell(replica, str(error))

    async def _again(self, replica: Replica, dead: Run) -> None:
        async with replica.lock:
            if replica.current is not dead:
                return
            replica.status = "starting"
            self._hooks.changed()
            run = await self.load(replica.spec, replica)
            try:
                await self.serve(run)
            except BaseException:
                await self.discard(replica, run)
                raise
            replica.restarts += 1
            replica.current = None
            await self.adopt(replica, run)
            self._hooks.note(f"{replica.id} is back")

    def _fell(self, replica: Replica, reason: str) -> None:
        looping = replica.failures >= CRASH_LOOP
        replica.status = "failed" if looping else "waiting"
        replica.reason = f"crash loop, {replica.failures} times: {reason}" if looping else reason
        pause = _pause_seconds(replica.failures)
        soon = f"again in {pause:g} s" if pause else "again now"
        self._hooks.note(f"{replica.id} {reason}; starting it {soon}")
        self._hooks.changed()

    async def _pause(self, replica: Replica) -> None:
        pause = _pause_seconds(replica.failures)
        if not pause:
            return
        replica.poked.clear()
        jittered = pause * random.uniform(0.8, 1.2)  # noqa: S311  (no secret depends on it)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(replica.poked.wait(), jittered)

    async def _retire(self, run: Run, reason: str) -> None:
        """Let a run finish within the grace time, then end it."""
        with contextlib.suppress(Closed):
            await run.child.channel.order(Drain(reason=reason))
        try:
            async with asyncio.timeout(self._terms.grace_seconds + _KILL_AFTER_SECONDS):
                await asyncio.shield(run.child.ended)
        except TimeoutError:
            self._hooks.note(f"{run.child.name} does not end, and is killed")
            run.child.kill()
            await run.child.ended
        await self._spawner.sweep()

    def _ports(self, spec: ProcessSpec, before: Run | None) -> dict[str, Port]:
        """Return a port for each agent: the one it has, where its address is what it was."""
        old = {agent.key: _own_address(agent, before.spec) for agent in before.spec.agents} if (
            before
        ) else {}
        ports: dict[str, Port] = {}
        problems: list[Diagnostic] = []
        for agent in spec.agents:
            address = _own_address(agent, spec)
            try:
                if before is not None and old.get(agent.key) == address:
                    ports[agent.key] = before.ports[agent.key]
                else:
                    ports[agent.key] = self._new_port(agent, address)
            except InvalidInput as error:
                problems.extend(error.diagnostics)
        if problems:
            self._give_up(ports, before)
            raise InvalidInput(tuple(problems))
        return ports

    def _fronts(self, spec: ProcessSpec) -> tuple[Port, ...]:
        """Return the ports that the replicas of agents with a fixed port share."""
        return tuple(
            self._new_port(agent, (agent.host, agent.port))
            for agent in spec.agents
            if _has_front(agent, spec)
        )

    def _new_port(self, agent: AgentSpec, address: tuple[str, int]) -> Port:
        """Bind; a port with a number of the user's is made once, and used by all that need it."""
        if not (self._terms.insecure or is_loopback(agent.host)):
            raise InvalidInput((_exposed(agent),))
        if address in self._fixed:
            return self._fixed[address]
        try:
            port = Port(*address)
        except (OSError, OverflowError) as error:
            raise InvalidInput((_port_problem(agent, refusal(error)),)) from None
        if address[1]:
            self._fixed[address] = port
        return port

    def _give_up(self, ports: Mapping[str, Port], kept: Run | None) -> None:
        """Close ports that are no longer used; those with a number of the user's may yet be."""
        still = {*(kept.ports.values() if kept else ()), *self._fixed.values()}
        for port in set(ports.values()) - still:
            port.close()

    def _runs(self) -> Iterator[Run]:
        for listed in self.replicas.values():
            for replica in listed:
                if replica.current is not None:
                    yield replica.current

    def _deserted(self, dead: Run) -> set[Port]:
        """Return the ports of a run that no other one serves."""
        alive = (run for run in self._runs() if run is not dead and not run.child.ended.done())
        served = {port for run in alive for port in run.all_ports()}
        return set(dead.all_ports()) - served

    def _posts(
        self, spec: ProcessSpec, replica: Replica, ports: Mapping[str, Port]
    ) -> tuple[Post, ...]:
        self._incarnation = max(self._incarnation + 1, int(self._clock.now().timestamp() * 1000))
        return tuple(
            Post(
                agent=agent,
                instance=instance_id(
                    agent.name, replica.number, agent.namespace, self._terms.node
                ),
                incarnation=self._incarnation,
                endpoint=self._endpoint(agent, ports[agent.key]),
                sockets=1 + _has_front(agent, spec),
            )
            for agent in spec.agents
        )

    def _endpoint(self, agent: AgentSpec, port: Port) -> str:
        endpoint = port.endpoint
        if agent.host in WILDCARDS and not agent.advertise:
            endpoint = endpoint.advertised(outgoing_host(""))
        return endpoint.advertised(agent.advertise).url

    def _descriptors(
        self, spec: ProcessSpec, ports: Mapping[str, Port], fronts: tuple[Port, ...]
    ) -> list[int]:
        """Return the sockets in the order of the agents, each with its shared one behind it."""
        shared = iter(fronts)
        descriptors: list[int] = []
        for agent in spec.agents:
            descriptors.append(ports[agent.key].descriptor)
            if _has_front(agent, spec):
                descriptors.append(next(shared).descriptor)
        return descriptors

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _own_address(agent: AgentSpec, spec: ProcessSpec) -> tuple[str, int]:
    """Return where a replica of its own listens: the fixed port is shared by several."""
    return agent.host, agent.port if spec.replicas <= 1 else 0


def _has_front(agent: AgentSpec, spec: ProcessSpec) -> bool:
    return agent.port != 0 and spec.replicas > 1


def _exposed(agent: AgentSpec) -> Diagnostic:
    return Diagnostic(
        code="M404",
        message=f"agent `{agent.key}` would listen on `{agent.host}`",
        span=agent.at("host"),
        label="whoever reaches this address may call its tools",
        hint="say `--insecure` if the network around it is to be trusted",
    )


def _port_problem(agent: AgentSpec, reason: str) -> Diagnostic:
    return Diagnostic(
        code="M401",
        message=f"agent `{agent.key}` cannot listen on {agent.host}:{agent.port}: {reason}",
        span=agent.at("port" if agent.port else "host"),
        hint="choose another `http.port`, or 0 for any free one",
    )


def _pause_seconds(failures: int) -> float:
    """Return how long a replica waits after that many failures in a row; first not at all."""
    return 0.0 if failures <= 1 else float(min(0.5 * 2 ** (failures - 2), LONGEST_PAUSE_SECONDS))

