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
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self, cast

from meshd.domain.spec import JsonValue
from meshd.errors import (
    ArgumentsRejected,
    CallError,
    CallTimedOut,
    ConnectionLost,
    ResultRejected,
    Unreachable,
)
from meshd.runtime.answer_stream import (
    AnswerStream,
    chunk_of,
    is_progress,
    progress_text,
)
from meshd.runtime.protocol import CHUNKS
from meshd.runtime.tool_answer import Form, parsed, refusal, refuses_the_version, value_of
from meshd.runtime.tool_question import Target
from meshd.runtime.wire.address import NotAnAddress, address_of
from meshd.runtime.wire.exchange import Exchange
from meshd.runtime.wire.failures import NotSent, TooLarge, WireFailure
from meshd.runtime.wire.pool import Pool
from meshd.runtime.wire.request import NotAHeader

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_REMEMBERED = 10_000

OnProgress = Callable[[str], None]
"""Receives the message of each progress notification."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


class _Question(NamedTuple):
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
            Unreachable: nothing answers at the endpoint; nothing was sent.
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
        exchange.narrow()
        messages = AnswerStream(exchange, number, question.provider, MAX_ANSWER_BYTES)
        is_chunked = False
        try:
            while is_progress(message := await messages.next_message()):
                text = progress_text(message)
                if text is not None:
                    is_chunked = True
                    yield chunk_of(message, text, question.provider)
            value = value_of(message, form, question.provider)
            for item in () if is_chunked else _items(value):
                yield item
        except WireFailure as error:
            raise _lost(error, question) from None
        finally:
            exchange.abandon()

    async def _value(self, question: _Question, on_progress: OnProgress | None) -> JsonValue:
        form, exchange = await self._asked(question)
        if not exchange.is_stream:
            return self._whole(exchange, form, question)
        messages = AnswerStream(exchange, question.number, question.provider, MAX_ANSWER_BYTES)
        try:
            while is_progress(message := await messages.next_message()):
                text = progress_text(message)
                if on_progress is not None and text is not None:
                    on_progress(text)
        except WireFailure as error:
            raise _lost(error, question) from None
        except BaseException:
            exchange.abandon()
            raise
        exchange.release()
        return value_of(message, form, question.provider)

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
            raise Unreachable(reason, provider=question.provider) from None
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


def _items(value: JsonValue) -> list[JsonValue]:
    return cast("list[JsonValue]", value) if isinstance(value, list) else [value]


def _lost(error: WireFailure, question: _Question) -> CallError:
    if isinstance(error, TooLarge):
        return ResultRejected(str(error), provider=question.provider)
    reason = f"the connection to {question.endpoint} broke: {error}; the tool may have run"
    return ConnectionLost(reason, provider=question.provider)
