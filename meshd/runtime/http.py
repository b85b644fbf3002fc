"""Serving an ASGI application with uvicorn on a socket that somebody else owns."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from meshd.clock import Clock
from meshd.runtime.joined_writes import MAX_JOINED_BYTES, JoinedWrites

BACKLOG = 2048
TICK_SECONDS = 0.01
CANCEL_SECONDS = 1.0
"""How long requests that were cancelled may take to clean up."""
A_MOMENT_SECONDS = 0.1
"""Who has not used a connection for so long is hardly about to, when it closes."""
KEEP_ALIVE_SECONDS = 75
"""How long idle connections stay: longer than clients keep theirs, so that no call meets its end.
"""
WHOLE_ANSWER = "meshd.answer"
"""The ASGI extension by which an application answers at once: it takes the bytes of JSON."""
_LENGTH = b"content-length: "
_JSON = b"\r\ncontent-type: application/json\r\n\r\n"

logger = logging.getLogger("meshd.http")


class Connection(HttpToolsProtocol):
    """A connection that can be told to take one more request, and to say that it is the last."""

    is_draining = False
    _lines: object = None
    _opening = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to serve a client."""
        super().connection_made(transport)
        self._joined = JoinedWrites(transport)

    @property
    def is_idle(self) -> bool:
        """Whether it neither answers a request nor is in the middle of receiving one."""
        cycle = self.cycle
        if cycle is None:  # pyright: ignore[reportUnnecessaryComparison]  (before the first one)
            return self.scope is None  # pyright: ignore[reportUnnecessaryComparison]
        return cycle.response_complete and cycle.scope is self.scope

    @property
    def unused_seconds(self) -> float:
        """How long ago its last answer ended, while it is idle; else nothing."""
        timer = self.timeout_keep_alive_task
        if timer is None or not self.is_idle:
            return 0.0
        return KEEP_ALIVE_SECONDS - (timer.when() - self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep nothing of it."""
        super().connection_lost(exc)
        # uvicorn leaves it running where the client has reset the connection.
        self._unset_keepalive_if_required()

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        super().on_headers_complete()
        cycle = self.cycle
        if self.is_draining:
            cycle.keep_alive = False
        if not self.pipeline:  # else an earlier answer is being written
            self._joined.cycle = cycle
            cycle.transport = cast("asyncio.Transport", self._joined)
        cast("dict[str, Any]", self.scope)["extensions"] = {WHOLE_ANSWER: self.answer}

    def answer(self, body: bytes) -> bool:
        """Write a whole answer of JSON at once, as `send` would in two steps and more time.

        False says that it has to be sent: this is not the usual case of an answer that is asked
        for, fits into what may be written, and leaves its connection open.
        """
        cycle = self.cycle
        if (
            self.pipeline
            or self.flow.write_paused
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or len(body) > MAX_JOINED_BYTES
        ):
            return False
        lines = self.server_state.default_headers
        if lines is not self._lines:  # they change once a second, with the date
            self._lines = lines
            self._opening = b"HTTP/1.1 200 OK\r\n" + b"".join(
                b"%b: %b\r\n" % line for line in lines
            )
        self.transport.write(b"%b%b%d%b%b" % (self._opening, _LENGTH, len(body), _JSON, body))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def drain(self) -> None:
        """Let the next answer be the last one; an answer under way cannot say so any more."""
        if self.is_draining:
            return
        self.is_draining = True
        if not self.is_idle and self.cycle is not None and not self.cycle.response_started:  # pyright: ignore[reportUnnecessaryComparison]
            self.cycle.keep_alive = False


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the daemon and wakes once a second, not ten times."""

    def __init__(self, app: ASGIApp, *, grace_seconds: float) -> None:
        config = uvicorn.Config(
            app,
            loop="none",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            backlog=BACKLOG,
        )
        super().__init__(config)
        config.load()
        self.lifespan = config.lifespan_class(config)
        self._grace_seconds = grace_seconds
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """Keep the Date header right until the server drains."""
        while not self._stopping.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def drain(self, clock: Clock, *, linger_seconds: float = 0.0) -> None:
        """Accept no more connections, and let requests finish within the grace time.

        Connections that were used a moment ago stay for `linger_seconds`, in which they may be used
        once more: a busy client learns from an answer, not from a request that is lost, that this
        one closes. The others close at once, so that who comes later meets what runs now. What does
        not finish in time is cancelled.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        for server in self.servers:
            server.close()
        idle_since: dict[Connection, float] = {}
        deadline = clock.monotonic() + self._grace_seconds
        while self._is_in_use() and clock.monotonic() < deadline:
            now = clock.monotonic()
            for connection in self.connections():
                if not connection.is_draining and connection.unused_seconds > A_MOMENT_SECONDS:
                    connection.transport.close()
                    continue
                connection.drain()
                if not connection.is_idle:
                    idle_since.pop(connection, None)
                elif now - idle_since.setdefault(connection, now) >= linger_seconds:
                    connection.transport.close()
            await clock.sleep(TICK_SECONDS)
        await self._cancel()

    def _is_in_use(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    def connections(self) -> Iterator[Connection]:
        """Yield the connections that are open now."""
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Connection)  # noqa: S101  (the server makes no others)
            yield connection

    async def _cancel(self) -> None:
        """Cancel the requests that are left, and close all connections."""
        cancelled = list(self.server_state.tasks)
        if cancelled:
            logger.warning("%d calls did not end in the grace time: cancelled", len(cancelled))
        for task in cancelled:
            task.cancel()
        for connection in self.connections():
            connection.transport.close()
        if cancelled:
            # uvicorn takes it for an error of the application, and shows where it happened.
            logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
            await asyncio.wait(cancelled, timeout=CANCEL_SECONDS)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    raised = record.exc_info[1] if record.exc_info else None
    return not isinstance(raised, asyncio.CancelledError)


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, listeners: Sequence[socket.socket], clock: Clock, *, grace_seconds: float
) -> AsyncGenerator[Server, None]:
    """Serve the application while the block runs, then drain; the sockets are closed at the end.

    They are bound; those that do not listen yet will.
    """
    server = Server(app, grace_seconds=grace_seconds)
    await server.startup(sockets=list(listeners))
    # Owned by this block; a TaskGroup would wrap what the block raises.
    loop = asyncio.ensure_future(server.main_loop())
    try:
        yield server
    finally:
        await server.drain(clock)
        await loop
