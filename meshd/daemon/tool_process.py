"""A process that runs calls of one tool: `execution: process`. It has one thread and no event loop.

It loads the tool as its instance did, from the same reference under the same rules, and dies with
its instance, however that ends. Run as `python -m meshd.daemon.tool_process SOCKET INSTANCE`.
"""

import asyncio
import gc
import inspect
import logging
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import Any, cast

from meshd.callables.dump import dump
from meshd.callables.project import Project
from meshd.callables.tool import LoadedTool
from meshd.daemon.linux import die_with, set_process_name
from meshd.daemon.prepare import load
from meshd.diagnostics.model import has_errors
from meshd.domain.spec import AgentSpec
from meshd.errors import ArgumentsRejected, CallError
from meshd.runtime.raised import described, log_raised
from meshd.runtime.tool_processes import (
    Answer,
    Ask,
    Chunk,
    Done,
    End,
    Failed,
    Invoke,
    Message,
    Raised,
)
from meshd.settings import enter_environment

LENGTH = struct.Struct("!Q")
LOG_FORMAT = "%(levelname)-7s %(name)s: %(message)s"
"""Without the time, which the daemon writes before each line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolJob:
    """Load this tool and run its calls; `environment` is the whole of it."""

    agent: AgentSpec
    tool: str
    project: Project
    environment: Mapping[str, str] = field(repr=False)
    verbose: bool = False


class Channel:
    """The socket to the instance; reading it at its end raises `EOFError`."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._reading = channel.makefile("rb")

    def receive(self) -> Any:
        """Return the next message."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        # The instance made it, and nobody else has the other end.
        return pickle.loads(self._exactly(length))  # noqa: S301

    def send(self, message: Message) -> None:
        """Send a message, or raise what pickling raises."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._channel.sendall(LENGTH.pack(len(body)))
        self._channel.sendall(body)

    def _exactly(self, size: int) -> bytes:
        found = self._reading.read(size)
        if len(found) < size:
            raise EOFError
        return found


class RemoteProxy:
    """The proxy of a callable that runs here: the instance makes the call."""

    def __init__(self, channel: Channel, parameter: str) -> None:
        self._channel = channel
        self._parameter = parameter

    def __call__(self, *positional: Any, **arguments: Any) -> Any:
        """Call the provider; see `meshd.api.SyncToolProxy`."""
        if positional:
            raise ArgumentsRejected(f"call `{self._parameter}` with named arguments")
        sendable = {name: dump(value, name) for name, value in arguments.items()}
        self._channel.send(Ask(self._parameter, sendable))
        match self._channel.receive():
            case Answer(value):
                return value
            case Failed(error):
                raise error
            case unexpected:
                raise TypeError(f"the instance said {unexpected!r}")


def main() -> None:
    """Run calls until the instance is gone."""
    if not die_with(int(sys.argv[2]), signal.SIGKILL):
        return
    # The instance finishes its calls when it is told to end, and ends this process itself.
    # A function, unlike SIG_IGN, is not handed on to what the user's code starts.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _finish_first)
    own = socket.socket(fileno=int(sys.argv[1]))
    own.set_inheritable(False)
    channel = Channel(own)
    try:
        job: ToolJob = channel.receive()
        _prepare(job)
        tool = _loaded(job, channel)
        if tool is not None:
            channel.send(Done())
            _serve(f"{job.agent.key}.{job.tool}", tool, channel)
    except (EOFError, ConnectionError):
        return


def _finish_first(_: int, __: object) -> None:
    """Go on: whoever sent the signal has sent it to the instance too."""


def _prepare(job: ToolJob) -> None:
    set_process_name(f"meshd:{job.tool}")
    sys.argv = ["meshd", job.tool]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    level = logging.INFO if job.verbose else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format=LOG_FORMAT)
    enter_environment(job.environment)


def _loaded(job: ToolJob, channel: Channel) -> LoadedTool | None:
    """Load the tool, or tell the instance why it cannot be."""
    loading = load([job.agent], job.project)
    if not has_errors(loading.diagnostics):
        gc.freeze()
        return loading.agents[job.agent.key].tools[job.tool]
    first = next(each for each in loading.diagnostics if has_errors([each]))
    channel.send(Raised(f"{first.message}: {first.label}" if first.label else first.message))
    return None


def _serve(provider: str, tool: LoadedTool, channel: Channel) -> None:
    while True:
        message = cast("Invoke", channel.receive())
        end = _ended(provider, tool, message, channel)
        try:
            channel.send(end)
        except OSError:
            return
        # Content of MCP is handed on as it is, and may hold anything.
        except Exception as error:  # noqa: BLE001
            channel.send(Raised(f"its result cannot leave its process: {described(error)}"))


def _ended(provider: str, tool: LoadedTool, message: Invoke, channel: Channel) -> End:
    """Run one call and return how it ended."""
    injected = {
        name: RemoteProxy(channel, name) if is_there else None
        for name, is_there in message.needs.items()
    }
    try:
        value = tool.invoke(tool.validate(message.arguments), injected)
        if tool.signature.mode.is_generator:
            for chunk in value:
                channel.send(Chunk(tool.dump_item(chunk)))
            return Done()
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
        return Done(tool.dump(value))
    except CallError as error:
        return Failed(error)
    # The user's callable ends here: whatever it raised becomes an answer, SystemExit too.
    except BaseException as error:  # noqa: BLE001
        log_raised(provider, error)
        return Raised(described(error), _portable(error))


async def _awaited(value: Any) -> Any:
    return await value


def _portable(error: BaseException) -> BaseException | None:
    """Return the exception if it comes through pickling, as few with parameters of their own do."""
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (what was made right here)
    except Exception:  # noqa: BLE001  (the user's exception may do anything)
        return None
    return error if type(copy) is type(error) else None


if __name__ == "__main__":
    main()
