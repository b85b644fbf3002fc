"""A server that does on each connection what a test's script says, byte for byte."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from meshd.clock import SystemClock
from meshd.daemon.ports import Port


@dataclass
class Peer:
    """The server's side of one connection; `number` counts connections from 1."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Return one whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"\r\nContent-Length: (\d+)\r\n", head)
        return head + await self.reader.readexactly(int(length))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, more: bytes = b"") -> None:
        await self.send(
            b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (more, len(body), body)
        )

    async def end(self) -> None:
        """Wait until the client closes the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    def reset(self) -> None:
        """Close the connection so that the client's system says it was reset."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Peers:
    """What serves; `count` are the connections so far."""

    url: str
    count: int = 0
    failures: list[BaseException] = field(default_factory=list[BaseException])
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


@contextlib.asynccontextmanager
async def peers(
    script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Peers, None]:
    """Serve the script; what it raises, but for broken connections, is raised at the end."""
    port = Port(host, 0)
    port.open()
    found = Peers(port.endpoint.url)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        found.tasks.add(task)
        found.count += 1
        try:
            await script(Peer(found.count, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - raised at the end
            found.failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, sock=port.duplicate(), ssl=tls, backlog=1024)
    try:
        yield found
    finally:
        server.close()
        port.close()
        for task in found.tasks:
            task.cancel()
        if found.tasks:
            await asyncio.wait(found.tasks)
        # So that the transports of closed connections are gone before the loop is.
        await SystemClock().sleep(0)
    if found.failures:
        raise found.failures[0]
