"""The HTTP clients that could carry calls between agents: posts a second, one and 32 at a time.

    PYTHONPATH=. python tests/benchmarks/http_clients.py

The same body to the same echo on uvicorn, on a core of its own; the clients take turns on another.
`McpClient` makes whole calls, from arguments to the tool's value.
"""

import aiohttp
import httpx2
import uvloop

from meshd.runtime.client import McpClient
from meshd.runtime.wire.address import address_of
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import post, start_of
from tests.benchmarks.echoes import (
    AT_ONCE,
    HEADERS,
    Measured,
    measured,
    print_measured,
    question,
    serve_http,
    served,
    tcp_listener,
)

ARGUMENTS = {"a": 1, "b": 2}
BODY = question(ARGUMENTS)


async def measure(url: str) -> Measured:
    address = address_of(url)
    start = start_of(address, "/mcp", HEADERS)
    limits = httpx2.Limits(max_connections=max(AT_ONCE), max_keepalive_connections=max(AT_ONCE))
    pool, client = Pool(), McpClient()
    async with (
        client,
        aiohttp.ClientSession(headers=HEADERS) as session,
        httpx2.AsyncClient(headers=HEADERS, limits=limits, trust_env=False) as plain,
    ):

        async def by_pool() -> None:
            assert (await pool.ask(address, post(start, b"", BODY), 1_000_000)).status == 200

        async def by_aiohttp() -> None:
            async with session.post(f"{url}/mcp", data=BODY) as response:
                await response.read()

        async def by_httpx2() -> None:
            await plain.post(f"{url}/mcp", content=BODY)

        async def by_client() -> None:
            assert await client.call(url, "add", dict(ARGUMENTS)) == {"result": ARGUMENTS}

        found = await measured(
            {
                "own pool": by_pool,
                "McpClient on it": by_client,
                "aiohttp": by_aiohttp,
                "httpx2": by_httpx2,
            }
        )
        await pool.close()
    return found


def main() -> None:
    listener = tcp_listener()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with served(serve_http, listener):
        print_measured("client", uvloop.run(measure(url)), "aiohttp")


if __name__ == "__main__":
    main()
