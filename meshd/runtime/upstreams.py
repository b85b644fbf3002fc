"""Upstreams: the ways to reach an instance that offers a tool.

An agent in the same process is called directly, with JSON values on both sides as over HTTP, so
that it makes no difference to either callable where the other one runs. Who calls sets the time.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Protocol, cast

from meshd.clock import Clock
from meshd.domain.spec import CallSettings, JsonValue
from meshd.runtime.client import McpClient
from meshd.runtime.context import NO_CALL, NOTHING, CallContext, current_call
from meshd.runtime.outgoing import Outgoing

NO_SETTINGS = CallSettings()
NOTHING_MORE = Outgoing(NO_SETTINGS)

OnChunk = Callable[[int, JsonValue], Awaitable[None]]


class Upstream(Protocol):
    """One instance that offers the needed tool."""

    @property
    def provider(self) -> str:
        """Who answers, as `agent.tool`."""
        ...

    @property
    def key(self) -> Hashable:
        """What makes it the same upstream after the wiring changed."""
        ...

    @property
    def traits(self) -> "Traits":
        """What the registry says of it."""
        ...

    async def call(
        self, arguments: dict[str, JsonValue], outgoing: Outgoing, context: CallContext
    ) -> JsonValue:
        """Call the tool with JSON arguments and return its JSON result; raise a `CallError`."""
        ...

    def stream(
        self, arguments: dict[str, JsonValue], outgoing: Outgoing, context: CallContext
    ) -> AsyncGenerator[JsonValue, None]:
        """Call the tool and yield its chunks as they are made; closing it ends the call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a consumer needs to know of an upstream.

    `tier` says how well it matches; `call` how the provider asks its consumers to call: a need's
    own settings are nearer. What is `idempotent` may run twice, what is `read_only` may as well.
    """

    tier: int = 0
    call: CallSettings = NO_SETTINGS
    idempotent: bool = False
    read_only: bool = False
    auth_required: bool = False


NO_TRAITS = Traits()


class InProcessUpstream:
    """A tool of an agent in this process."""

    def __init__(
        self,
        provider: str,
        call: Callable[[dict[str, JsonValue]], Awaitable[JsonValue]],
        traits: Traits = NO_TRAITS,
        *,
        key: Hashable = None,
        chunked: Callable[[dict[str, JsonValue], OnChunk], Awaitable[JsonValue]] | None = None,
    ) -> None:
        """Take what calls the tool; `chunked` hands over its chunks, if it has any."""
        self.provider = provider
        self.key = (provider,) if key is None else key
        self.traits = traits
        self._call = call
        self._chunked = chunked

    async def call(
        self,
        arguments: dict[str, JsonValue],
        outgoing: Outgoing = NOTHING_MORE,
        context: CallContext = NO_CALL,
    ) -> JsonValue:
        """Call the tool; the arguments and the result are JSON values of their own."""
        token = current_call.set(_callees(outgoing, context))
        try:
            return await self._call(arguments)
        finally:
            current_call.reset(token)

    async def stream(
        self,
        arguments: dict[str, JsonValue],
        outgoing: Outgoing = NOTHING_MORE,
        context: CallContext = NO_CALL,
    ) -> AsyncGenerator[JsonValue, None]:
        """Call the tool in a task of its own; it goes on when its last chunk was taken."""
        if self._chunked is None:
            value = await self.call(arguments, outgoing, context)
            for item in cast("list[JsonValue]", value) if isinstance(value, list) else [value]:
                yield item
            return
        handover = Handover()
        token = current_call.set(_callees(outgoing, context))
        try:
            # The task takes a copy of the context variables as they are here.
            running = asyncio.ensure_future(self._chunked(arguments, handover.put))
        finally:
            current_call.reset(token)
        running.add_done_callback(handover.end)
        try:
            while await handover.has_next():
                yield handover.take()
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()  # it was raised above, or nobody asks for it any more


class Handover:
    """Hands over one chunk at a time: who makes them waits until the next one is asked for."""

    def __init__(self) -> None:
        self._chunks: list[JsonValue] = []
        self._ended = False
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    async def put(self, _: int, chunk: JsonValue) -> None:
        """Offer a chunk and wait until it was taken and another one is asked for."""
        self._taken.clear()
        self._chunks.append(chunk)
        self._changed.set()
        await self._taken.wait()

    def end(self, _: object = None) -> None:
        """Note that no further chunk comes."""
        self._ended = True
        self._changed.set()

    async def has_next(self) -> bool:
        """Ask for a chunk; False if no further one comes."""
        self._taken.set()
        while not self._chunks:
            if self._ended:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def take(self) -> JsonValue:
        """Return the chunk that is there."""
        return self._chunks.pop()


def _callees(outgoing: Outgoing, context: CallContext) -> CallContext:
    """Return the context in which the tool runs: no right of the request is handed on."""
    headers = outgoing.within(context)
    if headers or context.headers or context.opened:
        return CallContext(
            context.principal, context.deadline, context.trace, headers, opened=NOTHING
        )
    return context


class HttpUpstream:
    """A tool of an agent in another process, reached over MCP at the agent's endpoint."""

    def __init__(  # noqa: PLR0913 - each of them is the upstream's own
        self,
        provider: str,
        endpoint: str,
        tool: str,
        client: McpClient,
        clock: Clock,
        traits: Traits = NO_TRAITS,
        *,
        key: Hashable = None,
    ) -> None:
        self.provider = provider
        self.key = (endpoint, tool) if key is None else key
        self.traits = traits
        self._endpoint = endpoint
        self._tool = tool
        self._client = client
        self._now = clock.monotonic

    async def call(
        self,
        arguments: dict[str, JsonValue],
        outgoing: Outgoing = NOTHING_MORE,
        context: CallContext = NO_CALL,
    ) -> JsonValue:
        """Call the tool; cancelling it closes the connection."""
        headers, meta = outgoing.of(context, self._now())
        return await self._client.call(
            self._endpoint,
            self._tool,
            arguments,
            provider=self.provider,
            headers=headers,
            meta=meta,
        )

    def stream(
        self,
        arguments: dict[str, JsonValue],
        outgoing: Outgoing = NOTHING_MORE,
        context: CallContext = NO_CALL,
    ) -> AsyncGenerator[JsonValue, None]:
        """Call the tool and yield its chunks; closing the generator closes the connection."""
        headers, meta = outgoing.of(context, self._now())
        return self._client.stream(
            self._endpoint,
            self._tool,
            arguments,
            provider=self.provider,
            headers=headers,
            meta=meta,
        )
