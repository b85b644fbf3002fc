"""What a generator of another agent yields, as it reaches the consumer."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from meshd.domain.signature import Mode
from meshd.domain.spec import ToolSpec
from meshd.errors import (
    CallError,
    ConnectionLost,
    ResultRejected,
    ToolFailed,
    Unauthorised,
    Unavailable,
)
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.agent import Parts, RunningAgent
from meshd.runtime.client import McpClient
from meshd.runtime.protocol import CHUNK
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody
from tests.runtime.servers import free_endpoint, plain, result_of, serving, stream
from tests.runtime.test_agent import served
from tests.runtime.wire.peers import Peer, peers

Answer = Callable[[dict[str, Any]], web.Response]
WRAPPED = {"fastmcp": {"wrap_result": True}}


def progress(message: object, **meta: str) -> dict[str, Any]:
    params: dict[str, Any] = {"progressToken": 1, "progress": 1, "message": message}
    if meta:
        params["_meta"] = {CHUNK: meta["chunk"]}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


def as_json(value: object) -> dict[str, Any]:
    return progress(json.dumps(value), chunk="json")


async def chunks(answer: Answer) -> list[Any]:
    async def handler(request: web.Request) -> web.Response:
        return answer(json.loads(await request.read()))

    async with serving(handler) as url, McpClient() as client:
        return [chunk async for chunk in client.stream(url, "tool", {})]


async def test_a_consumer_asks_for_chunks_as_json() -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> web.Response:
        asked.append(request)
        return plain(result_of(request, structuredContent={"result": []}, _meta=WRAPPED))

    assert await chunks(answer) == []
    [request] = asked
    meta = request["params"]["_meta"]
    assert (meta["meshd.dev/chunks"], meta["progressToken"]) == ("json", request["id"])


@pytest.mark.parametrize("value", [None, "123", "", 7, 2**70, 1.5, [], {"a": ["ü\ud800"]}])
async def test_a_chunk_that_is_marked_as_json_comes_back_as_it_was(value: object) -> None:
    assert await chunks(lambda request: stream(as_json(value), result_of(request, content=[]))) == [
        value
    ]


async def test_a_chunk_without_a_mark_is_text() -> None:
    messages = (progress("7"), progress("[1]", chunk="text"), progress("a"))
    assert await chunks(lambda r: stream(*messages, result_of(r, content=[]))) == ["7", "[1]", "a"]


async def test_progress_without_words_is_no_chunk() -> None:
    shapeless = {"method": "notifications/progress", "params": [1]}
    log = {"method": "notifications/message", "params": {"data": "log"}}
    result = {"structuredContent": {"result": [1, "2"]}, "_meta": WRAPPED}
    answer: Answer = lambda r: stream(progress(None), shapeless, log, result_of(r, **result))  # noqa: E731
    assert await chunks(answer) == [1, "2"]


@pytest.mark.parametrize("form", [plain, stream])
async def test_an_answer_without_chunks(form: Callable[[object], web.Response]) -> None:
    result = {"structuredContent": {"result": {"a": 1}}, "_meta": WRAPPED}
    assert await chunks(lambda request: form(result_of(request, **result))) == [{"a": 1}]


async def test_a_chunk_that_is_said_to_be_json_and_is_not() -> None:
    with pytest.raises(ResultRejected, match="no JSON"):
        await chunks(lambda _: stream(progress("{", chunk="json")))


FAILED: dict[str, Any] = {"isError": True, "content": []}
FAILURES: list[tuple[Answer, type[CallError]]] = [
    (lambda request: stream(as_json(1), result_of(request, **FAILED)), ToolFailed),
    (lambda request: plain(result_of(request, **FAILED)), ToolFailed),
    (lambda _: web.Response(status=401), Unauthorised),
    (lambda _: stream(as_json(1)), ConnectionLost),
    (lambda _: stream("no message"), CallError),
    (lambda _: stream(as_json(1), {"error": {"code": 1, "message": "m"}}), CallError),
]


@pytest.mark.parametrize(("answer", "kind"), FAILURES)
async def test_how_a_stream_fails(answer: Answer, kind: type[CallError]) -> None:
    with pytest.raises(kind):
        await chunks(answer)


async def test_nothing_answers() -> None:
    async with McpClient() as client:
        with pytest.raises(Unavailable):
            await anext(client.stream(free_endpoint(), "tool", {}))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def event(peer: Peer, message: object) -> None:
    data = b"data: " + json.dumps(message).encode() + b"\n\n"
    await peer.send(b"%x\r\n%b\r\n" % (len(data), data))


def generating(
    generate: Callable[[Peer, int], Awaitable[None]],
) -> Callable[[Peer], Awaitable[None]]:
    async def script(peer: Peer) -> None:
        body = (await peer.request()).partition(b"\r\n\r\n")[2]
        await peer.send(HEAD)
        await generate(peer, json.loads(body)["id"])

    return script


async def test_each_chunk_comes_when_it_is_made() -> None:
    consumed = asyncio.Event()

    async def generate(peer: Peer, number: int) -> None:
        for value in range(3):
            await event(peer, as_json(value))
            await consumed.wait()
            consumed.clear()
        await event(peer, {"id": number, "result": {"content": []}})

    async with peers(generating(generate)) as server, McpClient() as client:
        found: list[Any] = []
        async for chunk in client.stream(server.url, "tool", {}):
            found.append(chunk)
            consumed.set()
    assert found == [0, 1, 2]


async def test_a_generator_that_is_closed_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def generate(peer: Peer, _: int) -> None:
        await event(peer, as_json(1))
        await peer.end()
        closed.set()

    async with peers(generating(generate)) as server, McpClient() as client:
        async with contextlib.aclosing(client.stream(server.url, "tool", {})) as made:
            assert await anext(made) == 1
        await closed.wait()


async def test_a_consumer_that_is_cancelled_closes_its_connection() -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def generate(peer: Peer, _: int) -> None:
        arrived.set()
        await peer.end()
        closed.set()

    async with peers(generating(generate)) as server, McpClient() as client:
        waiting = asyncio.ensure_future(anext(client.stream(server.url, "tool", {})))
        await arrived.wait()
        await asyncio.wait([waiting], timeout=0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await closed.wait()


async def test_a_slow_consumer_makes_the_provider_wait() -> None:
    made = 0
    blocked = asyncio.Event()

    async def generate(peer: Peer, number: int) -> None:
        nonlocal made
        for _ in range(20_000):
            sending = asyncio.ensure_future(event(peer, as_json("x" * 1_000)))
            if not (await asyncio.wait([sending], timeout=0.1))[0]:
                blocked.set()
            await sending
            made += 1
        await event(peer, {"id": number, "result": {"content": []}})

    async with (
        peers(generating(generate)) as server,
        McpClient() as client,
        contextlib.aclosing(client.stream(server.url, "tool", {})) as found,
    ):
        assert await anext(found) == "x" * 1_000
        await blocked.wait()
        assert made < 10_000


async def test_a_connection_that_breaks_within_a_stream() -> None:
    async def generate(peer: Peer, _: int) -> None:
        await event(peer, as_json(1))

    async with peers(generating(generate)) as server, McpClient() as client:
        found = client.stream(server.url, "tool", {})
        assert await anext(found) == 1
        with pytest.raises(ConnectionLost, match="broke: it ended within the answer"):
            await anext(found)


async def test_chunks_of_an_agent_come_back_as_they_were() -> None:
    made: list[Any] = [1, "two", "3", None, {"four": [2**70]}, "\ud800"]

    async def numbers() -> Any:
        for chunk in made:
            yield chunk

    body = FakeBody(numbers, Mode.ASYNC_GENERATOR)
    spec = ToolSpec(callable="m:tool", name="tool")
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    agent = RunningAgent(plan, "here-1", Parts(bodies={"tool": body}), {}, Workers())
    async with served(agent, "127.0.0.1") as [url], McpClient() as client:
        assert [chunk async for chunk in client.stream(url, "tool", {})] == made
        assert await client.call(url, "tool", {}) == made
