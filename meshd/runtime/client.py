"""One MCP `tools/call` over HTTP, in the stateless form of the 2026-07-28 revision.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx2

from meshd import __version__
from meshd.domain.spec import JsonValue
from meshd.errors import CallError, CallTimedOut, ToolFailed, Unavailable

PROTOCOL_VERSION = "2026-07-28"
_META = "io.modelcontextprotocol/"
_ids = itertools.count(1)

OnProgress = Callable[[str], None]
"""Receives the message of each progress notification."""


async def call_tool(
    http: httpx2.AsyncClient,
    endpoint: str,
    tool: str,
    arguments: dict[str, JsonValue],
    on_progress: OnProgress | None = None,
) -> JsonValue:
    """Call a tool of the agent at the endpoint (its base URL) and return its result.

    Raises:
        Unavailable: nothing answers at the endpoint.
        CallTimedOut: the HTTP client's timeout passed.
        ToolFailed: the tool answered an error.
        CallError: the answer is not MCP.

    """
    number = next(_ids)
    body, headers = _request(number, tool, arguments)
    try:
        async with http.stream("POST", f"{endpoint}/mcp", json=body, headers=headers) as response:
            answer = await _answer(response, number, on_progress)
    except httpx2.ConnectError as error:
        raise Unavailable(f"nothing answers at {endpoint}: {error}", provider=tool) from None
    except httpx2.TimeoutException:
        raise CallTimedOut(f"no answer from {endpoint} in time", provider=tool) from None
    except httpx2.HTTPError as error:
        raise CallError(f"the connection to {endpoint} broke: {error}", provider=tool) from None
    return _value(answer, tool)


def _request(
    number: int, tool: str, arguments: dict[str, JsonValue]
) -> tuple[dict[str, JsonValue], dict[str, str]]:
    meta = {
        f"{_META}protocolVersion": PROTOCOL_VERSION,
        f"{_META}clientCapabilities": {},
        f"{_META}clientInfo": {"name": "meshd", "version": __version__},
        "progressToken": number,
    }
    body = {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": meta},
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": PROTOCOL_VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    return body, headers


async def _answer(
    response: httpx2.Response, number: int, on_progress: OnProgress | None
) -> dict[str, Any]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return _parsed(await response.aread(), response.status_code)
    async for data in _events(response):
        message = _parsed(data.encode(), response.status_code)
        if message.get("id") == number:
            return message
        if on_progress and message.get("method") == "notifications/progress":
            on_progress(message["params"].get("message", ""))
    raise CallError("the stream ended without an answer")


async def _events(response: httpx2.Response) -> AsyncIterator[str]:
    """Yield the data of server-sent events (https://html.spec.whatwg.org/#event-stream)."""
    data: list[str] = []
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data.clear()


def _parsed(content: bytes, status: int) -> dict[str, Any]:
    try:
        message: object = json.loads(content)
    except ValueError:
        text = content[:200].decode(errors="replace")
        raise CallError(f"HTTP {status} instead of an MCP answer: {text}") from None
    if not isinstance(message, dict) or not message.keys() & {"result", "error", "method"}:
        raise CallError(f"HTTP {status} instead of an MCP answer")
    return cast("dict[str, Any]", message)


def _value(answer: dict[str, Any], tool: str) -> JsonValue:
    if "error" in answer:
        error = answer["error"]
        raise CallError(f"{error.get('message', error)} [{error.get('code')}]", provider=tool)
    result = answer["result"]
    content = result.get("content", [])
    if result.get("isError"):
        text = "\n".join(block.get("text", "") for block in content)
        raise ToolFailed(text or "the tool failed without a word", provider=tool)
    structured = result.get("structuredContent")
    if structured is None:
        return content
    return structured["result"] if set(structured) == {"result"} else structured
