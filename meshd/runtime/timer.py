"""Ends what a task waits for when its time is over, at the cost of one timer.

As `asyncio.timeout` does it, but without its context manager and states, which cost more than the
rest of a call within a process.
"""

import asyncio


class Timer:
    """Cancels the task that made it after some seconds, unless it is stopped before.

    The cancellation arrives where the task waits. `is_over` says whose it was, once.
    """

    __slots__ = ("_cancelling", "_handle", "_is_settled", "_task", "expired")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timer is made in a task")
        self._task = task
        self._cancelling = task.cancelling()
        self.expired = False
        self._is_settled = False
        self._handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._fire)

    def stop(self) -> None:
        """Let the task be; always called in the end."""
        self._handle.cancel()
        if self.expired and not self._is_settled:
            self._is_settled = True
            self._task.uncancel()

    def is_over(self) -> bool:
        """Say of a cancellation that arrived whether it is the timer's, and nobody else's too."""
        if not self.expired or self._is_settled:
            return False
        self._is_settled = True
        return self._task.uncancel() <= self._cancelling

    def _fire(self) -> None:
        self.expired = True
        self._task.cancel()
