"""Waits for all children of the daemon, its own and those that it inherits from dead ones."""

import asyncio
import os
import signal
from collections import OrderedDict
from typing import Self

_REMEMBERED = 1_000
"""Ends of processes that nobody has asked for yet: one may die before its parent knows its id."""


class Reaper:
    """Tells how children ended; belongs to one event loop, on the main thread."""

    def __init__(self) -> None:
        self._ended: OrderedDict[int, int] = OrderedDict()
        self._waiting: dict[int, asyncio.Future[int]] = {}

    def __enter__(self) -> Self:
        """Begin to wait; the event loop must run."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def end_of(self, process: int) -> "asyncio.Future[int]":
        """Return the future exit status of a child: negative if a signal ended it."""
        future = self._waiting.get(process)
        if future is None:
            future = self._waiting[process] = asyncio.get_running_loop().create_future()
            if process in self._ended:
                self._resolve(process, self._ended.pop(process))
        return future

    def forget_strangers(self) -> None:
        """Forget ends that nobody asked for; their ids may come again."""
        self._ended.clear()

    def known(self) -> set[int]:
        """Return the children that somebody waits for."""
        return set(self._waiting)

    def _reap(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            self._resolve(process, os.waitstatus_to_exitcode(status))

    def _resolve(self, process: int, status: int) -> None:
        future = self._waiting.pop(process, None)
        if future is None:
            self._ended[process] = status
            if len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)
        elif not future.done():
            future.set_result(status)


def in_words(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"
