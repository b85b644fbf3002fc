"""The client against answers that servers may give."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from meshd.clock import SystemClock
from meshd.errors import (
    ArgumentsRejected,
    CallError,
    CallTimedOut,
    ConnectionLost,
    ToolFailed,
    Unavailable,
)
from meshd.runtime import client as client_module
from meshd.runtime.client import McpClient
from tests.runtime.servers import free_endpoint, plain, raw, result_of, serving, stream
from tests.runtime.wire.peers import Peer, peers

Answer = Callable[[dict[str, Any]], web.Response]

WRAPPED = {"fastmcp": {"wrap_result": True}}
VERSION = "mcp-protocol-version"
UNSUPPORTED = {
    "jsonrpc": "2.0",
    "id": "server-error",
    "error": {
        "code": -32600,
        "message": "Bad Request: Unsupported protocol version: 2026-07-28. "
        "Supported versions: 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25",
    },
}


class Server:
    """Answers calls; notes headers and bodies."""

    def __init__(self, answer: Answer, *, older: bool = False) -> None:
        self.answer = answer
        self.older = older
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if request.path != "/mcp":
            return web.Response(status=404)
        self.bodies.append(json.loads(await request.read()))
        if self.older and VERSION in self.headers[-1]:
            return plain(UNSUPPORTED, 400)
        return self.answer(self.bodies[-1])


def answering(**result: Any) -> Answer:
    return lambda request: plain(result_of(request, **result))


async def call(answer: Answer, *, older: bool = False, **more: Any) -> Any:
    async with serving(Server(answer, older=older)) as url, McpClient() as client:
        return await client.call(url, "tool", {"a": 1}, **more)


async def test_the_request_is_what_the_revision_demands() -> None:
    server = Server(answering(structuredContent={"result": 1}, _meta=WRAPPED))
    async with serving(server) as url, McpClient() as client:
        assert await client.call(url, "tool", {"a": "é\ud800"}) == 1
    [headers], [body] = server.headers, server.bodies
    shown = {"mcp-protocol-version", "mcp-method", "mcp-name", "accept", "content-type"}
    assert {name: headers[name] for name in shown} == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "tool",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    assert body["params"]["arguments"] == {"a": "é\ud800"}
    meta = body["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}
    assert "progressToken" not in meta


async def test_what_a_caller_adds_is_sent_beside_what_the_protocol_demands() -> None:
    for older in (False, True):
        server = Server(answering(structuredContent={"a": 1}), older=older)
        async with serving(server) as url, McpClient() as client:
            await client.call(
                url,
                "tool",
                {},
                headers={"X-Mesh-Timeout": "3", "user-agent": "mine"},
                meta={"m": 1},
            )
        assert server.headers[-1]["x-mesh-timeout"] == "3"
        assert server.headers[-1]["user-agent"] == "mine"
        assert (server.bodies[-1]["params"]["_meta"] == {"m": 1}) is older
        assert server.bodies[-1]["params"]["_meta"]["m"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"A": "b\r\nC: d"},
        {"A\r\nB": "c"},
        {"Content-Length": "0"},
        {"host": "elsewhere"},
        {"Accept": "*/*"},
        {"mcp-NAME": "other"},
        {"A": "\u010a"},
    ],
)
async def test_headers_that_a_caller_may_not_add(headers: dict[str, str]) -> None:
    server = Server(answering(content=[]))
    async with serving(server) as url, McpClient() as client:
        with pytest.raises(ArgumentsRejected, match="cannot be sent") as caught:
            await client.call(url, "tool", {}, headers=headers, provider="there.tool")
    assert caught.value.provider == "there.tool"
    assert server.headers == []


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("a tool", "a tool"),
        ("größe", "=?base64?Z3LDtsOfZQ==?="),
        ("a\r\nB: c", "=?base64?YQ0KQjogYw==?="),
        (" a", "=?base64?IGE=?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
    ],
)
async def test_a_tools_name_in_its_header(tool: str, name: str) -> None:
    server = Server(answering(content=[]))
    async with serving(server) as url, McpClient() as client:
        await client.call(url, tool, {})
    assert server.headers[0]["mcp-name"] == name
    assert server.bodies[0]["params"]["name"] == tool


@pytest.mark.parametrize("value", [2**63, -(2**64), 2**200, 0.1, -0.0, "\ud800", [None]])
async def test_values_go_and_come_as_they_are(value: Any) -> None:
    def answer(request: dict[str, Any]) -> web.Response:
        return plain(result_of(request, structuredContent={"a": request["params"]["arguments"]}))

    async with serving(Server(answer)) as url, McpClient() as client:
        found = await client.call(url, "tool", {"a": value})
    assert repr(found) == repr({"a": {"a": value}})


@pytest.mark.parametrize("form", [plain, stream])
async def test_connections_are_used_again(form: Callable[[object], web.Response]) -> None:
    ports: set[int] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return form(result_of(json.loads(await request.read()), content=[]))

    async with serving(handler) as url, McpClient() as client:
        for _ in range(3):
            await client.call(url, "tool", {})
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"structuredContent": {"result": "123"}, "_meta": WRAPPED}, "123"),
        ({"structuredContent": {"result": None}, "_meta": WRAPPED}, None),
        ({"structuredContent": {"result": 1}}, {"result": 1}),
        ({"structuredContent": {"a": 1}}, {"a": 1}),
        ({"structuredContent": {"a": 1}, "_meta": {"fastmcp": []}}, {"a": 1}),
        ({"content": [{"type": "text", "text": "1"}]}, [{"type": "text", "text": "1"}]),
    ],
)
async def test_results(result: dict[str, Any], value: object) -> None:
    assert await call(answering(**result)) == value


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"content": []}, None),
        ({"content": [{"type": "text", "text": "[1, 2]"}]}, [1, 2]),
        ({"content": [{"type": "text", "text": "{x"}]}, "{x"),
        ({"content": [{"type": "image", "data": ""}]}, [{"type": "image", "data": ""}]),
        ({"content": ["shapeless"]}, ["shapeless"]),
        ({"content": [{"text": "a"}, {"text": "b"}]}, [{"text": "a"}, {"text": "b"}]),
        ({"structuredContent": {"result": "123"}, "_meta": WRAPPED}, "123"),
    ],
)
async def test_results_of_older_servers(result: dict[str, Any], value: object) -> None:
    assert await call(answering(**result), older=True) == value


async def test_an_older_server_is_remembered_and_spoken_to_as_it_wants() -> None:
    server = Server(answering(content=[{"type": "text", "text": "7"}]), older=True)
    async with serving(server) as url, McpClient() as client:
        assert [await client.call(url, "tool", {"a": 1}) for _ in range(3)] == [7, 7, 7]
    assert [VERSION in headers for headers in server.headers] == [True, False, False, False]
    assert "mcp-name" not in server.headers[-1]
    assert server.bodies[-1]["params"] == {"name": "tool", "arguments": {"a": 1}}


async def test_an_older_server_that_fails_is_remembered_too() -> None:
    server = Server(answering(isError=True, content=[{"type": "text", "text": "no"}]), older=True)
    async with serving(server) as url, McpClient() as client:
        for _ in range(2):
            with pytest.raises(ToolFailed):
                await client.call(url, "tool", {})
    assert len(server.headers) == 3


async def test_an_older_server_that_refuses_for_another_reason_is_asked_once() -> None:
    def answer(_: Any) -> web.Response:
        return plain({"error": {"code": -32600, "message": "no session"}}, 400)

    server = Server(answer)
    async with serving(server) as url, McpClient() as client:
        with pytest.raises(CallError, match="no session"):
            await client.call(url, "tool", {})
    assert len(server.headers) == 1


async def test_a_server_that_became_newer_is_spoken_to_in_the_new_form_again() -> None:
    server = Server(answering(content=[]), older=True)
    async with serving(server) as url, McpClient() as client:
        await client.call(url, "tool", {})
        server.older = False

        def refusing(_: object) -> web.Response:
            return plain({"error": {"code": -32600, "message": "no session"}}, 400)

        server.answer = refusing
        with pytest.raises(CallError, match="no session"):
            await client.call(url, "tool", {})
        server.answer = answering(structuredContent={"a": 1})
        assert await client.call(url, "tool", {}) == {"a": 1}
    assert VERSION in server.headers[-1]


async def test_who_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_REMEMBERED", 1)
    first = Server(answering(content=[]), older=True)
    second = Server(answering(content=[]), older=True)
    async with serving(first) as one, serving(second) as other, McpClient() as client:
        for url in (one, other, one):
            await client.call(url, "tool", {})
    assert [VERSION in headers for headers in first.headers] == [True, False, True, False]


async def test_a_stream_of_events_with_progress() -> None:
    progress = {"method": "notifications/progress", "params": {"progress": 1, "message": "half"}}
    wordless = {"method": "notifications/progress", "params": {"progress": 2}}
    shapeless = {"method": "notifications/progress", "params": [3]}
    other = {"method": "notifications/message", "params": {"data": "log"}}
    seen: list[str] = []

    def answer(request: dict[str, Any]) -> web.Response:
        assert request["params"]["_meta"]["progressToken"] == request["id"]
        return stream(
            progress, wordless, shapeless, other, result_of(request, structuredContent={"a": 2})
        )

    assert await call(answer, on_progress=seen.append) == {"a": 2}
    assert seen == ["half"]


async def test_a_large_answer_in_a_stream() -> None:
    text = "x" * 3_000_000
    answer: Answer = lambda request: stream(result_of(request, structuredContent={"t": text}))  # noqa: E731
    assert await call(answer) == {"t": text}


@pytest.mark.parametrize("form", [plain, stream])
async def test_an_answer_beyond_bearing(
    monkeypatch: pytest.MonkeyPatch, form: Callable[[object], web.Response]
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(CallError, match="more than 1000 bytes"):
        await call(lambda request: form(result_of(request, content=[{"text": "x" * 1000}])))


async def test_a_stream_that_ends_too_early() -> None:
    with pytest.raises(CallError, match=r"ended without an answer; the tool may have run"):
        await call(lambda _: stream())


async def test_a_stream_with_an_error_for_nobody() -> None:
    with pytest.raises(CallError, match=r"cannot read that \[-32700\]"):
        await call(lambda _: stream({"error": {"code": -32700, "message": "cannot read that"}}))


async def test_a_tool_that_fails() -> None:
    failed = {"isError": True, "content": [{"type": "text", "text": "gone"}, {"type": "image"}]}
    with pytest.raises(ToolFailed, match=r"^gone$") as caught:
        await call(answering(**failed), provider="there.tool")
    assert caught.value.provider == "there.tool"


async def test_a_tool_that_fails_without_a_word() -> None:
    with pytest.raises(ToolFailed, match="without a word"):
        await call(answering(isError=True))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": -32602, "message": "no such thing"}, r"no such thing \[-32602\]"),
        ("odd", "the server answered an error: odd"),
    ],
)
async def test_an_error_of_the_protocol(error: object, message: str) -> None:
    with pytest.raises(CallError, match=message):
        await call(lambda request: plain({"id": request["id"], "error": error}))


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (web.Response(status=502, text="<html>bad gateway"), "HTTP 502 .*: <html>bad gateway"),
        (web.Response(status=307, headers={"Location": "/other"}), "HTTP 307 instead of an MCP"),
        (web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "is compressed"),
        (plain([1, 2]), "HTTP 200 instead of an MCP answer"),
        (plain({"jsonrpc": "2.0"}, 500), "HTTP 500 instead of an MCP answer"),
        (web.Response(text="[" * 100_000), "HTTP 200 instead of an MCP answer"),
        (plain({"id": 1, "result": []}), "no result of a tool"),
        (plain({"id": 1, "result": {"content": "text"}}), "no result of a tool"),
        (plain({"id": 1, "method": "notifications/progress"}), "no result of a tool"),
    ],
)
async def test_what_is_not_mcp(response: web.Response, message: str) -> None:
    with pytest.raises(CallError, match=message):
        await call(lambda _: response)


async def test_nothing_answers() -> None:
    endpoint = free_endpoint()
    async with McpClient() as client:
        with pytest.raises(Unavailable, match=re.escape(f"nothing answers at {endpoint}: ")):
            await client.call(endpoint, "tool", {})


@pytest.mark.parametrize("endpoint", ["stdio://there-1", "http://", "", "http://[::1"])
async def test_an_endpoint_that_is_none(endpoint: str) -> None:
    async with McpClient() as client:
        with pytest.raises(Unavailable):
            await client.call(endpoint, "tool", {})


async def test_no_answer_in_time() -> None:
    async def never(_: web.Request) -> web.Response:
        await SystemClock().sleep(60)
        return web.Response()

    async with serving(never) as url, McpClient() as client:
        with pytest.raises(CallTimedOut, match="in time"):
            await client.call(url, "tool", {}, timeout_seconds=0.02)


@pytest.mark.parametrize("piece", [b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
async def test_a_server_that_dawdles_does_not_outlast_the_time(piece: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(piece)
        for _ in range(6):
            await SystemClock().sleep(0.02)
            await peer.send(b"T" if piece == b"H" else b" ")

    async with peers(script) as server, McpClient() as client:
        with pytest.raises(CallTimedOut):
            await client.call(server.url, "tool", {}, timeout_seconds=0.05)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\ndata:"
        ),
        b"this is not HTTP\r\n\r\n",
    ],
)
async def test_a_connection_that_breaks_after_sending_may_have_had_an_effect(
    answer: bytes,
) -> None:
    async with raw(answer) as url, McpClient() as client:
        with pytest.raises(CallError, match=r"broke: .*; the tool may have run") as caught:
            await client.call(url, "tool", {})
    assert type(caught.value) is ConnectionLost
    assert caught.value.executed


@pytest.mark.parametrize("value", [float("nan"), object()])
async def test_arguments_that_are_no_json(value: object) -> None:
    with pytest.raises(ArgumentsRejected, match="cannot be sent"):
        async with McpClient() as client:
            await client.call(free_endpoint(), "tool", {"a": value})


async def test_a_cancelled_call_closes_its_connection() -> None:
    closed = asyncio.Event()
    arrived = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        arrived.set()
        try:
            while request.transport is not None and not request.transport.is_closing():
                await SystemClock().sleep(0.001)
        finally:
            closed.set()
        return web.Response()

    async with serving(handler) as url, McpClient() as client:
        calling = asyncio.ensure_future(client.call(url, "tool", {}))
        await arrived.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.wait_for(closed.wait(), 2)


async def test_a_closed_client_opens_anew() -> None:
    async with serving(Server(answering(content=[]))) as url, McpClient() as client:
        await client.call(url, "tool", {})
        await client.close()
        await client.close()
        assert await client.call(url, "tool", {}) == []
