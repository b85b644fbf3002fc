"""One tool of a running agent: from JSON arguments to a JSON result.

`RunningTool.call` is the one interception point on the provider's side of a call: whoever calls
(a client, or an edge for another agent) passes through it. It limits and counts the calls,
validates, injects, runs the callable where it belongs, dumps the result, and turns every failure
into a `CallError`.
"""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import Execution, JsonValue
from meshd.errors import ArgumentsRejected, CallError, ResultRejected, ToolFailed
from meshd.runtime.counts import CANCELLED, ToolCounts
from meshd.runtime.edge import Edge
from meshd.runtime.limits import Gate
from meshd.runtime.proxy import AsyncProxy, SyncProxy
from meshd.runtime.raised import RaisedElsewhere, described, log_raised
from meshd.runtime.workers import Workers

logger = logging.getLogger("meshd.tool")

FOREIGN_ARGUMENTS = frozenset({"_trace_id", "_parent_span", "_mesh_headers"})
"""What MCP Mesh's agents add to the arguments of a call, for themselves."""

OnChunk = Callable[[int, JsonValue], Awaitable[None]]
"""Receives each chunk of a generator as it is made, with its number from 1."""


class ToolBody(Protocol):
    """A callable with its schemas compiled, as the loader makes it."""

    @property
    def signature(self) -> ToolSignature:
        """Return the schemas and the mode."""
        ...

    def validate(self, arguments: Mapping[str, JsonValue]) -> Any:
        """Return the arguments converted, or raise `ArgumentsRejected`."""
        ...

    def invoke(self, bound: Any, injected: Mapping[str, Any]) -> Any:
        """Call the callable; the result is as `signature.mode` says."""
        ...

    def dump(self, value: Any) -> JsonValue:
        """Return the result as JSON values, or raise `ResultRejected`."""
        ...

    def dump_item(self, chunk: Any) -> JsonValue:
        """Return one chunk of a generator as JSON values, or raise `ResultRejected`."""
        ...


class Remote(Protocol):
    """Runs the calls of one tool in processes of their own."""

    async def call(
        self,
        arguments: Mapping[str, JsonValue],
        proxies: Mapping[str, AsyncProxy | None],
        on_chunk: OnChunk | None,
    ) -> JsonValue:
        """Call the tool with arguments as they came; return its result as JSON values.

        Raises:
            CallError: with an empty `provider` where it is the tool's own.
            RaisedElsewhere: the callable raised something else.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Where a tool's callable runs, and how many calls of it at a time.

    `remote` is needed for `execution: process`.
    """

    execution: Execution | None = None
    concurrency_max: int | None = None
    concurrency_queue: int = 0
    remote: Remote | None = None


DEFAULT_CONDUCT = Conduct()


