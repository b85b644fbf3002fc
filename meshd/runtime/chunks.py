"""A stream of chunks that may be dropped at any time: the call behind it ends then.

The generators of a stream lie inside each other. If the garbage collector found them together, it
would close all at once, each while another one runs. So an edge holds those that are open, and what
its users hold, and may drop, is a `Chunks`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any


class Chunks(AsyncIterator[Any]):
    """The chunks of one call; closing it, or dropping it, ends the call."""

    __slots__ = ("_generator", "_loop", "_open")

    def __init__(
        self, generator: AsyncGenerator[Any, None], held: set[AsyncGenerator[Any, None]]
    ) -> None:
        """Take what makes the chunks, and where it is held while it is open."""
        self._generator = generator
        self._open = held
        self._loop: asyncio.AbstractEventLoop | None = None
        held.add(generator)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self._loop = asyncio.get_running_loop()
        try:
            return await anext(self._generator)
        except BaseException:
            # The generator has ended, whatever it was.
            self._open.discard(self._generator)
            raise

    async def aclose(self) -> None:
        """End the call, if it is not over."""
        await _close(self._generator, self._open)

    def __del__(self) -> None:
        if self._generator not in self._open:
            return
        if self._loop is None:
            self._open.discard(self._generator)  # it never began
        elif not self._loop.is_closed():
            # It may be dropped in any thread.
            self._loop.call_soon_threadsafe(_begin_to_close, self._generator, self._open)


async def _close(
    generator: AsyncGenerator[Any, None], held: set[AsyncGenerator[Any, None]]
) -> None:
    try:
        await generator.aclose()
    finally:
        held.discard(generator)


def _begin_to_close(
    generator: AsyncGenerator[Any, None], held: set[AsyncGenerator[Any, None]]
) -> None:
    task = asyncio.ensure_future(_close(generator, held))
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Future[None]") -> None:
    """Take note of how it ended: nobody is there to hear of it."""
    _ = task.cancelled() or task.exception()
