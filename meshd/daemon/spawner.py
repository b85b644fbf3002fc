"""Starts the processes of the mesh through a fork server, which is started again if it dies."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from meshd.clock import Clock
from meshd.daemon.channel import Closed, DaemonEnd, daemon_end, send_sockets
from meshd.daemon.fork_server import MAX_MESSAGE_BYTES
from meshd.daemon.linux import kill_orphans, kill_trees
from meshd.daemon.messages import Job
from meshd.daemon.reaper import Reaper, in_words
from meshd.errors import DaemonError

WARM_SECONDS = 60.0
_ATTEMPTS = 3
_SETTLE_SECONDS = 0.2
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


@dataclass(slots=True, eq=False)
class _ForkServer:
    """One fork server, and who waits for its answers."""

    process: int
    requests: socket.socket
    ended: "asyncio.Future[int]"
    is_warm: asyncio.Event = field(default_factory=asyncio.Event)
    is_dismissed: bool = False
    answers: "dict[int, asyncio.Future[int]]" = field(
        default_factory=dict[int, "asyncio.Future[int]"]
    )

    def tell(self, message: dict[str, list[int]]) -> None:
        """Say something that needs no answer; who is gone need not hear it."""
        with contextlib.suppress(OSError):
            self.requests.send(json.dumps(message).encode())

    def dismiss(self, alive: Iterable[int]) -> None:
        """Let it end, without what it guards."""
        self.is_dismissed = True
        self.tell({"forget": sorted(alive)})
        with contextlib.suppress(OSError):
            self.requests.shutdown(socket.SHUT_RDWR)

    async def fork(self, number: int, name: str, descriptors: list[int]) -> int | None:
        """Let it fork; return the new process, None if the fork server has gone."""
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        request = [json.dumps({"name": name, "number": number}).encode()]
        try:
            socket.send_fds(self.requests, request, descriptors)
            await asyncio.wait({answer, self.ended}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        except OSError:
            # It is about to end, or has too much to do.
            await asyncio.wait({self.ended}, timeout=_SETTLE_SECONDS)
            return None
        finally:
            del self.answers[number]

    async def listen(self) -> None:
        """Take what it says until it says no more."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while word := await loop.sock_recv(self.requests, MAX_MESSAGE_BYTES):
                said = json.loads(word)
                if "ready" in said:
                    self.is_warm.set()
                elif said["number"] in self.answers:
                    self.answers[said["number"]].set_result(said["process"])
                else:
                    # Whoever asked has given up; the process ends with its closed channel.
                    self.tell({"forget": [said["process"]]})


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
        self._reaper = reaper
        self._on_output = on_output
        self._note = note
        self._clock = clock
        self._server: _ForkServer | None = None
        self._is_decided = asyncio.Event()
        """Whether a fork server is warm, or has failed."""
        self._failure: DaemonError | None = None
        self._numbers = itertools.count(1)
        self._one_at_a_time = asyncio.Lock()
        self._alive: set[int] = set()

    @property
    def fork_server(self) -> int:
        """The process id of the fork server; 0 before there is one."""
        return self._server.process if self._server else 0

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
                await self._is_decided.wait()
        except TimeoutError:
            raise DaemonError("the fork server takes too long to start") from None
        if self._failure is not None:
            raise self._failure

    async def spawn(self, name: str, job: Job, sockets: Sequence[int]) -> Child:
        """Start a process and give it its job and sockets.

        Raises:
            DaemonError: no process could be forked.

        """
        reading, writing = os.pipe()
        try:
            async with self._one_at_a_time:
                self._reaper.forget_strangers()
                process, ours = await self._forked(name, writing)
                self._alive.add(process)
                ended = self._reaper.end_of(process)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._on_output(name, reading)
        ended.add_done_callback(lambda _: self._forget(process))
        try:
            with contextlib.suppress(Closed, OSError):
                send_sockets(ours, list(sockets))
            channel = await daemon_end(ours)
            with contextlib.suppress(Closed):
                await channel.give(job)
        except BaseException:
            ours.close()
            kill_trees([process])
            raise
        return Child(name, process, channel, ended)

    async def sweep(self) -> None:
        """Kill what dead processes of the mesh have left: their orphans are ours by now."""
        async with self._one_at_a_time:
            kill_orphans(self._reaper.known())

    async def use(self, environment: Mapping[str, str]) -> None:
        """Let processes start from another environment; with a new fork server, if it differs."""
        if dict(environment) != self.environment:
            async with self._one_at_a_time:
                self.environment = dict(environment)
                self._is_decided.clear()
                if self._server is not None:
                    # It goes, but what it has forked stays.
                    self._server.dismiss(self._alive)

    def _forget(self, process: int) -> None:
        self._alive.discard(process)
        if self._server is not None:
            self._server.tell({"forget": [process]})

    async def _forked(self, name: str, output: int) -> tuple[int, socket.socket]:
        """Return a new process, and the daemon's end of its channel."""
        for _ in range(_ATTEMPTS):
            await self.warm()
            server = self._server
            assert server is not None  # noqa: S101  (one is warm)
            # What a dying fork server has forked all the same ends with this channel.
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    descriptors = [theirs.fileno(), output]
                    process = await server.fork(next(self._numbers), name, descriptors)
            except BaseException:
                ours.close()
                raise
            if process is not None:
                return process, ours
            ours.close()
            if server is self._server and server.ended.done():
                self._is_decided.clear()
        raise DaemonError("the fork server does not fork")

    async def _keep(self) -> None:
        """Start a fork server, and another one whenever it ends."""
        pause = 0.0
        while True:
            server = self._server = self._start()
            with server.requests:
                status = await self._served(server)
            if server.is_dismissed:
                continue
            if server.is_warm.is_set():
                self._is_decided.clear()
                pause = 0.0
            else:
                words = f"the fork server {in_words(status)} before it could fork"
                self._failure = DaemonError(words, "its output is above")
                self._is_decided.set()
                pause = min(max(1.0, 2 * pause), _LONGEST_PAUSE_SECONDS)
            self._note(f"the fork server {in_words(status)}; starting another one")
            await self._clock.sleep(pause)

    async def _served(self, server: _ForkServer) -> int:
        """Let a fork server serve, once it is warm; return how it ended."""
        began = self._clock.monotonic()
        listening = asyncio.ensure_future(server.listen())
        warming = asyncio.ensure_future(server.is_warm.wait())
        try:
            await asyncio.wait({warming, server.ended}, return_when=asyncio.FIRST_COMPLETED)
            if server.is_warm.is_set() and not server.is_dismissed:
                self.warm_after_seconds = self._clock.monotonic() - began
                server.tell({"guard": sorted(self._alive)})
                self._failure = None
                self._is_decided.set()
            return await asyncio.shield(server.ended)
        finally:
            for task in (listening, warming):
                task.cancel()
            await asyncio.gather(listening, warming, return_exceptions=True)

    def _start(self) -> _ForkServer:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.set_inheritable(True)
        # The user's folder is no place to import meshd from.
        command = [sys.executable, "-P", "-m", "meshd.daemon.fork_server"]
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        with theirs:
            process = os.posix_spawn(
                sys.executable,
                [*command, str(theirs.fileno()), str(os.getpid())],
                self.environment,
                file_actions=[nothing],
            )
        return _ForkServer(process, ours, self._reaper.end_of(process))

    async def _end(self) -> None:
        """Let the fork server end, which kills what it still guards."""
        if self._server is None:
            return
        ended = self._server.ended
        if not self._server.is_warm.is_set():
            kill_trees([self._server.process])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.shield(ended)
        if not ended.done():
            kill_trees([self._server.process])
            await asyncio.shield(ended)
