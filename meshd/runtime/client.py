"""MCP `tools/call` over pooled HTTP connections: how agents call each other.

Speaks the stateless form of the 2026-07-28 revision. A server that refuses that version is spoken
to as MCP Mesh's agents speak to each other, without version and `_meta`, and remembered: it refused
before it executed anything, so asking again is safe.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

import asyncio
import itertools
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self, cast

from meshd.domain.spec import JsonValue
from meshd.errors import (
    ArgumentsRejected,
    CallError,
    CallTimedOut,
    ConnectionLost,
    ResultRejected,
    Unavailable,
)
from meshd.runtime.event_stream import EventReader
from meshd.runtime.exact_json import loaded
from meshd.runtime.tool_answer import Form, parsed, refusal, refuses_the_version, value_of
from meshd.runtime.tool_question import Target
from meshd.runtime.wire.address import NotAnAddress, address_of
from meshd.runtime.wire.connection import Exchange
from meshd.runtime.wire.failures import NotSent, TooLarge, WireFailure
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import NotAHeader

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_REMEMBERED = 10_000

CHUNKS = "meshd.dev/chunks"
"""The key of `_meta` by which a consumer says in which form it wants chunks."""
CHUNK = "meshd.dev/chunk"
"""The key of a notification's `_meta` by which a provider says in which form its chunk is."""

