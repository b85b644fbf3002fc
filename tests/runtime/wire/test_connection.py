"""What a connection says about itself where no server could make it happen each time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from meshd.runtime.wire.connection import SURELY_ONE_WRITE_BYTES, Connection
from meshd.runtime.wire.failures import Broken, NotSent, WireFailure


class FakeTransport(asyncio.Transport):
    """Takes what is written and says nothing."""

    def __init__(self, own: socket.socket) -> None:
        super().__init__({"socket": own})
        self.written = b""
        self.refuses = False
        self.is_aborted = False

    def write(self, data: Any) -> None:
        if self.refuses:
            self.abort()
        else:
            self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


@contextlib.asynccontextmanager
async def connected(
    freed: list[Connection] | None = None,
) -> AsyncGenerator[tuple[Connection, socket.socket, FakeTransport]]:
    own, other = socket.socketpair()
    with own, other:
        loop = asyncio.get_running_loop()
        connection = Connection(
            loop, (lambda _: None) if freed is None else freed.append, lambda _: None
        )
        transport = FakeTransport(own)
        connection.connection_made(transport)
        yield connection, other, transport


async def test_an_idle_connection_knows_of_its_end_before_the_loop_does() -> None:
    async with connected() as (connection, other, _):
        assert connection.is_alive()
        other.close()
        assert not connection.is_alive()


async def test_an_idle_connection_knows_that_something_came_unasked() -> None:
    async with connected() as (connection, other, _):
        other.send(b"HTTP/1.1 200 OK\r\n")
        assert not connection.is_alive()


async def test_a_connection_that_is_being_closed_is_not_alive() -> None:
    async with connected() as (connection, _, _):
        connection.abort()
        assert not connection.is_alive()


@pytest.mark.parametrize(
    ("error", "size", "kind"),
    [
        (BrokenPipeError(), SURELY_ONE_WRITE_BYTES, NotSent),
        (BrokenPipeError(), SURELY_ONE_WRITE_BYTES + 1, Broken),
        (ConnectionResetError(), 1, Broken),
        (None, 1, Broken),
    ],
)
async def test_whether_a_request_may_have_left(
    error: Exception | None, size: int, kind: type[WireFailure]
) -> None:
    async with connected() as (connection, _, _):
        exchange = connection.ask(b"a" * size, 1)
        connection.connection_lost(error)
        with pytest.raises(kind):
            await exchange.arrive()


@pytest.mark.parametrize("size", [1, SURELY_ONE_WRITE_BYTES + 1])
async def test_a_write_that_the_system_refuses_at_once_left_nothing(size: int) -> None:
    async with connected() as (connection, _, transport):
        transport.refuses = True
        exchange = connection.ask(b"a" * size, 1)
        connection.connection_lost(ConnectionResetError())
        with pytest.raises(NotSent if size == 1 else Broken):
            await exchange.arrive()


async def test_what_comes_unasked_ends_the_connection() -> None:
    async with connected() as (connection, _, transport):
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert transport.is_aborted


async def test_a_failed_write_after_the_answer_began_is_not_taken_for_an_unsent_request() -> None:
    async with connected() as (connection, _, _):
        exchange = connection.ask(b"a", 1)
        connection.data_received(b"HTTP/1.1 200 OK\r\n")
        connection.connection_lost(BrokenPipeError())
        with pytest.raises(Broken):
            await exchange.arrive()


async def test_cancelling_what_is_answered_leaves_the_connection_to_others() -> None:
    freed: list[Connection] = []
    async with connected(freed) as (connection, _, _):
        exchange = connection.ask(b"a", 1)
        arriving = asyncio.ensure_future(exchange.arrive())
        await asyncio.wait([arriving], timeout=0)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
        arriving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await arriving
        assert freed == [connection]
        assert connection.is_alive()
