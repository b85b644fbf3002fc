"""The same comparison through uvicorn: what HTTP itself adds, and clients that others wrote."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastmcp import Client
from hypothesis import Phase, given, settings
from starlette.types import ASGIApp, Receive, Scope, Send

from meshd.clock import SystemClock
from meshd.daemon.ports import Port
from meshd.runtime.http import serving
from tests.differential.apps import Apps, two_apps
from tests.differential.compare import difference
from tests.differential.requests import QUIETLY, calls, modern, older
from tests.differential.test_lane import PLAIN
from tests.differential.wire import Answer, Request

CASES = 300


def counting(app: ASGIApp, by_lane: list[bool]) -> ASGIApp:
    """Return the application, noting of each request whether FastMCP never saw it."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        by_lane.append("app" not in scope)

    return counted


@contextlib.asynccontextmanager
async def served(
    apps: Apps, by_lane: list[bool] | None = None
) -> AsyncGenerator[tuple[Port, Port], None]:
    """Serve the lane and plain FastMCP on ports of this machine."""
    clock = SystemClock()
    lane = counting(apps.lane, [] if by_lane is None else by_lane)
    async with contextlib.AsyncExitStack() as stack:
        ports = [Port("127.0.0.1", 0), Port("127.0.0.1", 0)]
        for port, app in zip(ports, (lane, apps.plain), strict=True):
            port.open()
            listener = port.duplicate()
            port.close()
            await stack.enter_async_context(serving(app, [listener], clock, grace_seconds=0.2))
        yield ports[0], ports[1]


def raw(request: Request, connection: bytes = b"close") -> bytes:
    """Return the request as HTTP/1.1 has it, its body in one piece or in chunks."""
    head = [b"%s %s HTTP/1.1" % (request.method.encode(), request.path.encode() or b"/")]
    head += [b"%s: %s" % (name.title(), value) for name, value in request.headers]
    head.append(b"Connection: " + connection)
    if len(request.chunks) == 1:
        return b"\r\n".join([*head, b"Content-Length: %d" % len(request.body), b"", request.body])
    body = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in request.chunks if one)
    return b"\r\n".join([*head, b"Transfer-Encoding: chunked", b"", body + b"0\r\n\r\n"])


async def sent(port: Port, data: bytes) -> Answer:
    """Send bytes, and return all that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.endpoint.port)
    try:
        async with asyncio.timeout(10):
            writer.write(data)
            with contextlib.suppress(ConnectionError):
                return parsed(await reader.read())
    finally:
        writer.close()
    return Answer(failure="reset")


def parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    if not first.startswith(b"HTTP/1.1 "):
        return Answer(body=data, failure="no HTTP")
    pairs = [line.split(b":", 1) for line in lines]
    headers = tuple((name.lower(), value.strip()) for name, value in pairs)
    if (b"transfer-encoding", b"chunked") in headers:
        body = whole(body)
    return Answer(int(first.split()[1]), headers, body)


def whole(chunked: bytes) -> bytes:
    found, rest = b"", chunked
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        found, rest = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return found


def is_one_request(request: Request) -> bool:
    """Say whether HTTP can carry it as it is: the server's parser is not compared."""
    names = {name for name, _ in request.headers}
    odd = {b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"connection"}
    path = request.path.encode()
    return names.isdisjoint(odd) and path.isascii() and b"\n" not in path and path != b""


