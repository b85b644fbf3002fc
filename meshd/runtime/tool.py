"""One tool of a running agent: from JSON arguments to a JSON result.

`RunningTool.call` is the one interception point on the provider's side of a call: whoever calls
(FastMCP for a client, an edge for another agent) passes through it. It validates, injects, runs
the callable where it belongs, dumps the result, and turns every failure into a `CallError`.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected, CallError, ResultRejected, ToolFailed
from meshd.runtime.edge import Edge
from meshd.runtime.proxy import AsyncProxy, SyncProxy
from meshd.runtime.raised import described, log_raised
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


class RunningTool:
    """A tool with its needs wired, ready to be called."""

    def __init__(
        self, agent: str, name: str, body: ToolBody, edges: Mapping[str, Edge], workers: Workers
    ) -> None:
        self.agent = agent
        self.name = name
        self.body = body
        self.edges = edges
        self._workers = workers
        self._unsettled = [edge for edge in edges.values() if not edge.settled]
        self._foreign = FOREIGN_ARGUMENTS.difference(body.signature.input_schema["properties"])
        is_async = body.signature.mode.is_async
        self._proxies: dict[str, AsyncProxy | SyncProxy] = {
            parameter: AsyncProxy(edge) if is_async else SyncProxy(edge, workers)
            for parameter, edge in edges.items()
        }
        self._run = self._runner(body.signature.mode)

    @property
    def provider(self) -> str:
        """The tool as `agent.tool`."""
        return f"{self.agent}.{self.name}"

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
        if self._unsettled:
            await self._settle()
        if not self._foreign.isdisjoint(arguments):
            arguments = {k: v for k, v in arguments.items() if k not in self._foreign}
        injected = self._injected()
        if given:
            injected.update(given)
        try:
            bound = self.body.validate(arguments)
            return await self._run(bound, injected, on_chunk)
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
        # The user's callable ends here: whatever it raised becomes an answer, SystemExit too.
        except BaseException as error:
            if ends_the_call(error):
                raise
            raise self._failed(error) from error

    async def _settle(self) -> None:
        for edge in self._unsettled:
            await edge.settle()
        self._unsettled = [edge for edge in self._unsettled if not edge.settled]

    def _injected(self) -> dict[str, Any]:
        injected: dict[str, Any] = {}
        for parameter, edge in self.edges.items():
            if edge.upstreams:
                injected[parameter] = self._proxies[parameter]
            elif edge.binding.need.required:
                raise edge.unavailable()
            else:
                injected[parameter] = None
        return injected

    def _failed(self, error: BaseException) -> ToolFailed:
        if isinstance(error, CallError):
            return ToolFailed(f"`{error.provider}` failed: {error}", provider=self.provider)
        log_raised(self.provider, error)
        return ToolFailed(described(error), provider=self.provider)

    def _runner(self, mode: Mode) -> Callable[..., Awaitable[JsonValue]]:
        if mode.is_generator:
            return self._run_generator
        return self._run_async if mode.is_async else self._run_sync

    async def _run_async(
        self, bound: Any, injected: Mapping[str, Any], _: OnChunk | None
    ) -> JsonValue:
        return self.body.dump(await self.body.invoke(bound, injected))

    async def _run_sync(
        self, bound: Any, injected: Mapping[str, Any], _: OnChunk | None
    ) -> JsonValue:
        def run() -> tuple[bool, Any]:
            value = self.body.invoke(bound, injected)
            # Dumping may run user code too, so it stays in the thread.
            return (True, value) if inspect.isawaitable(value) else (False, self.body.dump(value))

        awaitable, value = await self._workers.run(run)
        return self.body.dump(await value) if awaitable else value

    async def _run_generator(
        self, bound: Any, injected: Mapping[str, Any], on_chunk: OnChunk | None
    ) -> JsonValue:
        chunks = self.body.invoke(bound, injected)
        if not self.body.signature.mode.is_async:
            chunks = self._workers.iterate(chunks)
        dumped: list[JsonValue] = []
        try:
            async for chunk in chunks:
                dumped.append(self.body.dump_item(chunk))
                if on_chunk is not None:
                    await on_chunk(len(dumped), dumped[-1])
        finally:
            await asyncio.shield(chunks.aclose())
        return dumped


def ends_the_call(error: BaseException) -> bool:
    """Whether the call was cancelled or closed from outside, rather than its callable failed."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, GeneratorExit)
