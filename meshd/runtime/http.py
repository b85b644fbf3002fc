"""Serving an ASGI application with uvicorn on a socket that somebody else owns."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 2048


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the daemon and wakes once a second, not ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        config.load()
        self.lifespan = config.lifespan_class(config)
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """Keep the Date header right until `stop` is called."""
        while not self._stopping.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)

    def stop(self) -> None:
        """End the main loop."""
        self._stopping.set()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    The protocol is named because asyncio disables Nagle's algorithm only on sockets that say they
    are TCP; without it every answer waits for a delayed acknowledgement, about 40 ms.

    Raises:
        OSError: the port is taken, or the host is not an address of this machine.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket, *, grace_seconds: float
) -> AsyncGenerator[None, None]:
    """Serve the application while the block runs; then let requests finish within the grace."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    server = Server(config)
    await server.startup(sockets=[listener])
    # Owned by this block; a TaskGroup would wrap what the block raises.
    loop = asyncio.ensure_future(server.main_loop())
    try:
        yield
    finally:
        server.stop()
        await server.shutdown(sockets=[listener])
        await loop
