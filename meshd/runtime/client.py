"""MCP `tools/call` over pooled HTTP connections: how agents call each other.

Speaks the stateless form of the 2026-07-28 revision. A server that refuses that version is spoken
to as MCP Mesh's agents speak to each other, without version and `_meta`, and remembered: it refused
before it executed anything, so asking again is safe.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from meshd import __version__
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected, CallError, CallTimedOut, Unavailable
from meshd.runtime.event_stream import EventReader
from meshd.runtime.tool_answer import Form, parsed, refuses_the_version, value_of

PROTOCOL_VERSION = "2026-07-28"
IDLE_SECONDS = 30.0
"""How long an idle connection is kept: less than any server of ours keeps it."""
CONNECT_SECONDS = 5.0
CONNECTIONS_PER_HOST = 1_000
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_REMEMBERED = 10_000

_META = "io.modelcontextprotocol/"

OnProgress = Callable[[str], None]
"""Receives the message of each progress notification."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One call, before it is known in which form it is sent."""

    endpoint: str
    tool: str
    arguments: dict[str, JsonValue]
    provider: str
    on_progress: OnProgress | None
    number: int

    def headers(self, form: Form) -> dict[str, str]:
        headers = {
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"meshd/{__version__}",
        }
        if form == "stateless":
            headers["MCP-Protocol-Version"] = PROTOCOL_VERSION
            headers["Mcp-Method"] = "tools/call"
            headers["Mcp-Name"] = self.tool
        return headers

    def body(self, form: Form) -> bytes:
        params: dict[str, JsonValue] = {"name": self.tool, "arguments": self.arguments}
        meta: dict[str, JsonValue] = {}
        if form == "stateless":
            meta |= {
                f"{_META}protocolVersion": PROTOCOL_VERSION,
                f"{_META}clientCapabilities": {},
                f"{_META}clientInfo": {"name": "meshd", "version": __version__},
            }
        if self.on_progress is not None:
            meta["progressToken"] = self.number
        if meta:
            params["_meta"] = meta
        message = {"jsonrpc": "2.0", "id": self.number, "method": "tools/call", "params": params}
        try:
            return json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            reason = f"the arguments cannot be sent: {error}"
            raise ArgumentsRejected(reason, provider=self.provider) from None


class McpClient:
    """Calls tools of agents; belongs to one event loop, and is left to close its connections."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None
        self._older: dict[str, None] = {}
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> "McpClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def call(
        self,
        endpoint: str,
        tool: str,
        arguments: dict[str, JsonValue],
        *,
        timeout_seconds: float | None = None,
        on_progress: OnProgress | None = None,
        provider: str = "",
    ) -> JsonValue:
        """Call a tool of the agent at the endpoint (its base URL) and return its value.

        `provider` is what errors call the tool. Cancelling the call closes its connection, by which
        the server learns of it.

        Raises:
            Unavailable: nothing answers at the endpoint; nothing was sent.
            CallTimedOut: the time passed; the tool may or may not have run.
            ToolFailed: the tool answered an error.
            ArgumentsRejected: the arguments are no JSON.
            CallError: the answer is not MCP, or the connection broke.

        """
        question = _Question(
            endpoint, tool, arguments, provider or tool, on_progress, next(self._numbers)
        )
        limits = aiohttp.ClientTimeout(total=timeout_seconds, connect=CONNECT_SECONDS)
        try:
            return await self._ask(question, limits)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Whoever answers there next may be another server.
            self._older.pop(endpoint, None)
            raise self._unavailable(question, error) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise self._unavailable(question, error) from None
        except TimeoutError:
            reason = f"no answer from {endpoint} in time"
            raise CallTimedOut(reason, provider=question.provider) from None
        except (aiohttp.ClientError, OSError) as error:
            reason = f"the connection to {endpoint} broke: {_words(error)}; the tool may have run"
            raise CallError(reason, provider=question.provider) from None

    async def _ask(self, question: _Question, limits: aiohttp.ClientTimeout) -> JsonValue:
        if question.endpoint not in self._older:
            try:
                return await self._ask_in("stateless", question, limits)
            except _VersionRefused:
                if len(self._older) >= MAX_REMEMBERED:
                    self._older.clear()
                self._older[question.endpoint] = None
        return await self._ask_in("older", question, limits)

    async def _ask_in(
        self, form: Form, question: _Question, limits: aiohttp.ClientTimeout
    ) -> JsonValue:
        async with self._session().post(
            f"{question.endpoint}/mcp",
            data=question.body(form),
            headers=question.headers(form),
            timeout=limits,
            allow_redirects=False,
        ) as response:
            if response.content_type == "text/event-stream":
                answer = await _streamed(response, question)
            else:
                content = await _whole(response, question.provider)
                if response.status == 400:
                    self._consider(form, question.endpoint, content)
                answer = parsed(content, response.status, question.provider)
        return value_of(answer, form, question.provider)

    def _consider(self, form: Form, endpoint: str, refusal: bytes) -> None:
        """Give the other form a chance where a request was refused unread."""
        if form == "older":
            self._older.pop(endpoint, None)
        elif refuses_the_version(refusal):
            raise _VersionRefused

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                limit_per_host=CONNECTIONS_PER_HOST,
                keepalive_timeout=IDLE_SECONDS,
            )
            self._http = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._http

    def _unavailable(self, question: _Question, error: Exception) -> Unavailable:
        reason = f"nothing answers at {question.endpoint}: {_words(error)}"
        return Unavailable(reason, provider=question.provider)


class _VersionRefused(Exception):
    """The server speaks older revisions only."""


async def _whole(response: aiohttp.ClientResponse, provider: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        _require_bearable(len(content), provider)
    return bytes(content)


async def _streamed(response: aiohttp.ClientResponse, question: _Question) -> dict[str, Any]:
    async for data in _events(response, question.provider):
        message = parsed(data, response.status, question.provider)
        if message.get("id") == question.number:
            return message
        if "error" in message and message.get("id") is None:
            return message
        if message.get("method") == "notifications/progress":
            _report(message.get("params"), question.on_progress)
    raise CallError(
        "the stream ended without an answer; the tool may have run", provider=question.provider
    )


async def _events(response: aiohttp.ClientResponse, provider: str) -> AsyncIterator[bytes]:
    reader = EventReader()
    async for chunk in response.content.iter_any():
        for data in reader.feed(chunk):
            _require_bearable(len(data), provider)
            yield data
        _require_bearable(reader.held_bytes, provider)


def _require_bearable(size: int, provider: str) -> None:
    if size > MAX_ANSWER_BYTES:
        raise CallError(f"the answer has more than {MAX_ANSWER_BYTES} bytes", provider=provider)


def _report(params: object, on_progress: OnProgress | None) -> None:
    if on_progress is None or not isinstance(params, dict):
        return
    message = params.get("message")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if isinstance(message, str):
        on_progress(message)


def _words(error: Exception) -> str:
    """Return the reason without what the sentence around it says already."""
    cause = getattr(error, "os_error", None) or error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
