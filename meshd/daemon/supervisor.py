"""Keeps the processes of the mesh running: loads, serves, replaces, drains, and starts again.

A start has two halves, so that a mesh is checked whole before any of it serves: `load` forks a
process that imports the user's code and reports, `serve` lets it answer. A replacement shares the
sockets of the run that it replaces, and takes over before that one drains.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshd.callables.project import Project
from meshd.clock import Clock
from meshd.daemon.addresses import Addresses, Ports, in_order
from meshd.daemon.channel import Closed
from meshd.daemon.messages import LINGER_SECONDS, Drain, InstanceJob, Post, Serve
from meshd.daemon.ports import Port
from meshd.daemon.reaper import in_words
from meshd.daemon.replica import DiedAtStart, RefusedStart, Replica, Run
from meshd.daemon.spawner import Spawner
from meshd.daemon.watch import fingerprint_since
from meshd.diagnostics.model import Diagnostic
from meshd.domain.tokens import Tokens
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

    project: Callable[[], Project]
    """Returns the project of the last reading."""
    node: str = ""
    grace_seconds: float = 10.0
    insecure: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the supervisor tells others, and asks of them."""

    note: Callable[[str], None]
    changed: Callable[[], None]
    died: Callable[[tuple[Post, ...]], Coroutine[Any, Any, None]]
    """Called with the instances that a dead process served, so that the registry hears of it."""
    environment: Callable[[ProcessSpec], Mapping[str, str]]
    """Returns what a process finds in its environment, or raises `InvalidInput`."""
    tokens: Callable[[ProcessSpec], Mapping[str, Tokens]]
    """Returns the tokens of its agents by key, or raises `InvalidInput`."""
    registry_url: Callable[[], str]


