"""All that user code may import, and none of it is needed: types for injected proxies, and errors.

    from meshd.api import ToolProxy

    async def plan(city: str, weather: ToolProxy[dict]) -> str:
        forecast = await weather(city=city)
        return f"{city}: {forecast['sky']}"

`T` is the type of the answer; the proxy converts to it. A plain, untyped parameter works as well
and answers with JSON values. Calls take keyword arguments only, because tools name theirs. What is
provided by a generator, with `call: {streaming: true}`, can be taken chunk by chunk:

    async def show(city: str, news: StreamProxy[str]) -> int:
        return sum([len(line) async for line in news(city=city)])
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol, TypeVar

from meshd.errors import (
    ArgumentsRejected,
    BreakerOpen,
    Busy,
    CallError,
    CallTimedOut,
    ConnectionLost,
    InputRequired,
    ResultRejected,
    TaskStarted,
    ToolFailed,
    Unauthorised,
    Unavailable,
)

__all__ = [
    "ArgumentsRejected",
    "BreakerOpen",
    "Busy",
    "CallError",
    "CallTimedOut",
    "ConnectionLost",
    "InputRequired",
    "ResultRejected",
    "StreamProxy",
    "SyncStreamProxy",
    "SyncToolProxy",
    "TaskStarted",
    "ToolFailed",
    "ToolProxy",
    "Unauthorised",
    "Unavailable",
]

T_co = TypeVar("T_co", covariant=True)


class ToolProxy(Protocol[T_co]):
    """What an async callable receives for a need: a callable to await."""

    async def __call__(self, **arguments: Any) -> T_co:
        """Call the provider and return its answer.

        Raises:
            CallTimedOut: no answer within the call's timeout.
            Unavailable: no provider can be reached; nothing was executed. `BreakerOpen` is one.
            Busy: the provider has as many calls as it may have; nothing was executed.
            Unauthorised: the provider demands a token and does not accept the one it got.
            ConnectionLost: the connection broke; the tool may or may not have run.
            ArgumentsRejected: the arguments do not fit the provider's parameters.
            ToolFailed: the provider's tool raised.
            InputRequired: the tool asks for input, which only a client can give.
            TaskStarted: the tool answers later, as a task.
            ResultRejected: the answer is not of the type that was expected.

        All of them are `CallError`, with `provider`, `attempts`, `retriable` and `executed`.
        """
        ...


class SyncToolProxy(Protocol[T_co]):
    """What a sync callable receives for a need: a plain callable. Raises as `ToolProxy` does."""

    def __call__(self, **arguments: Any) -> T_co:
        """Call the provider and return its answer."""
        ...


class StreamProxy(Protocol[T_co]):
    """What an async callable receives for a need that streams: something to iterate over.

    The provider makes the next chunk when it is asked for, but for a few; leaving the loop ends
    its work. Awaiting the call instead returns the list of all chunks. Raises as `ToolProxy` does,
    after the chunks that came before.
    """

    def __call__(self, **arguments: Any) -> AsyncIterator[T_co]:
        """Call the provider and return its chunks as they are made."""
        ...


class SyncStreamProxy(Protocol[T_co]):
    """What a sync callable receives for a need that streams. Behaves as `StreamProxy` does."""

    def __call__(self, **arguments: Any) -> Iterator[T_co]:
        """Call the provider and return its chunks as they are made."""
        ...
