"""How a server ends: for callers with open connections, idle ones, and requests that do not end."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from meshd.clock import SystemClock
from meshd.daemon.ports import Port
from meshd.runtime.http import WHOLE_ANSWER, Server, serving
from meshd.runtime.joined_writes import MAX_JOINED_BYTES
from tests.runtime.fakes import settle

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class App:
    """Answers with its text; what comes in while it is held waits, with or without its headers."""

    def __init__(self, *, headers_first: bool = False) -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.began = asyncio.Event()
        self._headers_first = headers_first

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.set()
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"2")],
        }
        if self._headers_first:
            await send(start)
        await self.go_on.wait()
        if not self._headers_first:
            await send(start)
        await send({"type": "http.response.body", "body": b"ok"})


class AtOnce(App):
    """Answers at once where it can; notes whether it could."""

    def __init__(self, *, tries: bool = True, body: bytes = b"ok") -> None:
        super().__init__()
        self.could: list[bool] = []
        self._tries = tries
        self._body = body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.go_on.wait()
        body = self._body
        if self._tries:
            self.could.append(scope["extensions"][WHOLE_ANSWER](body))
            if self.could[-1]:
                return
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Client:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes = REQUEST) -> None:
        self.writer.write(data)

    async def answer(self) -> str:
        """Return the head of the next answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert await self._reader.readexactly(2) == b"ok"
        return head.decode().lower()

    async def body(self) -> bytes:
        """Return the body of the next answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length))

    async def asked(self) -> str:
        self.send()
        return await self.answer()

    async def end(self) -> bytes:
        """Return what comes until the server closes the connection."""
        return await self._reader.read()


@contextlib.asynccontextmanager
async def served(
    app: App, *clients: str, grace_seconds: float = 4.0
) -> AsyncGenerator[tuple[Server, list[Client]]]:
    port = Port("127.0.0.1", 0)
    port.open()
    listener = port.duplicate()
    port.close()
    clock = SystemClock()
    connected: list[Client] = []
    async with serving(app, [listener], clock, grace_seconds=grace_seconds) as server:
        connected.extend(
            [Client(*await asyncio.open_connection(*listener.getsockname())) for _ in clients]
        )
        yield server, connected
    for client in connected:
        client.writer.close()


async def test_an_idle_connection_may_be_used_once_more_and_is_told_so() -> None:
    async with served(App(), "used", "idle", "new") as (server, [used, idle, new]):
        for client in (used, idle):
            assert "connection: close" not in await client.asked()
        draining = asyncio.ensure_future(server.drain(SystemClock(), linger_seconds=0.3))
        await settle()
        assert "connection: close" in await used.asked()
        assert await used.end() == b""
        assert "connection: close" in await new.asked()
        assert not draining.done()
        assert await idle.end() == b""
        await draining


async def test_a_connection_that_was_not_used_lately_closes_at_once() -> None:
    async with served(App(), "recent", "old") as (server, [recent, old]):
        await old.asked()
        await SystemClock().sleep(0.15)
        await recent.asked()
        draining = asyncio.ensure_future(server.drain(SystemClock(), linger_seconds=60))
        assert await old.end() == b""
        assert not draining.done()
        assert "connection: close" in await recent.asked()
        await draining


async def test_requests_that_come_together_are_answered_in_turn() -> None:
    async with served(App(), "busy") as (_, [client]):
        client.send(REQUEST * 3)
        for _ in range(3):
            assert "connection: close" not in await client.answer()
        client.writer.close()


async def test_an_answer_at_once_is_the_same_as_one_that_is_sent() -> None:
    heads: list[list[str]] = []
    for tries in (True, False):
        app = AtOnce(tries=tries)
        async with served(app, "one") as (_, [client]):
            for _ in range(2):
                head = (await client.asked()).split("\r\n")
                heads.append([line for line in head if not line.startswith("date: ")])
                assert len(heads[-1]) == len(head) - 1
            client.writer.close()
        assert app.could == ([True, True] if tries else [])
    assert heads == [heads[0]] * 4


async def test_requests_that_come_together_are_answered_in_turn_at_once_or_not() -> None:
    app = AtOnce()
    async with served(app, "busy") as (_, [client]):
        client.send(REQUEST * 3)
        for _ in range(3):
            await client.answer()
        client.writer.close()
    assert app.could == [False, False, True]


async def test_the_last_answer_of_a_connection_is_not_given_at_once() -> None:
    app = AtOnce()
    async with served(app, "old") as (_, [client]):
        client.send(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert "connection: close" in await client.answer()
        assert await client.end() == b""
    assert app.could == [False]


async def test_a_large_answer_is_not_given_at_once() -> None:
    app = AtOnce(body=b"." * (MAX_JOINED_BYTES + 1))
    async with served(app, "one") as (_, [client]):
        client.send()
        assert len(await client.body()) == MAX_JOINED_BYTES + 1
        client.writer.close()
    assert app.could == [False]


async def test_without_lingering_idle_connections_are_closed_at_once() -> None:
    async with served(App(), "idle") as (server, [idle]):
        await idle.asked()
        began = SystemClock().monotonic()
        await server.drain(SystemClock())
        assert await idle.end() == b""
        assert SystemClock().monotonic() - began < 1


async def test_an_answer_that_has_not_begun_says_that_the_connection_closes() -> None:
    app = App()
    app.go_on.clear()
    async with served(app, "busy") as (server, [busy]):
        busy.send()
        await app.began.wait()
        draining = asyncio.ensure_future(server.drain(SystemClock(), linger_seconds=0.3))
        await settle()
        app.go_on.set()
        assert "connection: close" in await busy.answer()
        await draining


async def test_after_an_answer_that_had_begun_one_more_request_is_taken() -> None:
    app = App(headers_first=True)
    app.go_on.clear()
    async with served(app, "busy") as (server, [busy]):
        busy.send()
        await app.began.wait()
        draining = asyncio.ensure_future(server.drain(SystemClock(), linger_seconds=0.3))
        await settle()
        app.go_on.set()
        assert "connection: close" not in await busy.answer()
        assert "connection: close" in await busy.asked()
        await draining


async def test_a_request_whose_head_has_come_in_part_is_answered() -> None:
    async with served(App(), "slow") as (server, [slow]):
        await slow.asked()
        slow.send(REQUEST[:20])
        await SystemClock().sleep(0.05)
        draining = asyncio.ensure_future(server.drain(SystemClock()))
        await SystemClock().sleep(0.05)
        slow.send(REQUEST[20:])
        assert "connection: close" in await slow.answer()
        await draining


async def test_a_connection_that_its_client_resets_leaves_no_timer() -> None:
    async with served(App(), "rude") as (server, [rude]):
        await rude.asked()
        [connection] = server.connections()
        assert connection.timeout_keep_alive_task is not None
        linger = struct.pack("ii", 1, 0)
        rude.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        rude.writer.close()
        while server.server_state.connections:
            await SystemClock().sleep(0.01)
        assert connection.timeout_keep_alive_task is None


async def test_what_does_not_end_is_cancelled_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()
    app.go_on.clear()
    async with served(app, "one", "two", grace_seconds=0.05) as (server, clients):
        for client in clients:
            client.send()
        await SystemClock().sleep(0.02)
        await server.drain(SystemClock())
        assert [await client.end() for client in clients] == [b"", b""]
    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("meshd.http", logging.WARNING, "2 calls did not end in the grace time: cancelled")
    ]
