"""The objects that callables receive for their needs; calling one calls the provider."""

import warnings
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator, Mapping
from typing import Any, NoReturn

from meshd.errors import CallError
from meshd.runtime.chunks import Chunks
from meshd.runtime.edge import Edge
from meshd.runtime.workers import Workers


class ToolCall(Coroutine[Any, Any, Any]):
    """A call that was asked for: `await` it for its result, or iterate over its chunks.

    It is a coroutine as well, so that a task can be made of it. It begins when it is used.
    """

    __slots__ = ("_arguments", "_edge", "_inner", "_is_used")

    def __init__(self, edge: Edge, arguments: Mapping[str, Any]) -> None:
        self._edge = edge
        self._arguments = arguments
        self._inner: Coroutine[Any, Any, Any] | None = None
        self._is_used = False

    def __await__(self) -> Generator[Any, Any, Any]:
        self._is_used = True
        return self._edge.call(self._arguments).__await__()

    def __aiter__(self) -> AsyncIterator[Any]:
        self._is_used = True
        if not self._edge.is_streaming:
            raise refuses_to_stream(self._edge)
        return self._edge.stream(self._arguments)

    def send(self, value: Any, /) -> Any:
        """Go on as a coroutine does."""
        return self._coroutine().send(value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Raise an exception where it waits."""
        if value is None and traceback is None:
            return self._coroutine().throw(kind)
        return self._coroutine().throw(kind, value, traceback)

    def close(self) -> None:
        """End it where it waits."""
        self._is_used = True
        if self._inner is not None:
            self._inner.close()

    def __del__(self) -> None:
        if not self._is_used:
            message = f"a call of {self._edge.binding.id} was neither awaited nor iterated"
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"<call over {self._edge.binding.id}>"

    def _coroutine(self) -> Coroutine[Any, Any, Any]:
        if self._inner is None:
            self._is_used = True
            self._inner = self._edge.call(self._arguments)
        return self._inner


class AsyncProxy:
    """The proxy that async callables await, or iterate over."""

    __slots__ = ("_edge",)

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def __call__(self, *positional: Any, **arguments: Any) -> ToolCall:
        """Call the provider; see `meshd.api.ToolProxy`."""
        if positional:
            refuse_positional(self._edge)
        return ToolCall(self._edge, arguments)

    def __repr__(self) -> str:
        return f"<proxy for {self._edge.binding.id}>"


class SyncProxy:
    """The proxy that sync callables call from their worker thread."""

    __slots__ = ("_edge", "_workers")

    def __init__(self, edge: Edge, workers: Workers) -> None:
        self._edge = edge
        self._workers = workers

    def __call__(self, *positional: Any, **arguments: Any) -> Any:
        """Call the provider; see `meshd.api.SyncToolProxy`."""
        if positional:
            refuse_positional(self._edge)
        if self._edge.is_streaming:
            return SyncChunks(self._edge.stream(arguments), self._workers)
        return self._workers.wait_for(self._edge.call(arguments))

    def __repr__(self) -> str:
        return f"<proxy for {self._edge.binding.id}>"


class SyncChunks(Iterator[Any]):
    """The chunks of a call, for a worker thread; closing it, or dropping it, ends the call."""

    __slots__ = ("_chunks", "_is_over", "_workers")

    def __init__(self, chunks: Chunks, workers: Workers) -> None:
        self._chunks = chunks
        self._workers = workers
        self._is_over = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._is_over:
            raise StopIteration
        try:
            chunk = self._workers.wait_for(_next(self._chunks))
        except BaseException:
            self._is_over = True
            raise
        if chunk is _END:
            self._is_over = True
            raise StopIteration
        return chunk

    def close(self) -> None:
        """End the call, if it is not over."""
        if not self._is_over:
            self._is_over = True
            self._workers.wait_for(self._chunks.aclose())


async def _next(chunks: Chunks) -> Any:
    return await anext(chunks, _END)


_END: Any = object()


def refuses_to_stream(edge: Edge) -> CallError:
    """Return the error of iterating over a call whose tool is not called for its chunks."""
    capability = edge.binding.need.capability
    return CallError(
        f"`{capability}` does not stream: set `call: {{streaming: true}}` on the tool that "
        f"provides it, or on the need, or await the call for its whole result",
        provider=capability,
        attempts=0,
    )


def refuse_positional(edge: Edge) -> NoReturn:
    """Raise the error that explains why arguments are named."""
    parameter = edge.binding.parameter
    raise TypeError(
        f"a proxy takes keyword arguments only, because tools name theirs: "
        f"{parameter}(argument=value)"
    )
