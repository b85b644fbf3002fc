"""HTTP servers that answer as a test says, on a free port of this machine."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from aiohttp import web

from meshd.clock import SystemClock
from meshd.daemon.ports import Port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[str, None]:
    """Answer every request with the handler; yield the base URL."""
    port = Port("127.0.0.1", 0)
    port.open()

    async def handled(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handled)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.SockSite(runner, port.duplicate())
    await site.start()
    try:
        yield port.endpoint.url
    finally:
        await runner.cleanup()
        port.close()


@contextlib.asynccontextmanager
async def raw(answer: bytes) -> AsyncGenerator[str, None]:
    """Answer the first bytes of every connection with these, then close it."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer)
        writer.close()

    port = Port("127.0.0.1", 0)
    port.open()
    server = await asyncio.start_server(connected, sock=port.duplicate())
    try:
        yield port.endpoint.url
    finally:
        server.close()
        port.close()
        # So that the transports of closed connections are gone before the loop is.
        await SystemClock().sleep(0)


def free_endpoint() -> str:
    """Return an endpoint where nothing listens."""
    port = Port("127.0.0.1", 0)
    try:
        return port.endpoint.url
    finally:
        port.close()


def plain(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def result_of(request: dict[str, Any], **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


def stream(*messages: object) -> web.Response:
    events = "".join(f"event: message\r\ndata: {json.dumps(m)}\r\n\r\n" for m in messages)
    return web.Response(text=events, content_type="text/event-stream")