class RunningTool:
    """A tool with its needs wired, ready to be called."""

    def __init__(
        self,
        agent: str,
        name: str,
        body: ToolBody,
        edges: Mapping[str, Edge],
        workers: Workers,
        conduct: Conduct = DEFAULT_CONDUCT,
    ) -> None:
        self.agent = agent
        self.name = name
        self.provider = f"{agent}.{name}"
        self.body = body
        self.edges = edges
        self.counts = ToolCounts()
        most, queue = conduct.concurrency_max, conduct.concurrency_queue
        self.gate = None if most is None else Gate(self.provider, most, queue)
        self._outlived = None if self.gate is None else self.gate.hold
        self._workers = workers
        self._unsettled = [edge for edge in edges.values() if not edge.settled]
        self._foreign = FOREIGN_ARGUMENTS.difference(body.signature.input_schema["properties"])
        mode = body.signature.mode
        is_awaited = mode.is_async or conduct.remote is not None
        self._proxies: dict[str, AsyncProxy | SyncProxy] = {
            parameter: AsyncProxy(edge) if is_awaited else SyncProxy(edge, workers)
            for parameter, edge in edges.items()
        }
        self._inline = conduct.execution == "inline"
        self._remote = conduct.remote
        self._run = self._runner(mode)

    async def call(
        self,
        arguments: Mapping[str, JsonValue],
        *,
        given: Mapping[str, Any] | None = None,
        on_chunk: OnChunk | None = None,
    ) -> JsonValue:
        """Call the tool; `given` are injected values that are not proxies.

        Raises:
            CallError: with `provider` set to this tool, whatever went wrong.

        """
        counts = self.counts
        began = counts.begin()
        try:
            if self._unsettled:
                await self._settle()
            if self.gate is None:
                value = await self._answer(arguments, given, on_chunk)
            else:
                async with self.gate:
                    value = await self._answer(arguments, given, on_chunk)
        except BaseException as error:
            counts.end(began, error.code if isinstance(error, CallError) else CANCELLED)
            raise
        counts.end(began)
        return value

    async def chunked(self, arguments: Mapping[str, JsonValue], on_chunk: OnChunk) -> JsonValue:
        """Call the tool for its chunks, which are handed over one by one; see `call`."""
        return await self.call(arguments, on_chunk=on_chunk)

    async def _answer(
        self,
        arguments: Mapping[str, JsonValue],
        given: Mapping[str, Any] | None,
        on_chunk: OnChunk | None,
    ) -> JsonValue:
        if not self._foreign.isdisjoint(arguments):
            arguments = {k: v for k, v in arguments.items() if k not in self._foreign}
        injected = self._injected() if self.edges else {}
        if given:
            injected.update(given)
        try:
            return await self._run(arguments, injected, on_chunk)
        except ArgumentsRejected as error:
            if error.provider:  # from a call that this tool made
                raise self._failed(error) from error
            logger.info("%s: %s", self.provider, error)
            raise ArgumentsRejected(str(error), provider=self.provider) from None
        except ResultRejected as error:
            if error.provider:
                raise self._failed(error) from error
            raise ResultRejected(
                f"`{self.provider}` ran, but {error}", provider=self.provider
            ) from None
        except RaisedElsewhere as error:
            raise ToolFailed(error.description, provider=self.provider) from error.cause
        # The user's callable ends here: whatever it raised becomes an answer, SystemExit too.
        except BaseException as error:
            if ends_the_call(error) or (isinstance(error, CallError) and self._is_own(error)):
                raise
            raise self._failed(error) from error

    def _is_own(self, error: CallError) -> bool:
        """Say whether the error is about this tool's processes rather than from its callable."""
        return self._remote is not None and error.provider == self.provider

    async def _settle(self) -> None:
        for edge in self._unsettled:
            await edge.settle()
        self._unsettled = [edge for edge in self._unsettled if not edge.settled]

    def _injected(self) -> dict[str, Any]:
        injected: dict[str, Any] = {}
        for parameter, edge in self.edges.items():
            if edge.is_usable:
                injected[parameter] = self._proxies[parameter]
            elif edge.binding.need.required:
                raise edge.unavailable()
            else:
                injected[parameter] = None
        return injected

    def _failed(self, error: BaseException) -> ToolFailed:
        if isinstance(error, CallError):
            text = str(error)
            who = f"`{error.provider}`"
            # Not every error needs to be told whose it is.
            told = text if text.startswith(who) else f"{who} failed: {text}"
            return ToolFailed(told, provider=self.provider)
        log_raised(self.provider, error)
        return ToolFailed(described(error), provider=self.provider)

    def _runner(self, mode: Mode) -> Callable[..., Awaitable[JsonValue]]:
        """Return what runs one call: decided once, as calls are many."""
        if self._remote is not None:
            return self._remote.call
        if mode.is_generator:
            return self._run_generator
        if mode.is_async:
            return self._run_async
        return self._run_inline if self._inline else self._run_sync

    async def _run_async(
        self, arguments: Mapping[str, JsonValue], injected: Mapping[str, Any], _: OnChunk | None
    ) -> JsonValue:
        body = self.body
        return body.dump(await body.invoke(body.validate(arguments), injected))

    async def _run_inline(
        self, arguments: Mapping[str, JsonValue], injected: Mapping[str, Any], _: OnChunk | None
    ) -> JsonValue:
        body = self.body
        value = body.invoke(body.validate(arguments), injected)
        return body.dump(await value if inspect.isawaitable(value) else value)

    async def _run_sync(
        self, arguments: Mapping[str, JsonValue], injected: Mapping[str, Any], _: OnChunk | None
    ) -> JsonValue:
        bound = self.body.validate(arguments)

        def run() -> tuple[bool, Any]:
            value = self.body.invoke(bound, injected)
            # Dumping may run user code too, so it stays in the thread.
            return (True, value) if inspect.isawaitable(value) else (False, self.body.dump(value))

        awaitable, value = await self._workers.run(run, self._outlived)
        return self.body.dump(await value) if awaitable else value

    async def _run_generator(
        self,
        arguments: Mapping[str, JsonValue],
        injected: Mapping[str, Any],
        on_chunk: OnChunk | None,
    ) -> JsonValue:
        chunks = self.body.invoke(self.body.validate(arguments), injected)
        if not self.body.signature.mode.is_async:
            chunks = (
                iterate_inline(chunks)
                if self._inline
                else self._workers.iterate(chunks, self._outlived)
            )
        dumped: list[JsonValue] = []
        try:
            async for chunk in chunks:
                dumped.append(self.body.dump_item(chunk))
                if on_chunk is not None:
                    await on_chunk(len(dumped), dumped[-1])
        finally:
            await asyncio.shield(chunks.aclose())
        return dumped


async def iterate_inline(generator: Generator[Any, Any, Any]) -> AsyncGenerator[Any, None]:
    """Run a sync generator on the event loop, which gets a turn after each chunk."""
    with contextlib.closing(generator):
        for chunk in generator:
            yield chunk
            await asyncio.sleep(0)  # noqa: TID251  (a turn, not a time)


def ends_the_call(error: BaseException) -> bool:
    """Whether the call was cancelled or closed from outside, rather than its callable failed."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, GeneratorExit)