class Supervisor:
    """All replicas by the name of their process; belongs to one event loop."""

    def __init__(self, spawner: Spawner, terms: Terms, hooks: Hooks, clock: Clock) -> None:
        self.replicas: dict[str, list[Replica]] = {}
        self._spawner = spawner
        self._terms = terms
        self._hooks = hooks
        self._clock = clock
        self._addresses = Addresses(clock, node=terms.node, insecure=terms.insecure)
        self._loads = asyncio.Semaphore(_LOADS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._retiring: set[asyncio.Future[None]] = set()
        self._starting: set[Run] = set()
        """Those that no replica has adopted yet."""
        self._is_stopping = False

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
            for run in self._starting:
                self._addresses.release(run.ports, {})
            self.close_unused_ports()

    async def load(self, spec: ProcessSpec, replica: Replica) -> Run:
        """Fork a process that imports the user's code, and wait until it has.

        Raises:
            InvalidInput: something is wrong with the code, a port or a secret.
            DaemonError: no process could be forked, or it died without a word.

        """
        self._require_going_on()
        environment, tokens = self._hooks.environment(spec), self._hooks.tokens(spec)
        before = replica.current
        held: Ports = before.ports if before else {}
        ports = self._addresses.own(spec, before.spec if before else None, held)
        try:
            fronts = self._addresses.shared(spec)
            job = InstanceJob(
                name=replica.id,
                project=self._terms.project(),
                posts=self._addresses.posts(spec, replica.number, ports, fronts, tokens),
                environment=environment,
                grace_seconds=self._terms.grace_seconds,
                verbose=self._terms.verbose,
            )
            async with self._loads:
                run = await self._spawn(spec, job, ports, fronts)
                await self._reached(run, run.loaded)
                run.files = await asyncio.to_thread(
                    fingerprint_since, map(Path, run.loaded.result().files), run.started_at
                )
        except BaseException:
            self._addresses.release(ports, held)
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
        self._starting.discard(run)
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
            # In the background: who changes something else need not wait for its last calls.
            retiring = asyncio.ensure_future(self._replaced(before, run))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    async def replace(self, spec: ProcessSpec, replica: Replica, run: Run | None = None) -> None:
        """Start a replica as the spec says, from a loaded run or a new one; raises as `load`."""
        async with replica.lock:
            run = run or await self.load(spec, replica)
            if not await self._serves(replica, run):
                raise DaemonError(f"{replica.id} is stopped")
            await self.adopt(replica, run)

    async def discard(self, replica: Replica, run: Run) -> None:
        """End a run that was not adopted; what the current run uses stays."""
        run.child.kill()
        await run.child.end()
        self._addresses.release(run.ports, replica.current.ports if replica.current else {})

    async def stop(self, replica: Replica, reason: str) -> None:
        """Let a replica finish, and end it; it is listed as long as it drains."""
        replica.is_wanted, replica.status = False, "draining"
        replica.poked.set()
        self._hooks.changed()
        if replica.current is not None:
            replica.current.is_last = True
            linger = 0.0 if self._is_stopping else LINGER_SECONDS
            await self._retire(replica.current, reason, linger)
            self._addresses.release(replica.current.ports, {})
        replica.current, replica.status = None, "stopped"
        listed = self.replicas.get(replica.spec.name, [])
        if replica in listed:
            listed.remove(replica)
        if not listed:
            self.replicas.pop(replica.spec.name, None)
        self._hooks.changed()

    async def stop_all(self, reason: str) -> None:
        """Stop every replica at the same time; those replaced before finish as well."""
        self._is_stopping = True
        for run in self._starting:
            run.child.kill()
        every = [replica for listed in self.replicas.values() for replica in listed]
        stopping = (self.stop(replica, reason) for replica in every)
        await asyncio.gather(*stopping, *self._retiring)

    def runs(self) -> Iterator[Run]:
        """Yield what runs now, and what is about to be started again."""
        for listed in self.replicas.values():
            for replica in listed:
                if replica.current is not None:
                    yield replica.current

    def close_unused_ports(self) -> None:
        """Give up the ports with a number of the user's that no run uses any more."""
        used = {port for run in self.runs() for port in run.all_ports()}
        self._addresses.close_unused(used)

    async def _spawn(self, spec: ProcessSpec, job: InstanceJob, ports: Ports, fronts: Ports) -> Run:
        sockets = [port.descriptor for port in in_order(spec, ports, fronts)]
        started_at = self._clock.now().timestamp()
        child = await self._spawner.spawn(job.name, job, sockets)
        if self._is_stopping:
            child.kill()
        loop = asyncio.get_running_loop()
        run = Run(
            spec=spec,
            posts=job.posts,
            ports=ports,
            fronts=fronts,
            child=child,
            started_at=started_at,
            loaded=loop.create_future(),
            ready=loop.create_future(),
        )
        self._starting = {one for one in self._starting if not one.child.ended.done()} | {run}
        self._own(self._listen(run))
        return run

    async def _listen(self, run: Run) -> None:
        """Take what a process says until it says no more."""
        try:
            while True:
                run.take(await run.child.channel.report())
                self._hooks.changed()
        except Closed:
            status = await run.child.end()
            run.fail(DiedAtStart(in_words(status)))
        finally:
            run.child.channel.close()

    async def _reached(self, run: Run, point: "asyncio.Future[Any]") -> None:
        try:
            await asyncio.shield(point)
        except RefusedStart as error:
            await run.child.end()
            raise RefusedByProcess(error.diagnostics, error.files) from None
        except DiedAtStart as error:
            self._require_going_on()
            names = ", ".join(f"`{post.instance}`" for post in run.posts)
            raise DaemonError(f"{names} {error} before it was ready", "see its log") from None
        except asyncio.CancelledError:
            run.child.kill()
            raise

    def _require_going_on(self) -> None:
        if self._is_stopping:
            raise DaemonError("the mesh stops")

    async def _watch(self, replica: Replica, run: Run) -> None:
        """Start a replica again when its current run ends by itself."""
        status = await run.child.end()
        if replica.current is not run or not replica.is_wanted:
            return
        for port in self._deserted(run):
            port.shut()
        now = self._clock.monotonic()
        replica.failures = 0 if now - run.ready_at >= STABLE_SECONDS else replica.failures + 1
        self._fell(replica, in_words(status))
        await self._spawner.sweep()
        # A registry that hangs must not keep anything from starting.
        self._own(self._hooks.died(run.posts))
        while replica.current is run and replica.is_wanted:
            await self._pause(replica)
            if replica.current is not run or not replica.is_wanted:
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
            if not await self._serves(replica, run):
                return
            replica.restarts += 1
            replica.current = None
            await self.adopt(replica, run)
            self._hooks.note(f"{replica.id} is back")

    async def _serves(self, replica: Replica, run: Run) -> bool:
        """Let a loaded run serve, or end it; False if its replica is not wanted any more."""
        try:
            await self.serve(run)
        except BaseException:
            await self.discard(replica, run)
            raise
        if not replica.is_wanted:
            await self.discard(replica, run)
        return replica.is_wanted

    def _fell(self, replica: Replica, reason: str) -> None:
        looping = replica.failures >= CRASH_LOOP
        replica.status = "failed" if looping else "waiting"
        if looping:
            reason = f"{reason} (crash loop: {replica.failures} times in a row)"
        replica.reason = reason
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

    async def _replaced(self, before: Run, after: Run) -> None:
        await self._retire(before, "replaced", LINGER_SECONDS)
        self._addresses.release(before.ports, after.ports)

    async def _retire(self, run: Run, reason: str, linger_seconds: float) -> None:
        """Let a run finish within the grace time, then end it."""
        with contextlib.suppress(Closed):
            await run.child.channel.order(Drain(reason=reason, linger_seconds=linger_seconds))
        try:
            async with asyncio.timeout(self._terms.grace_seconds + _KILL_AFTER_SECONDS):
                await run.child.end()
        except TimeoutError:
            self._hooks.note(f"{run.child.name} does not end, and is killed")
            run.child.kill()
            await run.child.end()
        await self._spawner.sweep()

    def _deserted(self, dead: Run) -> set[Port]:
        """Return the ports of a run that no other one serves."""
        alive = (run for run in self.runs() if run is not dead and not run.child.ended.done())
        served = {port for run in alive for port in run.all_ports()}
        return set(dead.all_ports()) - served

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pause_seconds(failures: int) -> float:
    """Return how long a replica waits after that many failures in a row; first not at all."""
    return 0.0 if failures <= 1 else float(min(0.5 * 2 ** (failures - 2), LONGEST_PAUSE_SECONDS))
