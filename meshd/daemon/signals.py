"""Signals that ask a process to end, for whatever it serves."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Callable


@contextlib.asynccontextmanager
async def signals(stop: Callable[[int], None]) -> AsyncGenerator[None, None]:
    """Turn SIGINT and SIGTERM into a stop while the block runs; a second one ends at once."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def received(number: int) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop(number)

    for number in numbers:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
