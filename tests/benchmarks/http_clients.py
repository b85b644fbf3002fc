"""The HTTP clients that could carry calls between agents: posts a second, 32 at a time.

The same body to the same echo on uvicorn, in a process of its own; both clients take turns.
"""

import asyncio
import multiprocessing
import socket
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx2
import uvicorn
from starlette.types import Receive, Scope, Send

AT_ONCE = 32
POSTS = 1_500
ROUNDS = 3
BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}'

Post = Callable[[], Awaitable[object]]


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def serve(listener: socket.socket) -> None:
    config = uvicorn.Config(echo, log_level="error", access_log=False, lifespan="off")
    asyncio.run(uvicorn.Server(config).serve([listener]))


async def posts_a_second(post: Post) -> float:
    left = POSTS

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await post()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return POSTS / (time.perf_counter() - began)


async def measure(url: str) -> None:
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with (
        aiohttp.ClientSession() as fast,
        httpx2.AsyncClient(limits=limits, trust_env=False) as plain,
    ):

        async def by_aiohttp() -> None:
            async with fast.post(url, data=BODY) as response:
                await response.read()

        async def by_httpx2() -> None:
            await plain.post(url, content=BODY)

        rates: dict[str, list[float]] = {"aiohttp": [], "httpx2": []}
        for _ in range(ROUNDS):
            rates["aiohttp"].append(await posts_a_second(by_aiohttp))
            rates["httpx2"].append(await posts_a_second(by_httpx2))
    median = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in median.items():
        print(f"{name:8} {rate:8,.0f} posts/s, {AT_ONCE} at a time")
    print(f"aiohttp makes {median['aiohttp'] / median['httpx2']:.1f} x as many")


def main() -> None:
    # Named as TCP, or each answer waits for a delayed acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,))
        server.start()
        try:
            time.sleep(1)
            asyncio.run(measure(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
        finally:
            server.kill()
            server.join()


if __name__ == "__main__":
    main()
