"""The wish that something which serves comes to its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Stop:
    """The wish to stop, and the signal that brought it, if one did."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.wished = asyncio.Event()

    def __call__(self, number: int | None = None) -> None:
        self.number = self.number or number
        self.wished.set()

    async def unless(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, but leave it when the wish comes."""
        working = asyncio.ensure_future(work)
        wishing = asyncio.ensure_future(self.wished.wait())
        try:
            await asyncio.wait({working, wishing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, wishing):
                task.cancel()
            await asyncio.gather(working, wishing, return_exceptions=True)
