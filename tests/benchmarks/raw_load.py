"""Load over plain sockets, so that the load costs less than what it measures.

Each connection sends its next request when it has the whole answer to the last. Run as a script it
does nothing.
"""

import asyncio
import itertools
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Load:
    """What was answered: how often, how fast and with which status."""

    seconds: float = 0.0
    took: list[float] = field(default_factory=list[float])
    statuses: Counter[int] = field(default_factory=Counter[int])
    bytes_received: int = 0
    cpu_seconds: float = 0.0
    """What the server's process used meanwhile; a busy machine changes it less than the rate."""

    @property
    def rate(self) -> float:
        return len(self.took) / self.seconds

    def milliseconds(self, share: float) -> float:
        """Return the time within which this share of the answers came."""
        return sorted(self.took)[int(share * (len(self.took) - 1))] * 1000


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], load: Load) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._load = load
        self._received = b""
        self._head_only = False
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has its own
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._is_whole():
            self._load.took.append(time.perf_counter() - self._sent_at)
            self._load.statuses[int(self._received[9:12])] += 1
            self._load.bytes_received += len(self._received)
            self._received = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._head_only = request.startswith(b"HEAD ")
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _is_whole(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._head_only:
            return end >= 0
        head = self._received[: end + 2]
        if found := _LENGTH.search(head):
            return len(self._received) >= end + 4 + int(found[1])
        return self._received.endswith(b"\r\n0\r\n\r\n")


async def once(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send each request once."""
    return await _loaded(port, iter(requests), connections)


async def for_seconds(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> Load:
    """Send the requests over and over until the time is up."""
    end = time.perf_counter() + seconds
    cycled = itertools.cycle(requests)
    return await _loaded(
        port, itertools.takewhile(lambda _: time.perf_counter() < end, cycled), connections
    )


async def _loaded(port: int, requests: Iterator[bytes], connections: int) -> Load:
    load = Load()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(requests, load), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in opened))
    load.seconds = time.perf_counter() - began
    return load


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def shown(name: str, loads: Sequence[Load]) -> str:
    """Return one line: the median rate of all rounds, and the times of the last."""
    rate = statistics.median(load.rate for load in loads)
    last = loads[-1]
    return (
        f"{name:38} {rate:8,.0f}/s   p50 {last.milliseconds(0.5):6.2f} ms"
        f"   p99 {last.milliseconds(0.99):6.2f} ms   CPU {cpu(loads) * 1000:6.3f} ms"
        f"   {dict(last.statuses)}"
    )


def cpu(loads: Sequence[Load]) -> float:
    """Return the median of the seconds that the server used for one answer."""
    return statistics.median(load.cpu_seconds / len(load.took) for load in loads)


def ratios(name: str, ours: Sequence[Load], theirs: Sequence[Load], goal: str) -> str:
    """Return one line: how many times as fast, by rate and by the server's CPU time."""
    rate = statistics.median(each.rate for each in ours)
    peer = statistics.median(each.rate for each in theirs)
    by_cpu = cpu(theirs) / cpu(ours)
    return f"{name}: {rate / peer:.2f} x by rate, {by_cpu:.2f} x by CPU time (goal: {goal})"
