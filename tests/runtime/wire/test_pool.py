"""The pool against servers that do what a test's script says."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from meshd.clock import SystemClock
from meshd.runtime.wire import exchange as exchange_module
from meshd.runtime.wire import pool as pool_module
from meshd.runtime.wire.address import address_of
from meshd.runtime.wire.connection import Connection
from meshd.runtime.wire.exchange import Exchange
from meshd.runtime.wire.failures import Broken, NotSent, TooLarge
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import post, start_of
from tests.runtime.servers import free_endpoint
from tests.runtime.wire.peers import Peer, Script, peers

MAX = 1_000_000
ONE = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM = CHUNKED.replace(b"OK\r\n", b"OK\r\nContent-Type: Text/Event-Stream; x=y\r\n")


@contextlib.asynccontextmanager
async def pools() -> AsyncGenerator[Pool]:
    pool = Pool()
    try:
        yield pool
    finally:
        await pool.close()


async def ask(pool: Pool, url: str, body: bytes = b"{}", max_bytes: int = MAX) -> Exchange:
    address = address_of(url)
    return await pool.ask(address, post(start_of(address, "/", {}), b"", body), max_bytes)


async def answers(script: Script, times: int = 1) -> tuple[list[Any], int]:
    """Ask again and again; return bodies or failures, and how many connections it took."""
    found: list[Any] = []
    async with peers(script) as server, pools() as pool:
        for _ in range(times):
            try:
                found.append((await ask(pool, server.url)).body)
            except (NotSent, Broken, TooLarge) as error:
                found.append(error)
    return found, server.count


async def echo(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.answer(request.partition(b"\r\n\r\n")[2])


async def test_a_connection_is_used_again() -> None:
    async with peers(echo) as server, pools() as pool:
        bodies = [(await ask(pool, server.url, body)).body for body in (b"1", b"", b"3" * 300_000)]
    assert (bodies, server.count) == ([b"1", b"", b"3" * 300_000], 1)


async def test_the_connection_used_last_is_used_next() -> None:
    used: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            used.append(peer.number)
            await peer.answer(b"")

    async with peers(script) as server, pools() as pool:
        await asyncio.gather(ask(pool, server.url), ask(pool, server.url))
        for _ in range(3):
            await ask(pool, server.url)
    assert len(set(used)) == 2
    assert len(set(used[2:])) == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            CHUNKED + b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ONE, b"a"),
        (
            b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\n\r\n" + ONE,
            b"a",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", b"a"),
    ],
)
async def test_answers_after_which_the_connection_goes_on(answer: bytes, body: bytes) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for byte in answer:
                await peer.send(bytes([byte]))

    assert await answers(script, 2) == ([body, body], 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
        ONE + ONE,
        ONE + b" and more",
    ],
)
async def test_answers_after_which_the_connection_ends(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.end()

    assert await answers(script, 2) == ([b"a", b"a"], 2)


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_that_ends_with_the_connection(head: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head + b"a")

    assert await answers(script, 2) == ([b"a", b"a"], 2)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 200", "ended within the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", "ended within the answer"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\na",
            "ended within the answer",
        ),
        (CHUNKED + b"5\r\nabcde", "within the answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "within the answer"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "not HTTP",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na", "an encoding"),
        (CHUNKED + b"zz\r\n", "not HTTP"),
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "another protocol",
        ),
    ],
)
async def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    [failure], _ = await answers(script)
    assert isinstance(failure, Broken)
    assert reason in str(failure)


@pytest.mark.parametrize(
    "endless",
    [
        (b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        (CHUNKED + b"0\r\n", b"A: b\r\n" * 200),
        (CHUNKED + b"1;", b"a" * 1000),
        (
            STREAM + b"1;",
            b"a" * 1000,
        ),
    ],
)
async def test_what_is_endless_is_left(endless: tuple[bytes, bytes]) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(endless[0])
        try:
            while True:
                await peer.send(endless[1])
        finally:
            left.set()

    async with peers(script) as server, pools() as pool:
        with pytest.raises(Broken, match="of headers came"):
            await (await ask(pool, server.url)).read()
        await left.wait()


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 9000000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"],
)
async def test_an_answer_that_is_too_large_is_left(head: bytes) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + head)
        try:
            while True:
                await peer.send(b"a" * 100_000)
        finally:
            left.set()

    async with peers(script) as server, pools() as pool:
        with pytest.raises(TooLarge, match="more than 1000000 bytes"):
            await ask(pool, server.url)
        await left.wait()


async def test_nothing_listens() -> None:
    async with pools() as pool:
        with pytest.raises(NotSent):
            await ask(pool, free_endpoint())


async def test_a_name_that_nobody_has() -> None:
    async with pools() as pool:
        with pytest.raises(NotSent):
            await ask(pool, "http://nobody.invalid")


async def test_a_connection_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "CONNECT_SECONDS", 0.02)
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # what fills its queue, so that it answers no further one
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(deaf.getsockname())
        async with pools() as pool:
            with pytest.raises(NotSent, match=r"no connection within 0\.02 s"):
                await ask(pool, f"http://127.0.0.1:{deaf.getsockname()[1]}")


async def test_a_connection_that_the_server_closed_while_idle_is_replaced_unnoticed() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"%d" % peer.number)

    async with peers(script) as server, pools() as pool:
        bodies = [(await ask(pool, server.url)).body]
        # Its end is there, but the loop has not seen it.
        for task in server.tasks:
            await asyncio.wait([task])
        bodies.append((await ask(pool, server.url)).body)
    assert bodies == [b"1", b"2"]


async def test_what_comes_unasked_is_no_answer_to_what_is_asked_next() -> None:
    said = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"%d" % peer.number)
        if peer.number == 1:
            await peer.answer(b"forged")
            said.set()
        await peer.end()

    async with peers(script) as server, pools() as pool:
        first = await ask(pool, server.url)
        await said.wait()
        second = await ask(pool, server.url)
    assert (first.body, second.body) == (b"1", b"2")


async def test_a_kept_connection_that_breaks_after_the_request_is_not_tried_again() -> None:
    asked = 0

    async def script(peer: Peer) -> None:
        nonlocal asked
        await peer.request()
        asked += 1
        await peer.answer(b"")
        await peer.request()
        asked += 1
        peer.reset()

    found, _ = await answers(script, 2)
    assert isinstance(found[1], Broken)
    assert asked == 2


async def test_a_cancelled_request_closes_its_connection_alone() -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request.endswith(b"slow"):
            arrived.set()
            await peer.end()
            closed.set()
        else:
            await peer.answer(b"")
            await peer.end()

    async with peers(script) as server, pools() as pool:
        slow = asyncio.ensure_future(ask(pool, server.url, b"slow"))
        await arrived.wait()
        await ask(pool, server.url)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        await closed.wait()
        assert pool.connection_count == 1


async def test_a_server_has_so_many_connections_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTIONS_PER_SERVER", 3)
    async with peers(echo) as server, pools() as pool:
        bodies = [b"%d" % number for number in range(40)]
        found = await asyncio.gather(*(ask(pool, server.url, body) for body in bodies))
    assert [exchange.body for exchange in found] == bodies
    assert server.count == 3


async def test_those_who_wait_for_a_connection_go_on_when_others_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTIONS_PER_SERVER", 1)
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        while not (await peer.request()).endswith(b"slow"):
            await peer.answer(b"")
        arrived.set()
        await peer.end()

    async with peers(script) as server, pools() as pool:
        slow = asyncio.ensure_future(ask(pool, server.url, b"slow"))
        await arrived.wait()
        waiting = [asyncio.ensure_future(ask(pool, server.url)) for _ in range(3)]
        await asyncio.wait(waiting, timeout=0)
        waiting[0].cancel()
        slow.cancel()
        done = await asyncio.gather(slow, *waiting, return_exceptions=True)
    assert [type(each) for each in done] == [asyncio.CancelledError] * 2 + [Exchange] * 2


async def test_a_connection_that_comes_for_one_who_gave_up_goes_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTIONS_PER_SERVER", 1)
    answer = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await answer.wait()
        await peer.answer(b"1")
        await peer.request()
        await peer.answer(b"2")
        await peer.end()

    async with peers(script) as server, pools() as pool:

        async def ask_and_cancel() -> Exchange:
            exchange = await ask(pool, server.url)
            gone.cancel()
            return exchange

        first = asyncio.ensure_future(ask_and_cancel())
        while not pool.connection_count:
            await SystemClock().sleep(0)
        gone, last = (asyncio.ensure_future(ask(pool, server.url)) for _ in range(2))
        await asyncio.wait([gone, last], timeout=0)
        answer.set()
        done = await asyncio.gather(first, gone, last, return_exceptions=True)
        assert [type(each) for each in done] == [Exchange, asyncio.CancelledError, Exchange]
    assert server.count == 1


async def test_leave_to_open_a_connection_goes_from_one_who_gave_up_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTIONS_PER_SERVER", 1)
    gone: asyncio.Future[Exchange] | None = None

    class Cancelling(Pool):
        def _on_lost(self, connection: Connection) -> None:
            super()._on_lost(connection)
            if gone is not None:
                gone.cancel()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"%d" % peer.number, b"Connection: close\r\n")

    async with peers(script) as server:
        pool = Cancelling()
        first = asyncio.ensure_future(ask(pool, server.url))
        await asyncio.wait([first], timeout=0)
        gone, last = (asyncio.ensure_future(ask(pool, server.url)) for _ in range(2))
        done = await asyncio.gather(first, gone, last, return_exceptions=True)
        await pool.close()
    assert [type(each) for each in done] == [Exchange, asyncio.CancelledError, Exchange]
    assert server.count == 2


async def test_a_request_that_a_kept_connection_did_not_take_is_sent_over_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Dying(Connection):
        uses = 0

        def ask(self, request: bytes, max_bytes: int) -> Exchange:
            self.uses += 1
            if self.uses == 1:
                return super().ask(request, max_bytes)
            self.abort()
            exchange = Exchange(self, max_bytes)
            exchange.end(NotSent("closed"))
            return exchange

    monkeypatch.setattr(pool_module, "Connection", Dying)
    async with peers(echo) as server, pools() as pool:
        assert [(await ask(pool, server.url, body)).body for body in (b"1", b"2")] == [b"1", b"2"]
    assert server.count == 2


async def test_idle_connections_age_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.05)
    async with peers(echo) as server, pools() as pool:
        await asyncio.gather(ask(pool, server.url), ask(pool, server.url))
        counts: list[int] = []
        while pool.connection_count:
            await SystemClock().sleep(0.01)
            counts.append(pool.connection_count)
            if len(counts) == 3 and counts[-1]:
                await ask(pool, server.url)
    assert counts == sorted(counts, reverse=True)
    assert {2, 1, 0} >= set(counts)


async def test_two_may_close_at_once() -> None:
    async with peers(echo) as server:
        pool = Pool()
        await ask(pool, server.url)
        await asyncio.gather(pool.close(), pool.close())
        assert (pool.connection_count, pool.server_count) == (0, 0)


async def test_few_connections_are_opened_at_a_time_and_all_learn_that_none_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTING_AT_ONCE", 2)
    connects = 0
    original = vars(Pool)["_connected"]

    async def counted(self: Pool, server: Any) -> Any:
        nonlocal connects
        connects += 1
        return await original(self, server)

    monkeypatch.setattr(Pool, "_connected", counted)
    url = free_endpoint()
    async with pools() as pool:
        asked = (ask(pool, url) for _ in range(50))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(each) for each in found} == {NotSent}
        assert connects < 10
        assert pool.server_count == 0


async def test_idle_connections_are_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.02)
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"")
        await peer.end()
        ended.set()

    async with peers(script) as server, pools() as pool:
        await ask(pool, server.url)
        await ended.wait()
        assert (pool.connection_count, pool.server_count) == (0, 0)


async def test_closing_ends_what_is_under_way_and_a_later_request_opens_anew() -> None:
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request.endswith(b"slow"):
            arrived.set()
            await peer.end()
        await peer.answer(b"")
        await peer.end()

    async with peers(script) as server, pools() as pool:
        slow = asyncio.ensure_future(ask(pool, server.url, b"slow"))
        await arrived.wait()
        await pool.close()
        with pytest.raises(Broken):
            await slow
        assert (await ask(pool, server.url)).status == 200


async def test_an_early_answer_to_a_request_that_is_not_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"enough")
        await peer.reader.read(1)

    async with peers(script) as server, pools() as pool:
        for _ in range(2):
            assert (await ask(pool, server.url, b"a" * 20_000_000)).body == b"enough"
    assert server.count == 2


async def test_a_stream_is_read_as_it_comes() -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM)
        await go_on.wait()
        await peer.send(b"1\r\na\r\n")
        await go_on.wait()
        await peer.send(b"1\r\nb\r\n0\r\n\r\n")
        await peer.request()
        await peer.answer(b"c")

    async with peers(script) as server, pools() as pool:
        exchange = await ask(pool, server.url)
        assert exchange.is_stream
        for expected in (b"a", b"b", b""):
            go_on.set()
            go_on.clear()
            assert await exchange.read() == expected
        assert (await ask(pool, server.url)).body == b"c"
    assert server.count == 1


async def test_who_reads_slowly_makes_the_server_wait() -> None:
    piece = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    sent = 0
    blocked = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(STREAM)
        for _ in range(1_000):
            peer.writer.write(piece)
            sending = asyncio.ensure_future(peer.writer.drain())
            if not (await asyncio.wait([sending], timeout=0.1))[0]:
                blocked.set()
            await sending
            sent += 1
        await peer.send(b"0\r\n\r\n")

    async with peers(script) as server, pools() as pool:
        exchange = await ask(pool, server.url)
        exchange.narrow()
        await blocked.wait()
        assert sent * len(piece) < 8_000_000
        size = 0
        while data := await exchange.read():
            size += len(data)
    assert size == 1_000 * 65_536


async def test_a_stream_that_is_left_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM)
        await peer.end()
        closed.set()

    async with peers(script) as server, pools() as pool:
        exchange = await ask(pool, server.url)
        exchange.abandon()
        await closed.wait()
        with pytest.raises(Broken):
            await exchange.read()


async def test_the_rest_of_a_stream_is_not_awaited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "DRAIN_SECONDS", 0.02)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(STREAM + b"1\r\na\r\n")
            if peer.number > 1:
                await peer.send(b"0\r\n\r\n")

    async with peers(script) as server, pools() as pool:
        for _ in range(3):
            (await ask(pool, server.url)).release()
            while pool.connection_count > pool.idle_count:
                await SystemClock().sleep(0.001)
    assert server.count == 2
