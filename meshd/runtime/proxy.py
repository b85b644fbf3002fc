"""The objects that callables receive for their needs; calling one calls the provider."""

from typing import Any, NoReturn

from meshd.runtime.edge import Edge
from meshd.runtime.workers import Workers


class AsyncProxy:
    """The proxy that async callables await."""

    __slots__ = ("_edge",)

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def __call__(self, *positional: Any, **arguments: Any) -> Any:
        """Call the provider; see `meshd.api.ToolProxy`."""
        if positional:
            refuse_positional(self._edge)
        return await self._edge.call(arguments)

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
        return self._workers.wait_for(self._edge.call(arguments))

    def __repr__(self) -> str:
        return f"<proxy for {self._edge.binding.id}>"


def refuse_positional(edge: Edge) -> NoReturn:
    """Raise the error that explains why arguments are named."""
    parameter = edge.binding.parameter
    raise TypeError(
        f"a proxy takes keyword arguments only, because tools name theirs: "
        f"{parameter}(argument=value)"
    )
