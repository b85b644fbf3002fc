"""Whether calls between agents on one host gain by Unix sockets: the pool's posts a second.

    PYTHONPATH=. python tests/benchmarks/unix_sockets.py

The same pool and the same echo, over TCP on the loopback device and over a Unix socket.
"""

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path

import uvloop

from meshd.runtime.wire.address import address_of
from meshd.runtime.wire.connection import Connection
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import post, start_of
from tests.benchmarks.echoes import (
    HEADERS,
    Measured,
    Work,
    measured,
    print_measured,
    question,
    serve_http,
    served,
    tcp_listener,
)

SIZES = {"two integers": {"a": 1, "b": 2}, "2 kB": {"text": "x" * 2_000}, "200 kB": "x" * 200_000}


class UnixPool(Pool):
    """A pool whose connections all go to one Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def _connected(self, server: object) -> Connection:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_unix_connection(
            lambda: Connection(loop, self._on_free, self._on_lost), str(self._path)
        )
        return made


async def measure(url: str, path: Path, arguments: object) -> Measured:
    address = address_of(url)
    start = start_of(address, "/mcp", HEADERS)
    body = question(arguments)

    def posting(pool: Pool) -> Work:
        async def work() -> None:
            assert (await pool.ask(address, post(start, b"", body), 1_000_000)).status == 200

        return work

    pools = {"TCP": Pool(), "Unix socket": UnixPool(path)}
    found = await measured({name: posting(pool) for name, pool in pools.items()})
    for pool in pools.values():
        await pool.close()
    return found


def main() -> None:
    with contextlib.ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "agent.sock"
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unix.bind(str(path))
        tcp = tcp_listener()
        url = f"http://127.0.0.1:{tcp.getsockname()[1]}"
        stack.enter_context(served(serve_http, unix))
        stack.enter_context(served(serve_http, tcp))
        for size, arguments in SIZES.items():
            print_measured(size, uvloop.run(measure(url, path, arguments)), "TCP")


if __name__ == "__main__":
    main()
