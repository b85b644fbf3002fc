"""The odd agent twice: behind the fast lane, and as plain FastMCP; asked without `await`."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop
from starlette.types import ASGIApp

from meshd.clock import SystemClock
from meshd.domain.signature import ToolSignature
from meshd.runtime.agent import RunningAgent
from meshd.runtime.workers import Workers
from tests.differential.agent import SLOW, odd_agent
from tests.differential.compare import difference
from tests.differential.wire import Answer, Request, asked

T = TypeVar("T")
HOSTS = ("127.0.0.1",)


@dataclass(slots=True)
class Apps:
    """Two applications that should answer alike, on an event loop that runs while one asks."""

    agent: RunningAgent
    lane: ASGIApp
    plain: ASGIApp
    loop: asyncio.AbstractEventLoop
    asked: int = 0
    by_lane: int = 0

    @property
    def signatures(self) -> dict[str, ToolSignature]:
        """Return those of the tools that answer at once."""
        slow = {tool.name for tool in SLOW}
        tools = self.agent.tools.items()
        return {name: tool.body.signature for name, tool in tools if name not in slow}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def both(self, request: Request) -> tuple[Answer, Answer]:
        """Return the answers of the lane and of FastMCP."""
        return self.run(self._both(request))

    def difference(self, request: Request) -> str:
        """Return how the answers differ, or nothing."""
        lane, plain = self.both(request)
        self.asked += 1
        self.by_lane += not lane.by_starlette
        return difference(lane, plain)

    async def _both(self, request: Request) -> tuple[Answer, Answer]:
        return await asked(self.lane, request), await asked(self.plain, request)


Wrap = Callable[[ASGIApp], ASGIApp]


@contextlib.contextmanager
def two_apps(
    wrap: Wrap | None = None, *, hosts: tuple[str, ...] = HOSTS, **agent: Any
) -> Generator[Apps, None, None]:
    """Serve the agent both ways while the block runs; `wrap` puts another lane in front.

    `agent` is said to `odd_agent`.
    """
    loop = uvloop.new_event_loop()
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what tools raise on purpose is logged with its frames
    ended = loop.create_future()
    ready: asyncio.Future[Apps] = loop.create_future()

    async def serve() -> None:
        workers = Workers()
        odd = odd_agent(workers, **agent)
        try:
            async with odd.applications(hosts, SystemClock()) as made:
                lane = made.laned if wrap is None else wrap(made.plain)
                ready.set_result(Apps(odd, lane, made.plain, loop))
                await ended
        finally:
            workers.close()

    # Lifespans must be entered and left in one task, which waits in between.
    serving = loop.create_task(serve())
    try:
        loop.run_until_complete(asyncio.wait((serving, ready), return_when="FIRST_COMPLETED"))
        if serving.done():
            serving.result()
        yield ready.result()
    finally:
        if not ended.done():
            ended.set_result(None)
        loop.run_until_complete(serving)
        left = asyncio.all_tasks(loop)  # sse_starlette leaves one that waits for the end
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
        logging.disable(level)
