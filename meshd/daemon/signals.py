"""Signals to a process that serves: to end, and for a daemon to look at its manifests again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable


@contextlib.asynccontextmanager
async def signals(
    stop: Callable[[int], None], hang_up: Callable[[], None] | None = None
) -> AsyncGenerator[None, None]:
    """Turn SIGINT and SIGTERM into a stop while the block runs; a second one ends at once.

    With `hang_up` SIGHUP calls it, unless it means that the terminal has gone: that is a stop.
    """
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    had_terminal = _has_terminal()

    def received(number: int) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop(number)

    def hung_up() -> None:
        if had_terminal and not _has_terminal():
            stop(signal.SIGHUP)
        elif hang_up is not None:
            hang_up()

    for number in numbers:
        loop.add_signal_handler(number, received, number)
    if hang_up is not None:
        loop.add_signal_handler(signal.SIGHUP, hung_up)
    try:
        yield
    finally:
        for number in (*numbers, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _has_terminal() -> bool:
    """Say whether standard input is a terminal that is still there."""
    try:
        os.tcgetpgrp(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return True
