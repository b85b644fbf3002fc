"""All connections of a client: kept while they may be of use, shared by all calls to a server.

A request takes the connection that was used last, so that those which are too many age and are
closed. Where none is free, a few are opened at a time, and what waits takes whichever comes first:
a new one, or one that becomes free.
"""

import asyncio
import ssl
from collections import deque

from meshd.runtime.wire.address import Address
from meshd.runtime.wire.connection import Connection
from meshd.runtime.wire.exchange import Exchange
from meshd.runtime.wire.failures import NotSent, words

IDLE_SECONDS = 30.0
"""How long an idle connection is kept: less than any server of ours keeps it."""
CONNECT_SECONDS = 5.0
CONNECTIONS_PER_SERVER = 1_000
CONNECTING_AT_ONCE = 32

_Waiter = asyncio.Future[Connection | NotSent | None]
"""What a request waits for: a connection, the reason why there is none, or leave to open one."""


class _Server:
    """The connections to one server; `opened` counts those that are being opened, too."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.idle: list[Connection] = []
        self.waiters: deque[_Waiter] = deque()
        self.opened = 0
        self.connecting = 0

    @property
    def may_open(self) -> bool:
        """Say whether one more connection may be opened now."""
        return self.connecting < CONNECTING_AT_ONCE and self.opened < CONNECTIONS_PER_SERVER

    def reserve(self) -> None:
        """Count a connection that is going to be opened."""
        self.opened += 1
        self.connecting += 1

    def next_waiter(self) -> _Waiter | None:
        """Take the one that waits longest."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def let_open(self) -> None:
        """Let the next ones open connections, if they may."""
        while self.may_open and (waiter := self.next_waiter()):
            self.reserve()
            waiter.set_result(None)


class Pool:
    """Sends requests; belongs to one event loop. `tls` is what certificates are checked by."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._servers: dict[str, _Server] = {}
        self._connections: dict[Connection, _Server] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    @property
    def connection_count(self) -> int:
        """How many connections are open, busy or idle."""
        return len(self._connections)

    @property
    def idle_count(self) -> int:
        """How many of them wait for a request."""
        return sum(len(server.idle) for server in self._servers.values())

    @property
    def server_count(self) -> int:
        """How many servers it has, or opens, connections to."""
        return len(self._servers)

    async def ask(self, address: Address, request: bytes, max_bytes: int) -> Exchange:
        """Send a request; return when the answer, or the beginning of an event stream, is there.

        An answer of more than the given bytes is not read to its end. Cancelling closes the
        connection.

        Raises:
            NotSent: no connection could be made; nothing was sent.
            Broken: the connection ended too early, or what came is not HTTP.
            TooLarge: the answer is too large.

        """
        connection = self._idle(self._server(address))
        if connection is not None:
            exchange = connection.ask(request, max_bytes)
            try:
                await exchange.arrive()
            except NotSent:
                pass
            else:
                return exchange
        connection = await self._free_or_new(address)
        exchange = connection.ask(request, max_bytes)
        await exchange.arrive()
        return exchange

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            await self._emptied.wait()

    def _server(self, address: Address) -> _Server:
        server = self._servers.get(address.origin)
        if server is None:
            server = self._servers[address.origin] = _Server(address)
        return server

    def _idle(self, server: _Server) -> Connection | None:
        while server.idle:
            connection = server.idle.pop()
            if connection.is_alive():
                return connection
            connection.abort()
        return None

    async def _free_or_new(self, address: Address) -> Connection:
        while True:
            server = self._server(address)
            if server.may_open and not server.waiters:
                server.reserve()
                return await self._opened(server)
            waiter: _Waiter = asyncio.get_running_loop().create_future()
            server.waiters.append(waiter)
            try:
                given = await waiter
            except asyncio.CancelledError:
                self._give_back(server, waiter)
                raise
            if given is None:
                return await self._opened(server)
            if isinstance(given, NotSent):
                raise NotSent(str(given))
            if given.is_alive():
                return given
            given.abort()

    async def _opened(self, server: _Server) -> Connection:
        """Open a connection that is reserved."""
        try:
            connection = await self._connected(server)
        except BaseException as error:
            server.connecting -= 1
            server.opened -= 1
            if isinstance(error, NotSent) and server.opened == server.connecting:
                # Nothing answers there: those who wait would learn it one after the other.
                while waiter := server.next_waiter():
                    waiter.set_result(error)
            server.let_open()
            self._forget(server)
            raise
        self._connections[connection] = server
        self._emptied.clear()
        server.connecting -= 1
        server.let_open()
        return connection

    async def _connected(self, server: _Server) -> Connection:
        loop = asyncio.get_running_loop()
        address = server.address

        def connection() -> Connection:
            return Connection(loop, self._on_free, self._on_lost)

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                tls = self._context() if address.is_tls else None
                _, made = await loop.create_connection(
                    connection, address.host, address.port, ssl=tls
                )
        except TimeoutError:
            raise NotSent(f"no connection within {CONNECT_SECONDS:g} s") from None
        except (OSError, UnicodeError) as error:
            raise NotSent(words(error)) from None
        if made.is_lost:
            raise NotSent("it was closed at once")
        return made

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _on_free(self, connection: Connection) -> None:
        server = self._connections[connection]
        waiter = server.next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        connection.idle_since = connection.loop.time()
        server.idle.append(connection)
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(IDLE_SECONDS, self._sweep)

    def _on_lost(self, connection: Connection) -> None:
        server = self._connections.pop(connection, None)
        if server is None:
            return
        if connection in server.idle:
            server.idle.remove(connection)
        server.opened -= 1
        server.let_open()
        self._forget(server)
        if not self._connections:
            self._emptied.set()

    def _give_back(self, server: _Server, waiter: _Waiter) -> None:
        """Pass on what came for a request that was cancelled meanwhile."""
        if waiter.cancelled() or not waiter.done():
            return
        given = waiter.result()
        if isinstance(given, Connection):
            if not given.is_lost:
                self._on_free(given)
        elif given is None:
            server.connecting -= 1
            server.opened -= 1
            server.let_open()
            self._forget(server)

    def _forget(self, server: _Server) -> None:
        if not server.opened and not server.waiters:
            self._servers.pop(server.address.origin, None)

    def _sweep(self) -> None:
        """Close what has been idle for too long, and come again when the next one will be."""
        self._sweeping = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        oldest = now
        for server in self._servers.values():
            for connection in server.idle:
                if now - connection.idle_since >= IDLE_SECONDS:
                    connection.abort()
                else:
                    oldest = min(oldest, connection.idle_since)
            server.idle[:] = [each for each in server.idle if now - each.idle_since < IDLE_SECONDS]
        if any(server.idle for server in self._servers.values()):
            self._sweeping = loop.call_later(oldest + IDLE_SECONDS - now, self._sweep)
