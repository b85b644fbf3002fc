"""How many calls of one tool may run at a time, and how many may wait for their turn."""

import asyncio
import contextlib
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from meshd.clock import Clock, SystemClock
from meshd.errors import Busy, CallTimedOut
from meshd.runtime.context import current_call
from meshd.runtime.workers import Places


class Gate:
    """Lets `most` calls in at a time; `queue` more wait in order, and any further is refused.

    Used with `async with`, around a call for as long as it runs.
    """

    def __init__(self, provider: str, most: int, queue: int, clock: Clock | None = None) -> None:
        self.most = most
        self._provider = provider
        self._queue = queue
        self._clock = SystemClock() if clock is None else clock
        self._places = Places(most)

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return self._places.waiting

    async def __aenter__(self) -> None:
        """Enter, waiting for a turn until the call's deadline.

        Raises:
            Busy: as many wait already as may.
            CallTimedOut: the turn did not come in time; nothing was executed.

        """
        if self._places.take_at_once():
            return
        if self._places.waiting >= self._queue:
            raise self._busy()
        deadline = current_call.get().deadline
        if deadline is None:
            await self._places.take()
            return
        limit = asyncio.timeout(max(0.0, deadline - self._clock.monotonic()))
        try:
            async with limit:
                await self._places.take()
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._too_late() from None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one in."""
        self._places.give()

    def hold(self, running: "Future[Any]") -> None:
        """Keep a place for a callable that runs on after its call was cancelled."""
        self._places.take_back()
        loop = asyncio.get_running_loop()

        def ended(_: "Future[Any]") -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._places.give)

        running.add_done_callback(ended)

    def _busy(self) -> Busy:
        message = (
            f"`{self._provider}` is busy: its `concurrency` allows {self.most} at a time, "
            f"and {self._queue} more to wait"
        )
        return Busy(message, provider=self._provider)

    def _too_late(self) -> CallTimedOut:
        message = (
            f"`{self._provider}` did not begin within the call's time: its `concurrency` allows "
            f"{self.most} at a time, and others were first"
        )
        error = CallTimedOut(message, provider=self._provider)
        error.executed = False
        return error
