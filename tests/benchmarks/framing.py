"""Whether a binary framing between agents pays: calls a second against JSON over HTTP/1.1.

    PYTHONPATH=. python tests/benchmarks/framing.py

A frame is its length, the number of its call and a body; all calls share one connection. Both ways
carry the same JSON to an echo that reads it and writes an answer. `frames` have no headers, no
limits, no back-pressure and no cancellation, so they show the most that a framing could gain.
"""

import asyncio
import socket
import struct
from typing import cast

import orjson
import uvloop

from meshd.runtime.wire.address import address_of
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import post, start_of
from tests.benchmarks.echoes import (
    HEADERS,
    Measured,
    answer_to,
    measured,
    print_measured,
    question,
    serve_http,
    served,
    tcp_listener,
)

HEAD = struct.Struct("!II")
SIZES = {"two integers": {"a": 1, "b": 2}, "2 kB": {"text": "x" * 2_000}}


class Frames(asyncio.Protocol):
    """Cuts what comes into frames."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at = 0
        while len(data) - at >= HEAD.size:
            size, number = HEAD.unpack_from(data, at)
            if len(data) - at - HEAD.size < size:
                break
            at += HEAD.size
            self.framed(number, data[at : at + size])
            at += size
        self._rest = data[at:]

    def framed(self, number: int, body: bytes) -> None:
        raise NotImplementedError


class Server(Frames):
    """Answers in a task for each call, as tools need one; answers of one turn share a write."""

    def __init__(self) -> None:
        super().__init__()
        self._out: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def framed(self, number: int, body: bytes) -> None:
        task = asyncio.ensure_future(self._answer(number, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, body: bytes) -> None:
        answer = answer_to(body)
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += (HEAD.pack(len(answer), number), answer)

    def _flush(self) -> None:
        self.transport.write(b"".join(self._out))
        self._out.clear()


class Client(Frames):
    """Asks; the requests of one turn share a write."""

    def __init__(self) -> None:
        super().__init__()
        self._out: list[bytes] = []
        self._number = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    async def ask(self, body: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        self._number += 1
        self._waiting[self._number] = answer = loop.create_future()
        if not self._out:
            loop.call_soon(self._flush)
        self._out += (HEAD.pack(len(body), self._number), body)
        return await answer

    def _flush(self) -> None:
        self.transport.write(b"".join(self._out))
        self._out.clear()

    def framed(self, number: int, body: bytes) -> None:
        self._waiting.pop(number).set_result(body)


async def serve_frames(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Server, sock=listener)
    await server.serve_forever()


async def serve_both(http: socket.socket, frames: socket.socket) -> None:
    await asyncio.gather(serve_http(http), serve_frames(frames))


async def measure(http_port: int, frames_port: int, arguments: object) -> Measured:
    loop = asyncio.get_running_loop()
    address = address_of(f"http://127.0.0.1:{http_port}")
    start = start_of(address, "/mcp", HEADERS)
    pool = Pool()
    transport, client = await loop.create_connection(Client, "127.0.0.1", frames_port)

    async def by_http() -> None:
        answer = await pool.ask(address, post(start, b"", question(arguments)), 1_000_000)
        assert orjson.loads(answer.body)["id"] == 1

    async def by_frames() -> None:
        assert orjson.loads(await client.ask(question(arguments)))["id"] == 1

    found = await measured({"JSON over HTTP/1.1": by_http, "JSON in frames": by_frames})
    transport.close()
    await pool.close()
    return found


def main() -> None:
    frames = tcp_listener()
    http = tcp_listener()
    frames.listen(16)
    ports = http.getsockname()[1], frames.getsockname()[1]
    with served(lambda listener: serve_both(listener, frames), http):
        for size, arguments in SIZES.items():
            print_measured(size, uvloop.run(measure(*ports, arguments)), "JSON over HTTP/1.1")


if __name__ == "__main__":
    main()
