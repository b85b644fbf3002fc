"""The client against answers that servers may give."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from meshd.errors import CallError, CallTimedOut, ToolFailed
from meshd.runtime.client import call_tool

Answer = Callable[[dict[str, Any]], httpx2.Response]


def plain(value: object, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=value)


def result_of(request: dict[str, Any], **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


def stream(*messages: object) -> httpx2.Response:
    events = "".join(f"event: message\r\ndata: {json.dumps(m)}\r\n\r\n" for m in messages)
    return httpx2.Response(200, text=events, headers={"content-type": "text/event-stream"})


async def call(answer: Answer, seen: list[str] | None = None) -> Any:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return answer(json.loads(request.content))

    transport = httpx2.MockTransport(respond)
    on_progress = None if seen is None else seen.append
    async with httpx2.AsyncClient(transport=transport) as http:
        return await call_tool(http, "http://agent", "tool", {"a": 1}, on_progress)


async def test_the_request_is_what_the_revision_demands() -> None:
    sent: list[httpx2.Request] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return plain(result_of(json.loads(request.content), structuredContent={"result": 1}))

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond)) as http:
        assert await call_tool(http, "http://agent", "tool", {"a": 1}) == 1
    [request] = sent
    body = json.loads(request.content)
    assert str(request.url) == "http://agent/mcp"
    assert {name: request.headers[name] for name in ("mcp-protocol-version", "mcp-method")} == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
    }
    assert request.headers["mcp-name"] == "tool"
    assert body["params"]["arguments"] == {"a": 1}
    meta = body["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"structuredContent": {"result": "123"}}, "123"),
        ({"structuredContent": {"result": None}}, None),
        ({"structuredContent": {"a": 1}}, {"a": 1}),
        ({"structuredContent": {"result": 1, "more": 2}}, {"result": 1, "more": 2}),
        ({"content": [{"type": "text", "text": "x"}]}, [{"type": "text", "text": "x"}]),
    ],
)
async def test_results(result: dict[str, Any], value: object) -> None:
    assert await call(lambda request: plain(result_of(request, **result))) == value


async def test_a_stream_of_events_with_progress() -> None:
    progress = {"method": "notifications/progress", "params": {"progress": 1, "message": "half"}}
    other = {"method": "notifications/message", "params": {"data": "log"}}
    seen: list[str] = []

    def answer(request: dict[str, Any]) -> httpx2.Response:
        return stream(progress, other, result_of(request, structuredContent={"result": 2}))

    assert await call(answer, seen) == 2
    assert seen == ["half"]


async def test_a_stream_that_ends_too_early() -> None:
    with pytest.raises(CallError, match="ended without an answer"):
        await call(lambda _: stream())


async def test_a_tool_that_fails() -> None:
    failed = {"isError": True, "content": [{"type": "text", "text": "gone"}]}
    with pytest.raises(ToolFailed, match=r"^gone$"):
        await call(lambda request: plain(result_of(request, **failed)))


async def test_a_tool_that_fails_without_a_word() -> None:
    with pytest.raises(ToolFailed, match="without a word"):
        await call(lambda request: plain(result_of(request, isError=True)))


async def test_an_error_of_the_protocol() -> None:
    error = {"code": -32602, "message": "no such thing"}
    with pytest.raises(CallError, match=r"no such thing \[-32602\]"):
        await call(lambda request: plain({"id": request["id"], "error": error}))


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx2.Response(502, text="<html>bad gateway"), "HTTP 502 .*: <html>bad gateway"),
        (plain([1, 2]), "HTTP 200 instead of an MCP answer"),
        (plain({"jsonrpc": "2.0"}, 500), "HTTP 500 instead of an MCP answer"),
    ],
)
async def test_what_is_not_mcp(response: httpx2.Response, message: str) -> None:
    with pytest.raises(CallError, match=message):
        await call(lambda _: response)


async def test_no_answer_in_time() -> None:
    def late(_: dict[str, Any]) -> httpx2.Response:
        raise httpx2.ReadTimeout("late")

    with pytest.raises(CallTimedOut, match="in time"):
        await call(late)


async def test_a_connection_that_breaks() -> None:
    def broken(_: dict[str, Any]) -> httpx2.Response:
        raise httpx2.ReadError("reset")

    with pytest.raises(CallError, match="broke: reset"):
        await call(broken)
