"""What benchmarks of transports share: a server on one core, its clients on another, and figures.

Run as a script it does nothing. With a single core both share it, and ratios say less.
"""

import asyncio
import contextlib
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

CORES = sorted(os.sched_getaffinity(0))
ROUNDS = 15
SECONDS = 0.15
WARM_UP_SECONDS = 0.2
AT_ONCE = (1, 32)
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "add",
}

Work = Callable[[], Awaitable[object]]


class Figures(NamedTuple):
    """How often something was done, and what each time cost the client."""

    a_second: float
    cpu_microseconds: float


Measured = Mapping[tuple[str, int], Figures]
"""By name and by the number that were under way at once."""


def question(arguments: object) -> bytes:
    """Return a call of a tool."""
    params: dict[str, Any] = {"name": "add", "arguments": arguments, "_meta": {}}
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


def answer_to(body: bytes) -> bytes:
    """Read a call and answer its arguments, as a tool that returns them would."""
    call = orjson.loads(body)
    value = {"result": call["params"]["arguments"]}
    result: dict[str, Any] = {"content": [], "structuredContent": value, "resultType": "complete"}
    return orjson.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result})


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """Answer over ASGI, with nothing around it."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = answer_to(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def serve_http(listener: socket.socket) -> None:
    """Serve the echo with uvicorn, set as agents set it."""
    config = uvicorn.Config(
        echo,
        log_level="error",
        access_log=False,
        lifespan="off",
        http="httptools",
        ws="none",
        server_header=False,
    )
    await uvicorn.Server(config).serve([listener])


def tcp_listener() -> socket.socket:
    """Return a socket on a free port, named as TCP, or answers wait for acknowledgements."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


@contextlib.contextmanager
def served(
    serve: Callable[[socket.socket], Awaitable[None]], listener: socket.socket
) -> Generator[None]:
    """Serve in a process and on a core of its own while the block runs, on the other core."""
    allowed = os.sched_getaffinity(0)

    def run() -> None:
        os.sched_setaffinity(0, {CORES[0]})

        async def serving() -> None:
            await serve(listener)

        uvloop.run(serving())

    listener.listen(1024)
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    os.sched_setaffinity(0, {CORES[-1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        process.kill()
        process.join()
        listener.close()


async def figures(work: Work, at_once: int, seconds: float) -> Figures:
    """Do work as often as it goes."""
    done = 0
    until = time.perf_counter() + seconds

    async def several() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work()
            done += 1

    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(several() for _ in range(at_once)))
    taken, spent = time.perf_counter() - began, time.process_time() - spent
    return Figures(done / taken, spent / done * 1e6)


async def measured(works: Mapping[str, Work], at_once: Sequence[int] = AT_ONCE) -> Measured:
    """Return the medians of each; they take turns, so that what disturbs one disturbs all."""
    found: dict[tuple[str, int], list[Figures]] = {}
    for number in at_once:
        for work in works.values():
            await figures(work, number, WARM_UP_SECONDS)
        for _ in range(ROUNDS):
            for name, work in works.items():
                found.setdefault((name, number), []).append(await figures(work, number, SECONDS))
    return {
        key: Figures(
            statistics.median(each.a_second for each in taken),
            statistics.median(each.cpu_microseconds for each in taken),
        )
        for key, taken in found.items()
    }


def print_measured(title: str, found: Measured, against: str) -> None:
    """Print the medians, and each rate as a multiple of one of them."""
    print(f"{title:24} {'at once':>8} {'a second':>9} {'client CPU':>11}   against {against}")
    for (name, at_once), each in found.items():
        ratio = each.a_second / found[against, at_once].a_second
        spent = f"{each.cpu_microseconds:.0f} µs"
        print(f"{name:24} {at_once:8} {each.a_second:9,.0f} {spent:>11}   {ratio:.2f} x")
