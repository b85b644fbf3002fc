"""All that user code may import, and none of it is needed: types for injected proxies, and errors.

    from meshd.api import ToolProxy

    async def plan(city: str, weather: ToolProxy[dict]) -> str:
        forecast = await weather(city=city)
        return f"{city}: {forecast['sky']}"

`T` is the type of the answer; the proxy converts to it. A plain, untyped parameter works as well
and answers with JSON values. Calls take keyword arguments only, because tools name theirs.
"""

from typing import Any, Protocol, TypeVar

from meshd.errors import (
    ArgumentsRejected,
    CallError,
    CallTimedOut,
    ResultRejected,
    ToolFailed,
    Unavailable,
)

__all__ = [
    "ArgumentsRejected",
    "CallError",
    "CallTimedOut",
    "ResultRejected",
    "SyncToolProxy",
    "ToolFailed",
    "ToolProxy",
    "Unavailable",
]

T_co = TypeVar("T_co", covariant=True)


class ToolProxy(Protocol[T_co]):
    """What an async callable receives for a need: a callable to await."""

    async def __call__(self, **arguments: Any) -> T_co:
        """Call the provider and return its answer.

        Raises:
            CallTimedOut: no answer within the call's timeout.
            Unavailable: no provider can be reached; nothing was executed.
            ArgumentsRejected: the arguments do not fit the provider's parameters.
            ToolFailed: the provider's tool raised.
            ResultRejected: the answer is not of the type that was expected.
        """
        ...


class SyncToolProxy(Protocol[T_co]):
    """What a sync callable receives for a need: a plain callable. Raises as `ToolProxy` does."""

    def __call__(self, **arguments: Any) -> T_co:
        """Call the provider and return its answer."""
        ...
