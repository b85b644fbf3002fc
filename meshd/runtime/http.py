"""Serving an ASGI application with uvicorn on a socket that somebody else owns."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Sequence

import uvicorn
from starlette.types import ASGIApp

from meshd.clock import Clock

BACKLOG = 2048
TICK_SECONDS = 0.01
CANCEL_SECONDS = 1.0
"""How long requests that were cancelled may take to clean up."""
KEEP_ALIVE_SECONDS = 75
"""How long idle connections stay: longer than clients keep theirs, so that no call meets its end.
"""


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the daemon and wakes once a second, not ten times."""

    def __init__(self, app: ASGIApp, *, grace_seconds: float) -> None:
        config = uvicorn.Config(
            app,
            loop="none",
            http="httptools",
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

    async def drain(self, clock: Clock) -> None:
        """Accept nothing more, and let requests finish within the grace time; then cancel them."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for server in self.servers:
            server.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        deadline = clock.monotonic() + self._grace_seconds
        while (state.connections or state.tasks) and clock.monotonic() < deadline:
            await clock.sleep(TICK_SECONDS)
        cancelled = list(state.tasks)
        for task in cancelled:
            task.cancel()
        for connection in list(state.connections):
            connection.transport.close()
        if cancelled:
            await asyncio.wait(cancelled, timeout=CANCEL_SECONDS)


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