@pytest.mark.timeout(90)
def test_over_sockets_it_is_the_same() -> None:
    found: list[str] = []
    wished: list[Request] = []
    by_lane: list[bool] = []

    with two_apps() as apps:

        @settings(QUIETLY, max_examples=CASES // 2, phases=(Phase.generate,))
        @given(calls(apps.signatures))
        def wish(requests: tuple[Request, ...]) -> None:
            wished.extend(filter(is_one_request, requests))

        wish()

        async def ask() -> None:
            async with served(apps, by_lane) as (lane, plain):
                for request in wished:
                    data = raw(request)
                    answers = await asyncio.gather(sent(lane, data), sent(plain, data))
                    if text := difference(*answers):
                        found.append(f"{text}\n\n{data!r}")

        apps.run(ask())
    assert len(wished) > CASES * 0.8
    assert sum(by_lane) > len(wished) / 2
    assert not found, "\n\n---\n".join(found[:5])


async def sent_in_a_row(port: Port, pieces: list[bytes]) -> list[Answer]:
    """Send requests on one connection without waiting, in pieces; return the answers in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.endpoint.port)
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)  # noqa: TID251
            rest = await reader.read()
    finally:
        writer.close()
    answers: list[Answer] = []
    while rest:
        head, _, after = rest.partition(b"\r\n\r\n")
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            end = after.index(b"0\r\n\r\n") + 5
        else:
            _, _, length = lowered.partition(b"content-length: ")
            end = int(length.split(b"\r\n")[0] or b"0")
        answers.append(parsed(head + b"\r\n\r\n" + after[:end]))
        rest = after[end:]
    return answers


@pytest.mark.timeout(60)
def test_requests_in_a_row_are_answered_in_a_row() -> None:
    found: list[str] = []
    counts: set[int] = set()
    plain = [draft(*call, n).request() for n, call in enumerate(PLAIN) for draft in (modern, older)]
    others = [modern("with_context", {}), older("content", {"text": "x"}), modern("slow", {})]
    rows = [
        [plain[(at * 7 + step * 3) % len(plain)] for step in range(5)] for at in range(len(plain))
    ]
    for at, row in enumerate(rows):
        row.insert(at % 5, others[at % 3].request())

    async def ask(apps: Apps) -> None:
        async with served(apps) as ports:
            for at, row in enumerate(rows):
                data = b"".join(raw(one, b"keep-alive") for one in row[:-1]) + raw(row[-1])
                size = (len(data), 700, 64)[at % 3]
                pieces = [data[start : start + size] for start in range(0, len(data), size)]
                lane, plain = await asyncio.gather(*(sent_in_a_row(p, pieces) for p in ports))
                counts.update((len(lane), len(plain)))
                for one, other, request in zip(lane, plain, row, strict=True):
                    if text := difference(one, other):
                        found.append(f"{text}\n\n{request}")

    with two_apps() as apps:
        apps.run(ask(apps))
    assert not found, "\n\n---\n".join(found[:5])
    assert counts == {6}


SPELLINGS: tuple[tuple[bytes, bytes], ...] = (
    (b"\r\nMcp-", b"\r\nmCP-"),
    (b"Mcp-Name: ", b"Mcp-Name:\t "),
    (b": application/json\r", b":application/json \t \r"),
    (b"Connection: close", b"Connection: Close\r\nX-Other: "),
    (b" HTTP/1.1", b"?x=1 HTTP/1.1"),
    (b"POST /mcp", b"POST http://127.0.0.1:8000/mcp"),
    (b"POST /mcp", b"POST /%6Dcp"),
    (b"POST /mcp", b"POST /x/../mcp"),
    (b"POST /mcp", b"POST /mcp#x"),
    (b" HTTP/1.1", b" HTTP/1.0"),
    (b"Host: 127.0.0.1:8000\r\n", b""),
    (b"Connection: close", b"Expect: 100-continue\r\nConnection: close"),
)


@pytest.mark.timeout(30)
def test_other_spellings_of_http_are_answered_alike() -> None:
    found: list[str] = []

    async def ask(apps: Apps) -> None:
        async with served(apps) as (lane, plain):
            for draft in (modern("add", {"a": 1, "b": 2}), older("add", {"a": 1, "b": 2})):
                for cuts in (0, 3):
                    draft.cuts = cuts
                    for spelling in SPELLINGS:
                        data = raw(draft.request()).replace(*spelling)
                        answers = await asyncio.gather(sent(lane, data), sent(plain, data))
                        if text := difference(*answers):
                            found.append(f"{text}\n\n{data!r}")

    with two_apps() as apps:
        apps.run(ask(apps))
    assert not found, "\n\n---\n".join(found[:5])


async def told(url: str, mode: Any) -> list[Any]:
    """Return all that FastMCP's own client is told by a server."""
    seen: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with Client(f"{url}/mcp", mode=mode) as client:
        seen.append([tool.model_dump() for tool in await client.list_tools()])
        for tool, arguments in PLAIN:
            answer = await client.call_tool(
                tool, arguments, raise_on_error=False, progress_handler=on_progress
            )
            seen.append((answer.content, answer.structured_content, answer.is_error, answer.meta))
    return seen


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_fastmcps_own_client_is_told_the_same(mode: str) -> None:
    by_lane: list[bool] = []

    async def ask(apps: Apps) -> None:
        async with served(apps, by_lane) as (lane, plain):
            first = await told(lane.endpoint.url, mode)
            second = await told(plain.endpoint.url, mode)
            assert first == second
            assert len(first) > len(PLAIN) + 4  # some chunks came as progress
            assert sum(by_lane) == len(PLAIN)

    with two_apps() as apps:
        apps.run(ask(apps))
