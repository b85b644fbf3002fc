"""Starts the processes that run a tool's calls, and talks to them: the instance's side.

They are Python processes of their own rather than forks: this one has threads and an event loop.
They begin with hardly any environment and receive the rest over the socket, because the one that
they began with is what `/proc/PID/environ` shows.
"""

import asyncio
import logging
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from meshd.callables.project import Project
from meshd.clock import Clock
from meshd.daemon.channel import pickled
from meshd.daemon.linux import kill_trees
from meshd.daemon.reaper import in_words
from meshd.daemon.tool_process import LENGTH, ToolJob
from meshd.domain.spec import AgentSpec, SecretSpec
from meshd.runtime.tool_processes import DoesNotStart, Done, Link, Message, Raised
from meshd.settings import from_environment

BUFFERED_BYTES = 1024 * 1024
FATE_SECONDS = 1.0
TICK_SECONDS = 0.01
_PLAIN = ("PATH", "HOME", "LANG", "TMPDIR")
_PLAIN_PREFIXES = ("PYTHON", "LD_", "LC_")


class ProcessLink:
    """A process that runs calls of one tool."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        clock: Clock,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._watched = -1
        self._watch()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        if self._watched < 0:
            return False
        # It stays a zombie, so that nothing else gets its id as long as that may be killed.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PIDFD, self._watched, flags) is None

    async def send(self, message: Message | ToolJob) -> None:
        """Send a message; raise what pickling raises if it cannot be sent."""
        body = pickled(message)
        self._writer.write(LENGTH.pack(len(body)))
        self._writer.write(body)
        try:
            await self._writer.drain()
        except OSError:
            raise EOFError from None

    async def receive(self) -> Message:
        """Return the next message; raise `EOFError` when the process has ended."""
        try:
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            # It runs the same user code as this process, and nobody else has the other end.
            return pickle.loads(await self._reader.readexactly(length))  # noqa: S301
        except OSError:
            raise EOFError from None

    async def fate(self) -> str:
        """Return in words how it ended, once it has."""
        for _ in range(round(FATE_SECONDS / TICK_SECONDS)):
            if self._watched < 0:
                break
            await self._clock.sleep(TICK_SECONDS)
        status = self._process.returncode
        return "talks no more" if status is None else in_words(status)

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        if self._watched >= 0:
            kill_trees([self._process.pid])
        self._writer.close()

    def _watch(self) -> None:
        """Notice its end even where something that it has started holds the socket."""
        self._watched = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._watched, self._ended)

    def _ended(self) -> None:
        self._loop.remove_reader(self._watched)
        os.close(self._watched)
        self._watched = -1
        # What it has left in its group has no parent any more that leads there.
        kill_trees([self._process.pid])
        self._process.wait()
        # What it has said is read first.
        self._loop.call_later(TICK_SECONDS, self._reader.feed_eof)


def starter(
    agent: AgentSpec, tool: str, project: Project, clock: Clock
) -> Callable[[], Awaitable[Link]]:
    """Return what starts a process for the agent's tool, which loads it as this process did."""
    spec = narrowed(agent, tool)

    async def start() -> Link:
        environment = from_environment().environment
        job = ToolJob(
            agent=spec,
            tool=tool,
            project=project,
            environment=dict(environment),
            verbose=logging.getLogger().isEnabledFor(logging.INFO),
        )
        link = await _launched(first_environment(environment, agent), clock)
        try:
            problem = await _problem(link, job)
        except BaseException:
            link.kill()
            raise
        if problem:
            link.kill()
            raise DoesNotStart(problem)
        return link

    return start


async def _problem(link: ProcessLink, job: ToolJob) -> str:
    """Hand the job over; return why the process cannot do it, or nothing."""
    try:
        await link.send(job)
        match await link.receive():
            case Done():
                return ""
            case Raised(description):
                return description
            case unexpected:
                return f"it said {unexpected!r}"
    except EOFError:
        return f"it {await link.fate()}"


async def _launched(environment: Mapping[str, str], clock: Clock) -> ProcessLink:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    # The user's folder is no place to import meshd from.
    command = [sys.executable, "-P", "-m", "meshd.daemon.tool_process"]
    with theirs:
        # On this thread: the process dies with the thread that has started it.
        process = subprocess.Popen(  # noqa: ASYNC220, S603
            [*command, str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=environment,
            process_group=0,
        )
    try:
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=BUFFERED_BYTES)
    except BaseException:
        process.kill()
        process.wait()
        ours.close()
        raise
    return ProcessLink(process, reader, writer, clock)


def narrowed(agent: AgentSpec, tool: str) -> AgentSpec:
    """Return the agent with nothing but the tool and the object that it is a method of."""
    [spec] = [each for each in agent.tools if each.name == tool]
    holder = "" if ":" in spec.callable else spec.callable.partition(".")[0]
    return replace(
        agent,
        tools=(spec,),
        objects=tuple(each for each in agent.objects if each.name == holder),
        resources=(),
        prompts=(),
        lifespan=None,
    )


def first_environment(environment: Mapping[str, str], agent: AgentSpec) -> dict[str, str]:
    """Return what Python needs to start, without the agent's secrets."""
    secrets = {name for name, value in agent.env.items() if isinstance(value, SecretSpec)}
    return {
        name: value
        for name, value in environment.items()
        if (name in _PLAIN or name.startswith(_PLAIN_PREFIXES)) and name not in secrets
    }
