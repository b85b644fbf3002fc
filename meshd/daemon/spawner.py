"""Starts the processes of the mesh through a fork server, which is started again if it dies."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from meshd.clock import Clock
from meshd.daemon.channel import Closed, DaemonEnd, daemon_end, send_sockets
from meshd.daemon.fork_server import MAX_MESSAGE_BYTES
from meshd.daemon.linux import children, kill_trees
from meshd.daemon.messages import Job
from meshd.daemon.reaper import Reaper, in_words
from meshd.errors import DaemonError

WARM_SECONDS = 60.0
_ATTEMPTS = 3
_LONGEST_PAUSE_SECONDS = 30.0

OnOutput = Callable[[str, int], None]
"""Receives the name of a new process, and the reading end of the pipe that it prints into."""


@dataclass(slots=True, eq=False)
class Child:
    """A process of the mesh: how to talk to it, and when it has ended."""

    name: str
    process: int
    channel: DaemonEnd
    ended: "asyncio.Future[int]"

    async def end(self) -> int:
        """Wait until it has ended; return its exit status, negative if a signal ended it."""
        # Shielded, because others wait for the same end.
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """End it at once, with everything below it."""
        if not self.ended.done():
            kill_trees([self.process])


class Spawner:
    """The daemon's side of the fork server."""

    def __init__(
        self,
        reaper: Reaper,
        environment: Mapping[str, str],
        on_output: OnOutput,
        note: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """Take the environment of the fork server: what every process of the mesh may see."""
        self.environment = dict(environment)
        self.warm_after_seconds = 0.0
        self.fork_server = 0
        self._reaper = reaper
        self._on_output = on_output
        self._note = note
        self._clock = clock
        self._requests: socket.socket | None = None
        self._is_warm = asyncio.Event()
        self._failure: DaemonError | None = None
        self._one_at_a_time = asyncio.Lock()
        self._alive: set[int] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Keep a fork server while the block runs; it begins to warm up at once."""
        keeper = asyncio.ensure_future(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
            await self._end()

    async def warm(self) -> None:
        """Wait until the fork server has imported what it needs.

        Raises:
            DaemonError: it did not start.

        """
        try:
            async with asyncio.timeout(WARM_SECONDS):
                await self._is_warm.wait()
        except TimeoutError:
            raise DaemonError("the fork server takes too long to start") from None
        if self._failure is not None:
            raise self._failure

    async def spawn(self, name: str, job: Job, sockets: Sequence[int]) -> Child:
        """Start a process and give it its job and sockets.

        Raises:
            DaemonError: no process could be forked.

        """
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        try:
            try:
                async with self._one_at_a_time:
                    self._reaper.forget_strangers()
                    process = await self._forked(name, [theirs.fileno(), writing])
                    self._alive.add(process)
                    ended = self._reaper.end_of(process)
            finally:
                theirs.close()
                os.close(writing)
        except BaseException:
            ours.close()
            os.close(reading)
            raise
        self._on_output(name, reading)
        ended.add_done_callback(lambda _: self._forget(process))
        channel: DaemonEnd | None = None
        with contextlib.suppress(Closed, OSError):
            send_sockets(ours, list(sockets))
        channel = await daemon_end(ours)
        with contextlib.suppress(Closed):
            await channel.give(job)
        return Child(name, process, channel, ended)

    async def sweep(self) -> None:
        """Kill what dead processes of the mesh have left: their orphans are ours by now."""
        async with self._one_at_a_time:
            orphans = children(os.getpid()) - self._reaper.known()
            kill_trees(orphans)

    async def use(self, environment: Mapping[str, str]) -> None:
        """Let processes start from another environment; with a new fork server, if it differs."""
        if dict(environment) != self.environment:
            async with self._one_at_a_time:
                self.environment = dict(environment)
                self._is_warm.clear()
                if self._requests is not None:
                    self._requests.shutdown(socket.SHUT_RDWR)

    def _forget(self, process: int) -> None:
        self._alive.discard(process)
        self._tell({"forget": [process]})

    def _tell(self, message: dict[str, list[int]]) -> None:
        if self._requests is not None and self._is_warm.is_set():
            with contextlib.suppress(OSError):
                self._requests.send(json.dumps(message).encode())

    async def _forked(self, name: str, descriptors: list[int]) -> int:
        request = [json.dumps({"name": name}).encode()]
        for _ in range(_ATTEMPTS):
            await self.warm()
            requests = self._requests
            if requests is None:
                continue
            try:
                socket.send_fds(requests, request, descriptors)
                answer = await asyncio.get_running_loop().sock_recv(requests, MAX_MESSAGE_BYTES)
            except OSError:
                answer = b""
            if answer:
                return json.loads(answer)["process"]
            self._is_warm.clear()
        raise DaemonError("the fork server does not fork")

    async def _keep(self) -> None:
        """Start a fork server, and another one whenever it ends."""
        pause = 0.0
        while True:
            began = self._clock.monotonic()
            ended = self._start()
            if await self._became_warm(ended):
                self.warm_after_seconds = self._clock.monotonic() - began
                self._failure, pause = None, 0.0
                self._is_warm.set()
                self._tell({"guard": sorted(self._alive)})
            status = await asyncio.shield(ended)
            was_warm = self._is_warm.is_set()
            self._is_warm.clear()
            if not was_warm:
                self._failure = DaemonError(
                    f"the fork server {in_words(status)} before it could fork",
                    "its output is above",
                )
                self._is_warm.set()
                pause = min(max(1.0, 2 * pause), _LONGEST_PAUSE_SECONDS)
            self._note(f"the fork server {in_words(status)}; starting another one")
            await self._clock.sleep(pause)

    def _start(self) -> "asyncio.Future[int]":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self._requests is not None:
            self._requests.close()
        self._requests = ours
        ours.setblocking(False)
        theirs.set_inheritable(True)
        # The user's folder is no place to import meshd from.
        command = [sys.executable, "-P", "-m", "meshd.daemon.fork_server"]
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        with theirs:
            self.fork_server = os.posix_spawn(
                sys.executable,
                [*command, str(theirs.fileno()), str(os.getpid())],
                self.environment,
                file_actions=[nothing],
            )
        return self._reaper.end_of(self.fork_server)

    async def _became_warm(self, ended: "asyncio.Future[int]") -> bool:
        """Wait for the fork server's first word; False if it ended without one."""
        assert self._requests is not None  # noqa: S101
        loop = asyncio.get_running_loop()
        try:
            word = await loop.sock_recv(self._requests, MAX_MESSAGE_BYTES)
        except OSError:
            word = b""
        return bool(word) and not ended.done()

    async def _end(self) -> None:
        """Let the fork server end, which kills what it still guards."""
        if self._requests is not None:
            self._requests.close()
        ended = self._reaper.end_of(self.fork_server) if self.fork_server else None
        if ended is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(ended)
            if not ended.done():
                kill_trees([self.fork_server])
                await asyncio.shield(ended)
