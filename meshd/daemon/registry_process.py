"""The mesh's own registry: a process of the daemon, on a port that the daemon keeps for it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Literal

from meshd.clock import Clock
from meshd.daemon.channel import Closed
from meshd.daemon.messages import Drain, Ready, RegistryJob
from meshd.daemon.ports import Port
from meshd.daemon.reaper import in_words
from meshd.daemon.spawner import Child, Spawner
from meshd.errors import DaemonError

NAME = "registry"
READY_SECONDS = 5.0
_END_SECONDS = 4.0
_LONGEST_PAUSE_SECONDS = 10.0


class RegistryProcess:
    """Runs a registry, and starts it again on the same port when it dies."""

    def __init__(
        self, spawner: Spawner, port: Port, job: RegistryJob, note: Callable[[str], None]
    ) -> None:
        self.url = port.endpoint.url
        self.status: Literal["starting", "ready", "waiting"] = "starting"
        self.problem = ""
        self.process = 0
        self._spawner = spawner
        self._port = port
        self._job = job
        self._note = note
        self._ready = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self, clock: Clock) -> AsyncGenerator[None, None]:
        """Keep a registry while the block runs."""
        stopping = asyncio.Event()
        keeper = asyncio.ensure_future(self._keep(clock, stopping))
        try:
            yield
        finally:
            stopping.set()
            try:
                await keeper
            finally:
                self._port.close()

    async def ready(self) -> None:
        """Wait for the registry, but not for long: agents find it when it comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()

    async def _keep(self, clock: Clock, stopping: asyncio.Event) -> None:
        pause = 0.0
        while not stopping.is_set():
            try:
                child = await self._spawned(stopping)
            except DaemonError as error:
                self.problem = str(error)
            else:
                if child is None:
                    return
                self.process = child.process
                self._port.open()
                began = clock.monotonic()
                await self._listen(child, stopping)
                if stopping.is_set():
                    return
                self._port.shut()
                lived = clock.monotonic() - began
                pause = 0.0 if lived > _LONGEST_PAUSE_SECONDS else pause
                self.problem = f"the registry {in_words(await child.end())}"
            self.status = "waiting"
            self._ready.clear()
            self._note(f"{self.problem}; starting it again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
            pause = min(max(0.5, 2 * pause), _LONGEST_PAUSE_SECONDS)

    async def _spawned(self, stopping: asyncio.Event) -> Child | None:
        """Return a new process, None if there is to be none any more."""
        sockets = [self._port.descriptor]
        spawning = asyncio.ensure_future(self._spawner.spawn(NAME, self._job, sockets))
        told = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({spawning, told}, return_when=asyncio.FIRST_COMPLETED)
            return spawning.result() if spawning.done() else None
        finally:
            for task in (spawning, told):
                task.cancel()
            await asyncio.gather(spawning, told, return_exceptions=True)

    async def _listen(self, child: Child, stopping: asyncio.Event) -> None:
        """Take what the registry says until it ends, or is to end."""

        async def hear() -> None:
            with contextlib.suppress(Closed):
                while True:
                    report = await child.channel.report()
                    if isinstance(report, Ready):
                        self.status, self.problem = "ready", report.problem
                        self._ready.set()

        hearing = asyncio.ensure_future(hear())
        told = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({child.ended, told}, return_when=asyncio.FIRST_COMPLETED)
        if not child.ended.done():
            with contextlib.suppress(Closed):
                await child.channel.order(Drain(reason="the mesh stops"))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.end(), _END_SECONDS)
            child.kill()
            await child.end()
        for task in (hearing, told):
            task.cancel()
        child.channel.close()