OnProgress = Callable[[str], None]
"""Receives the message of each progress notification."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Question:
    """One call, before it is known in which form it is sent."""

    endpoint: str
    tool: str
    arguments: dict[str, JsonValue]
    provider: str
    headers: Mapping[str, str]
    meta: Mapping[str, JsonValue]
    number: int


class McpClient:
    """Calls tools of agents; belongs to one event loop, and is left to close its connections.

    `tls` is what certificates are checked by, the system's authorities if it is not given.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._pool = Pool(tls)
        self._older: dict[str, None] = {}
        self._targets: dict[tuple[str, str, Form], Target] = {}
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
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
        await self._pool.close()

    async def call(  # noqa: PLR0913 - each of them is a call's own
        self,
        endpoint: str,
        tool: str,
        arguments: dict[str, JsonValue],
        *,
        provider: str = "",
        timeout_seconds: float | None = None,
        headers: Mapping[str, str] = NOTHING,
        meta: Mapping[str, JsonValue] = NOTHING,
        on_progress: OnProgress | None = None,
    ) -> JsonValue:
        """Call a tool of the agent at the endpoint (its base URL) and return its value.

        `provider` is what errors call the tool; headers and meta are sent beside those of the
        protocol. Cancelling the call closes its connection, by which the server learns of it.

        Raises:
            Unavailable: nothing answers at the endpoint; nothing was sent.
            ConnectionLost: the connection broke; the tool may or may not have run.
            CallTimedOut: the time passed; the tool may or may not have run.
            ToolFailed: the tool answered an error.
            ArgumentsRejected: the arguments are no JSON, or a header cannot be sent.
            CallError: another error of the provider, or the answer is not MCP.

        """
        number = next(self._numbers)
        if on_progress is not None:
            meta = {**meta, "progressToken": number}
        question = _Question(endpoint, tool, arguments, provider or tool, headers, meta, number)
        if timeout_seconds is None:
            return await self._value(question, on_progress)
        limit = asyncio.timeout(timeout_seconds)
        try:
            async with limit:
                return await self._value(question, on_progress)
        except TimeoutError as error:
            if isinstance(error, CallError) or not limit.expired():
                raise
            reason = f"no answer from {endpoint} in time"
            raise CallTimedOut(reason, provider=question.provider) from None

    async def stream(
        self,
        endpoint: str,
        tool: str,
        arguments: dict[str, JsonValue],
        *,
        provider: str = "",
        headers: Mapping[str, str] = NOTHING,
        meta: Mapping[str, JsonValue] = NOTHING,
    ) -> AsyncGenerator[JsonValue, None]:
        """Call a tool and yield what it yields, as it comes; raises what `call` raises.

        While nobody asks for the next chunk, little is read, so that the provider waits. Closing
        the generator closes the connection. Where no chunk comes, but a list, it yields its items.
        """
        number = next(self._numbers)
        meta = {**meta, CHUNKS: "json", "progressToken": number}
        question = _Question(endpoint, tool, arguments, provider or tool, headers, meta, number)
        form, exchange = await self._asked(question)
        if not exchange.is_stream:
            for item in _items(self._whole(exchange, form, question)):
                yield item
            return
        is_chunked = False
        try:
            async for message in self._messages(exchange, question):
                if not _is_progress(message):
                    value = value_of(message, form, question.provider)
                    if not is_chunked:
                        for item in _items(value):
                            yield item
                    exchange.release()
                    return
                found, chunk = _chunk(message, question.provider)
                if found:
                    is_chunked = True
                    yield chunk
        finally:
            exchange.abandon()

    async def _value(self, question: _Question, on_progress: OnProgress | None) -> JsonValue:
        form, exchange = await self._asked(question)
        if not exchange.is_stream:
            return self._whole(exchange, form, question)
        try:
            async for message in self._messages(exchange, question):
                if not _is_progress(message):
                    exchange.release()
                    return value_of(message, form, question.provider)
                text = message["params"].get("message")
                if on_progress is not None and isinstance(text, str):
                    on_progress(text)
        except BaseException:
            exchange.abandon()
            raise
        raise AssertionError("messages end with an answer or an error")

    async def _asked(self, question: _Question) -> tuple[Form, Exchange]:
        """Send the call in the form that the server speaks."""
        if question.endpoint not in self._older:
            exchange = await self._sent("stateless", question)
            if exchange.status != 400 or not refuses_the_version(exchange.body):
                return "stateless", exchange
            if len(self._older) >= MAX_REMEMBERED:
                self._older.clear()
            self._older[question.endpoint] = None
        exchange = await self._sent("older", question)
        if exchange.status == 400:
            # It may have become a newer one.
            self._older.pop(question.endpoint, None)
        return "older", exchange

    async def _sent(self, form: Form, question: _Question) -> Exchange:
        try:
            target = self._target(question.endpoint, question.tool, form)
            request = target.request(
                question.number, question.arguments, question.headers, question.meta
            )
            exchange = await self._pool.ask(target.address, request, MAX_ANSWER_BYTES)
        except (NotSent, NotAnAddress, NotAHeader) as error:
            # Whoever answers there next may be another server.
            self._older.pop(question.endpoint, None)
            reason = f"nothing answers at {question.endpoint}: {error}"
            raise Unavailable(reason, provider=question.provider) from None
        except ArgumentsRejected as error:
            error.provider = question.provider
            raise
        except WireFailure as error:
            raise _lost(error, question) from None
        if exchange.encoding not in {b"", b"identity"}:
            exchange.abandon()
            reason = "the answer is compressed, which was not asked for; the tool may have run"
            raise ResultRejected(reason, provider=question.provider)
        return exchange

    def _target(self, endpoint: str, tool: str, form: Form) -> Target:
        key = (endpoint, tool, form)
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) >= MAX_REMEMBERED:
                self._targets.clear()
            target = self._targets[key] = Target(address_of(endpoint), tool, form)
        return target

    def _whole(self, exchange: Exchange, form: Form, question: _Question) -> JsonValue:
        provider = question.provider
        refused = refusal(exchange.status, exchange.body, provider)
        if refused is not None:
            raise refused
        return value_of(parsed(exchange.body, exchange.status, provider), form, provider)

    async def _messages(
        self, exchange: Exchange, question: _Question
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield each progress notification, and the answer as the last message.

        Raises:
            ConnectionLost: the stream ended without an answer.
            ResultRejected: a message is too large.
            CallError: what came is not MCP.

        """
        reader = EventReader()
        provider = question.provider
        while True:
            try:
                data = await exchange.read()
            except WireFailure as error:
                raise _lost(error, question) from None
            if not data:
                reason = "the stream ended without an answer; the tool may have run"
                raise ConnectionLost(reason, provider=provider)
            for event in reader.feed(data):
                _require_bearable(len(event), provider)
                message = parsed(event, exchange.status, provider)
                if _is_answer(message, question.number):
                    yield message
                    return
                if _is_progress(message):
                    yield message
            _require_bearable(reader.held_bytes, provider)


def _is_answer(message: dict[str, Any], number: int) -> bool:
    found = message.get("id")
    return ("method" not in message and found == number and found is not True) or (
        "error" in message and found is None
    )


def _is_progress(message: dict[str, Any]) -> bool:
    return message.get("method") == "notifications/progress" and isinstance(
        message.get("params"), dict
    )


def _chunk(message: dict[str, Any], provider: str) -> tuple[bool, JsonValue]:
    """Return whether a progress notification carries a chunk, and the chunk."""
    params = cast("dict[str, Any]", message["params"])
    text, meta = params.get("message"), params.get("_meta")
    if not isinstance(text, str):
        return False, None
    if not isinstance(meta, dict) or cast("dict[str, Any]", meta).get(CHUNK) != "json":
        return True, text
    try:
        return True, loaded(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        reason = f"a chunk is no JSON, though it is said to be: {error}"
        raise ResultRejected(reason, provider=provider) from None


def _items(value: JsonValue) -> list[JsonValue]:
    return cast("list[JsonValue]", value) if isinstance(value, list) else [value]


def _lost(error: WireFailure, question: _Question) -> CallError:
    if isinstance(error, TooLarge):
        return ResultRejected(str(error), provider=question.provider)
    reason = f"the connection to {question.endpoint} broke: {error}; the tool may have run"
    return ConnectionLost(reason, provider=question.provider)


def _require_bearable(size: int, provider: str) -> None:
    if size > MAX_ANSWER_BYTES:
        raise ResultRejected(
            f"the answer has more than {MAX_ANSWER_BYTES} bytes", provider=provider
        )
